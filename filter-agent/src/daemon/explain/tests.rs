//! What the agent tells of a room and a moment is what the kernel does then:
//! random policies, rooms and moments through the real program.

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use filter_ebpf::abi::Secret;
use jiff::SignedDuration;

use super::*;
use crate::calendar::access::Clock;
use crate::daemon::build::{Place, build};
use crate::daemon::doors::doors;
use crate::explain::tests::{Random, each_way_was_taken, frame, header, is_root, record};
use crate::image::Image;
use crate::kernel::{Contents, KernelError};
use crate::replay::{Capture, Options, Replay, ReplayError};
use crate::store::grants::{self, Grant};
use crate::store::leases::Lease;
use crate::store::modes::Held;

const POLICIES: u64 = 20;
const MOMENTS: u64 = 50;
const ROOMS: u64 = 12;
const GROUPS: u64 = 4;
const CATEGORIES: u64 = 6;
const ZONES: [&str; 4] = [
    "Asia/Bishkek",
    "Europe/Berlin",
    "America/New_York",
    "Pacific/Apia",
];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

#[test]
fn every_answer_of_the_example_names_its_decision() {
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/school-12-rooms.toml");
    let folder = std::env::temp_dir().join(format!("decisions-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let copies = build::copies(&folder).unwrap();
    let in_force = in_force(
        Policy::load(&example).unwrap(),
        Timestamp::now(),
        Vec::new(),
    );
    let policy = &in_force.policy;
    let order = "no. 114 of 2026-08-28, Director's order, until 2027-05-31";
    let council = "no. 3 of 2026-08-25, Methodical council";
    for (room, host, local, because, decision) in [
        // Of its own lessons, of a timetable that it shares, of the calendar.
        (
            "101",
            "wikipedia.org",
            "2026-11-25T08:20",
            "no teacher holds it",
            order,
        ),
        (
            "103",
            "wikipedia.org",
            "2026-11-25T08:20",
            "no teacher holds it",
            order,
        ),
        (
            "103",
            "wikipedia.org",
            "2026-11-06T10:00",
            "school break",
            order,
        ),
        (
            "library",
            "wikipedia.org",
            "2027-03-08T10:00",
            "public holiday",
            order,
        ),
        (
            "library",
            "wikipedia.org",
            "2026-11-25T08:20",
            "allowed category",
            council,
        ),
        (
            "library",
            "example.org",
            "2026-11-25T08:20",
            "only what is allow-listed",
            council,
        ),
    ] {
        let at = moment(policy, local).unwrap();
        let told = Case {
            in_force: &in_force,
            holds: &Holds::default(),
            copies: &copies,
            room: policy.room(room).unwrap(),
            at,
            host: Some(host),
            addr: None,
        }
        .answer()
        .unwrap();
        assert!(told.because.text.contains(because), "{told:?}");
        assert_eq!(
            told.decision.as_ref().map(|said| &*said.text),
            Some(decision),
            "{told:?}"
        );
        let russian = told
            .decision
            .unwrap()
            .in_language(crate::words::Language::Russian);
        assert!(
            russian.starts_with("№ ") && russian.contains(" от 2026-08-2"),
            "{russian}"
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A policy as if it were in force.
pub(super) fn in_force(policy: Policy, applied: Timestamp, groups: Vec<u16>) -> InForce {
    InForce {
        policy,
        text: String::new(),
        generation: 1,
        groups,
        applied,
        by: String::new(),
        load: Duration::ZERO,
        lists: Vec::new(),
        links: [0; filter_ebpf::abi::MAX_LINKS],
    }
}

#[test]
fn the_agent_and_the_kernel_agree_at_a_thousand_moments() {
    let folder = std::env::temp_dir().join(format!("moments-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut outcomes = std::collections::BTreeMap::new();
    let mut done = 0;
    for number in 0..POLICIES {
        let Some(judged) = School::random(number, &folder).compare(&mut outcomes) else {
            break;
        };
        done += judged;
    }
    std::fs::remove_dir_all(&folder).unwrap();
    if done == 0 {
        eprintln!("\nSKIP the_agent_and_the_kernel_agree: needs root");
        return;
    }
    println!("{outcomes:?}");
    assert_eq!(done, POLICIES * MOMENTS);
    each_way_was_taken(&outcomes, 5);
}

struct School {
    random: Random,
    in_force: InForce,
    image: Image,
    secret: Secret,
    copies: update::Store,
    start: Timestamp,
    /// All that begins before the first moment; each ends at some time.
    holds: Holds,
}

fn host(random: &mut Random) -> String {
    let mut host = format!("site{}.example", random.below(8));
    for _ in 0..random.below(3) {
        host = format!("{}.{host}", ["a", "b", "www"][random.below(3) as usize]);
    }
    host
}

fn address(random: &mut Random) -> IpAddr {
    IpAddr::V4((0xc633_6400 + random.below(64) as u32).into())
}

/// Categories with inline hosts, ranges, exceptions, and a list with its own.
fn category(number: u64, random: &mut Random, folder: &Path) -> String {
    let mut quoted = |count: u64| {
        let mut hosts: Vec<_> = (0..random.below(count) + 1).map(|_| host(random)).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    };
    let (hosts, mut except, listed, let_off) = (quoted(3), quoted(2), quoted(6), quoted(4));
    except.retain(|name| !hosts.contains(name));
    let mut list = String::new();
    for name in listed {
        let _ = writeln!(list, "{}{name}^", ["||", "|"][random.below(4) as usize / 3]);
    }
    for name in let_off {
        let _ = writeln!(list, "@@{}{name}^", ["||", "|"][random.below(2) as usize]);
    }
    let net = address(random);
    let _ = writeln!(
        list,
        "||{net}/29^\n@@||{}^\n@@||{}/31^",
        address(random),
        net
    );
    let file = format!("list{number}.txt");
    std::fs::write(folder.join(&file), list).unwrap();
    let locked = if number == 0 { "locked = true\n" } else { "" };
    format!(
        "[[category]]\nname = \"c{number}\"\n{locked}hosts = {hosts:?}\nexcept = {except:?}\n\
         ranges = [\"{}\"]\nlists = [\"{file}\"]\n",
        address(random)
    )
}

fn policy(random: &mut Random, folder: &Path) -> Policy {
    let mut text = format!(
        "timezone = \"{}\"\n[network]\nlan = [\"lo\"]\nown = [\"192.168.0.0/16\"]\n",
        ZONES[random.below(4) as usize]
    );
    for number in 0..CATEGORIES {
        text += &category(number, random, folder);
    }
    for number in 0..GROUPS {
        let (mut allow, mut deny) = (Vec::new(), Vec::new());
        for category in 1..CATEGORIES {
            match random.below(3) {
                0 => allow.push(format!("c{category}")),
                1 => deny.push(format!("c{category}")),
                _ => {}
            }
        }
        let _ = write!(
            text,
            "[[group]]\nname = \"g{number}\"\ndefault = \"{}\"\nrefuse = \"{}\"\n\
             allow = {allow:?}\ndeny = {deny:?}\n",
            ["open", "listed-only"][number as usize % 2],
            ["reject", "drop"][number as usize / 2],
        );
    }
    for number in 0..ROOMS {
        let _ = write!(
            text,
            "[[room]]\nname = \"r{number}\"\nvlan = {}\ngroup = \"g{}\"\n",
            100 + number,
            number % GROUPS
        );
        if number % 3 == 0 {
            continue;
        }
        // One window a room: two might overlap. It may pass midnight.
        let begin = random.below(1440);
        let end = (begin + 60 + random.below(1200)) % 1440;
        let day = random.below(7) as usize;
        let _ = writeln!(
            text,
            "open = [\"{}-{} {:02}:{:02}-{:02}:{:02}\"]",
            DAYS[day],
            DAYS[(day + 4) % 7],
            begin / 60,
            begin % 60,
            end / 60,
            end % 60
        );
        if number % 3 == 1 {
            text += "supervised = true\n";
        }
    }
    Policy::parse(&text, &folder.join("policy.toml")).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// What is held by hand at the first moment, each for up to a week.
fn holds(random: &mut Random, start: Timestamp) -> Holds {
    let ends =
        |random: &mut Random| start + SignedDuration::from_mins(random.below(7 * 24 * 60) as i64);
    let mut holds = Holds::default();
    for number in 0..ROOMS {
        let room = format!("r{number}");
        if random.below(4) > 0 {
            holds.leases.push(Lease {
                room: room.clone(),
                holder: "t".to_owned(),
                uid: 1,
                since: start,
                until: ends(random),
            });
        }
        if random.below(4) == 0 {
            holds.modes.push(Held {
                room: room.clone(),
                mode: [Hold::Open, Hold::Closed][random.below(2) as usize],
                by: "t".to_owned(),
                reason: None,
                since: start,
                until: (random.below(3) > 0).then(|| ends(random)),
            });
        }
        if random.below(2) == 0 {
            holds.grants.push(Grant {
                id: number as i64,
                what: Subject::Category(format!("c{}", random.below(CATEGORIES))),
                scope: grants::Scope::Room(room),
                by: "t".to_owned(),
                reason: String::new(),
                since: start,
                until: ends(random),
                revoked: None,
                revoked_by: None,
            });
        }
    }
    holds
}

impl School {
    fn random(number: u64, folder: &Path) -> Self {
        let mut random = Random(number << 32);
        let policy = policy(&mut random, folder);
        let start = Timestamp::from_second(1_767_225_600 + random.below(365 * 86_400) as i64);
        let start = start.unwrap();
        let secret = crate::kernel::fresh_secret().unwrap();
        let copies = build::copies(folder).unwrap();
        let place = Place {
            generation: 1,
            links: vec![1],
            secret: &secret,
            copies: &copies,
        };
        let built = build(&policy, place, start, false).unwrap();
        let groups = built.image.rooms.iter().map(|room| room.group).collect();
        let in_force = in_force(policy, start, groups);
        Self {
            holds: holds(&mut random, start),
            random,
            in_force,
            image: built.image,
            secret,
            copies,
            start,
        }
    }

    /// What of it holds at a moment, as the store would tell it.
    fn holds_at(&self, at: Timestamp) -> Holds {
        let mut holds = self.holds.clone();
        holds.leases.retain(|lease| at < lease.until);
        holds.grants.retain(|grant| at < grant.until);
        holds
            .modes
            .retain(|held| held.until.is_none_or(|until| at < until));
        holds
    }

    fn doors(&self, unix: u64) -> Vec<filter_ebpf::abi::Access> {
        let wall = Timestamp::UNIX_EPOCH + Duration::from_nanos(unix);
        let clock = Clock {
            wall,
            monotonic: unix,
        };
        let in_force = &self.in_force;
        doors(
            &in_force.policy,
            &in_force.groups,
            &self.holds_at(wall),
            clock,
        )
    }

    /// Compares every moment; `None` where the kernel may not be asked.
    fn compare(mut self, outcomes: &mut std::collections::BTreeMap<String, u64>) -> Option<u64> {
        let mut at = self.start;
        let mut bytes = header();
        let mut asked = Vec::new();
        for client in 0..MOMENTS {
            at += SignedDuration::from_millis(self.random.below(8 * 3_600_000) as i64);
            let room = self.random.below(ROOMS);
            let host = (self.random.below(12) > 0).then(|| host(&mut self.random));
            let mut server = address(&mut self.random);
            if self.random.below(8) == 0 {
                // A range of the policy itself.
                let all: Vec<_> = self.in_force.policy.categories.iter().collect();
                let category = all[self.random.below(CATEGORIES) as usize];
                server = category.ranges[0].net.addr();
            }
            let frame = frame(100 + room as u16, client, server, host.as_deref());
            bytes.extend(record(at.as_nanosecond() as u64, &frame));
            asked.push((room, at, host, server));
        }
        let first = self.doors(self.start.as_nanosecond() as u64);
        let contents = Contents::new(&self.image, &first, b"").unwrap();
        let options = Options {
            untagged: None,
            at: None,
            subnets: vec!["10.0.0.0/8".parse().unwrap()],
            strict: false,
            doors: Box::new(|unix| self.doors(unix)),
        };
        let capture = Capture::new(Cursor::new(bytes)).unwrap();
        let replay = match Replay::new(capture, contents, &self.secret, options) {
            Err(ReplayError::Kernel(KernelError::Contents(_))) if !is_root() => return None,
            other => other.unwrap(),
        };
        let mut done = 0;
        for (judged, (room, at, host, server)) in replay.zip(&asked) {
            let judged = judged.unwrap();
            let holds = self.holds_at(*at);
            let told = Case {
                in_force: &self.in_force,
                holds: &holds,
                copies: &self.copies,
                room: *room as usize,
                at: *at,
                host: host.as_deref(),
                addr: Some(*server),
            }
            .answer()
            .unwrap();
            let category = judged.category.map(|category| format!("c{category}"));
            let kernel = (
                judged.verdict.unwrap().name(),
                judged.reason.name(),
                category.as_deref(),
            );
            let here = (&*told.verdict, &*told.reason, told.category.as_deref());
            assert_eq!(kernel, here, "{room} {at} {host:?} {server} {told:?}");
            *outcomes.entry(told.reason).or_default() += 1;
            done += 1;
        }
        Some(done)
    }
}
