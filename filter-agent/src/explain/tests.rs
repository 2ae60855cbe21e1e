//! The kernel and [`View`] agree: random client hellos through the real
//! program, and the same questions asked here.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use filter_ebpf::abi::{Access, Group, GroupFlags, Mode, RoomFlags, Secret, Span, Verdict};
use filter_ebpf::tables::Table;

use super::{Overrides, Question, View};
use crate::image::{Image, Input, Listing, Names, OWN, Place, Ranges, Reach, Room, Tags};
use crate::kernel::{Contents, KernelError};
use crate::replay::{Capture, Options, Replay, ReplayError};

const QUESTIONS: u64 = 1_000_000;
/// Nanoseconds of UNIX time of the first question, and between two.
const START: u64 = 1_790_000_000_000_000_000;
const STEP: u64 = 10_000_000;
const ROOMS: u64 = 12;
const CATEGORIES: u64 = 20;

#[test]
fn the_kernel_and_explain_agree() {
    let mut outcomes = BTreeMap::new();
    // Few ranges lie in some lines of their table, many in thousands.
    for (first, more) in [(0, 0), (1, 1 << 18)] {
        if !agree(&Listed::random(more), first, &mut outcomes) {
            return;
        }
    }
    println!("{outcomes:?}");
    assert_eq!(outcomes.values().sum::<u64>(), QUESTIONS);
    each_way_was_taken(&outcomes, 1001);
    for reason in ["own_network", "stale"] {
        let count = outcomes.get(reason).copied().unwrap_or(0);
        assert!(count > 1000, "{reason}: {count}");
    }
}

/// The questions were worth asking: every way to decide was taken, each at
/// least so often.
pub(crate) fn each_way_was_taken<K>(outcomes: &BTreeMap<K, u64>, least: u64)
where
    K: Borrow<str> + Debug + Ord,
{
    for reason in [
        "room_closed",
        "locked",
        "granted",
        "range_denied",
        "range_allowed",
        "name_denied",
        "name_allowed",
        "default_open",
        "not_listed",
        "unnamed",
    ] {
        let count = outcomes.get(reason).copied().unwrap_or(0);
        assert!(count >= least, "{reason}: {count} in {outcomes:?}");
    }
}

/// Asks every second question from `first` on; `false` where the kernel
/// cannot be asked.
fn agree(listed: &Listed, first: u64, outcomes: &mut BTreeMap<&'static str, u64>) -> bool {
    let secret = crate::kernel::fresh_secret().unwrap();
    let image = Image::build(input(listed, &secret)).unwrap();
    let doors: Vec<_> = (0..ROOMS).map(access).collect();
    let frames = Frames {
        listed,
        next: first,
        bytes: header(),
        at: 0,
    };
    let options = Options {
        untagged: None,
        at: None,
        strict: false,
        subnets: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        doors: Box::new(|_| doors.clone()),
    };
    let contents = Contents::new(&image, &doors, b"").unwrap();
    let capture = Capture::new(frames).unwrap();
    let replay = match Replay::new(capture, contents, &secret, options) {
        Err(ReplayError::Kernel(KernelError::Contents(problem))) if !is_root() => {
            eprintln!("\nSKIP the_kernel_and_explain_agree: needs root: {problem}");
            return false;
        }
        other => other.unwrap(),
    };
    let lines = image.table(Table::Ranges4).len();
    assert_eq!(lines > 10_000, listed.v4.len() > 200_000, "{lines} lines");
    // Sets with exceptions are of two numbers each.
    let config = image.config;
    assert!(
        config.sets > config.excepting.saturating_add(30),
        "{config:?}"
    );
    let view = View::new(&image, &secret);
    for (number, judged) in (first..).step_by(2).zip(replay) {
        let judged = judged.unwrap();
        let ask = Ask::random(listed, number);
        let answer = view
            .ask(&Question {
                room: ask.room as u16,
                access: &doors[ask.room as usize],
                now: START + number * STEP,
                host: ask.host.as_deref(),
                address: Some(ask.server),
                overrides: Overrides::default(),
            })
            .unwrap();
        let kernel = (judged.verdict, judged.reason, judged.category);
        let here = (Some(answer.verdict), answer.reason, answer.category);
        assert_eq!(kernel, here, "{number}: {ask:?} {answer:?}");
        *outcomes.entry(answer.reason.name()).or_insert(0u64) += 1;
    }
    true
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// What the image lists.
struct Listed {
    names: Vec<(String, u8, Reach)>,
    v4: Vec<(u32, u32, u8)>,
    v6: Vec<(u128, u128, u8)>,
    /// How many of `v4`, from its start on, lie close to each other.
    close: u64,
}

/// Where the ranges that lie apart begin.
const APART: u32 = 0x6000_0000;

impl Listed {
    /// `more`: how many IPv4 addresses are listed in addition.
    fn random(more: u32) -> Self {
        let mut random = Random(1);
        let category = |random: &mut Random| random.below(CATEGORIES) as u8;
        let names = (0..4000)
            .map(|_| {
                let reach = [Reach::Subtree, Reach::Exact][random.below(2) as usize];
                (host(&mut random), category(&mut random), reach)
            })
            .collect();
        let mut v4: Vec<_> = (0..3000)
            .map(|_| {
                let first = 0x0800_0000 + random.below(1 << 24) as u32;
                (
                    first,
                    first + random.below(1 << 12) as u32,
                    category(&mut random),
                )
            })
            .collect();
        v4.push((0xc0a8_0000, 0xc0a8_ffff, OWN));
        let v6 = (0..3000)
            .map(|_| {
                let upper = 0x2001_0db8_0000_0000 | random.below(1 << 12);
                let first = u128::from(upper) << 64 | u128::from(random.below(1 << 20));
                let len = u128::MAX >> (64 + random.below(64)) << random.below(20);
                (first, first + len, category(&mut random))
            })
            .collect();
        let close = v4.len() as u64;
        v4.extend((0..more).map(|number| {
            let address = APART + number * 8;
            (address, address, category(&mut random))
        }));
        Self {
            names,
            v4,
            v6,
            close,
        }
    }
}

/// Two to five labels of few words: listed and asked names share suffixes.
fn host(random: &mut Random) -> String {
    let words = ["a", "b", "cc", "www", "mail", "school"];
    let mut name = format!("site{}.kg", random.below(3000));
    for _ in 0..random.below(4) {
        name = format!("{}.{name}", words[random.below(6) as usize]);
    }
    name
}

fn input(listed: &Listed, secret: &Secret) -> Input {
    let mut names = Names::new(secret);
    // Two lists a category, each with exceptions, met and unmet ones.
    for category in 0..CATEGORIES as u8 {
        let lists = [0, 1].map(|list| {
            let from = names.mark();
            let mut exceptions = Vec::new();
            let own = listed.names.iter().filter(|(_, of, _)| *of == category);
            for (at, (name, of, reach)) in own.enumerate() {
                match at % 8 {
                    0 => exceptions.push((name.clone(), *reach)),
                    1 => exceptions.push((format!("www.{name}"), *reach)),
                    _ => {}
                }
                if at % 8 > 0 && at % 2 == list {
                    names.add(name, *of, *reach).unwrap();
                }
            }
            Listing { from, exceptions }
        });
        names.except(category, &lists, &[]).unwrap();
    }
    let mut ranges = Ranges::default();
    for &(first, last, category) in &listed.v4 {
        let [first, last] = [first, last].map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
        ranges.add(first, last, category).unwrap();
    }
    for &(first, last, category) in &listed.v6 {
        let [first, last] = [first, last].map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
        ranges.add(first, last, category).unwrap();
    }
    Input {
        generation: 1,
        links: vec![1],
        unknown_vlan: Verdict::Drop,
        when_stale: Verdict::Drop,
        trace: true,
        hello_cap: 16_384,
        quic_budget: 1000,
        groups: (0..6).map(group).collect(),
        rooms: (0..ROOMS).map(room).collect(),
        categories: CATEGORIES as u8,
        names,
        ranges,
        safe_search: crate::image::SafeSearch::default(),
    }
}

/// Each category is allowed, denied, locked or nothing to the group.
fn group(number: u64) -> Group {
    let mut random = Random(100 + number);
    let mut group = Group {
        refuse: [Verdict::Drop, Verdict::Reject][random.below(2) as usize] as u8,
        unnamed: random.below(3) as u8,
        flags: [0, GroupFlags::DEFAULT_OPEN][number as usize % 2],
        ..Group::default()
    };
    if number != 5 {
        group.flags |= GroupFlags::BY_NAME;
    }
    for category in 0..CATEGORIES {
        match random.below(10) {
            0..3 => group.allow |= 1 << category,
            3..6 => group.deny |= 1 << category,
            6 => {
                group.deny |= 1 << category;
                group.locked |= 1 << category;
            }
            7 => {
                group.allow |= 1 << category;
                group.deny |= 1 << category;
            }
            _ => {}
        }
    }
    group
}

fn room(number: u64) -> Room {
    Room {
        name: number.to_string(),
        group: (number % 6) as u16,
        flags: match number {
            0..6 => 0,
            6..9 => RoomFlags::TIMETABLE,
            _ => RoomFlags::TIMETABLE | RoomFlags::SUPERVISED,
        },
        places: vec![Place {
            link: None,
            tags: Tags::Vlan(100 + number as u16),
        }],
        ..Room::default()
    }
}

/// Doors that open and close while the questions are asked.
fn access(room: u64) -> Access {
    let end = START + QUESTIONS * STEP;
    let mut access = Access::UNKNOWN;
    access.known_until = end - 1_000_000_000_000;
    for (slot, span) in access.spans.iter_mut().take(4).enumerate() {
        let start = START + slot as u64 * 2_000_000_000_000 + room * 1_000_000;
        *span = Span {
            start,
            end: start + 1_500_000_000_000,
        };
    }
    access.spans_len = 4;
    access.lease_until = START + 3_000_000_000_000;
    access.grant_mask = [1 << room, 0b11 << (room / 2)];
    access.grant_until = [START + QUESTIONS * STEP / 2, end];
    if room == 5 {
        access.mode = Mode::Closed as u32;
        access.mode_until = START + 1_000_000_000_000;
    }
    if room == 8 {
        access.mode = Mode::Open as u32;
        access.mode_until = u64::MAX;
    }
    access
}

/// A question: who, where to, which name.
#[derive(Debug)]
struct Ask {
    room: u64,
    client: u64,
    server: IpAddr,
    host: Option<String>,
}

impl Ask {
    fn random(listed: &Listed, number: u64) -> Self {
        let mut random = Random(number << 20);
        let v4 = listed.v4[random.below(listed.close) as usize];
        let v6 = listed.v6[random.below(listed.v6.len() as u64) as usize];
        let server = match random.below(10) {
            0 => IpAddr::V4(Ipv4Addr::from_bits(
                0xc0a8_0000 | random.below(1 << 16) as u32,
            )),
            1 => IpAddr::V4(Ipv4Addr::from_bits(v4.1 + 1)),
            2 => IpAddr::V4(Ipv4Addr::from_bits(v4.0 + random.below(1 << 8) as u32)),
            3 => IpAddr::V6(Ipv6Addr::from_bits(v6.1 + 1)),
            4 => IpAddr::V6(Ipv6Addr::from_bits(v6.0 + u128::from(random.below(1 << 8)))),
            // 6to4 of a listed address (RFC 3056 §2).
            5 => IpAddr::V6(Ipv6Addr::from_bits(
                0x2002 << 112 | u128::from(v4.0) << 80 | 1,
            )),
            6 => IpAddr::V4(Ipv4Addr::from_bits(
                APART + random.below(1 << 19) as u32 * 4,
            )),
            _ => IpAddr::V4(Ipv4Addr::from_bits(
                0x5000_0000 | random.below(1 << 24) as u32,
            )),
        };
        let name = &listed.names[random.below(listed.names.len() as u64) as usize].0;
        let host = match random.below(12) {
            0 => None,
            1 => Some(Ipv4Addr::from_bits(v4.0).to_string()),
            2 => Some("x.y.z.".repeat(4) + name),
            3..6 => Some(format!("www.{name}")),
            6..9 => Some(name.clone()),
            _ => Some(host(&mut random)),
        };
        Self {
            room: random.below(ROOMS),
            client: number,
            server,
            host,
        }
    }

    fn frame(&self) -> Vec<u8> {
        frame(
            100 + self.room as u16,
            self.client,
            self.server,
            self.host.as_deref(),
        )
    }
}

/// A client hello in a TCP segment in a tagged frame; `client` numbers the
/// connection, from 0 to 2^30.
pub(crate) fn frame(vlan: u16, client: u64, server: IpAddr, host: Option<&str>) -> Vec<u8> {
    let hello = client_hello(host);
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0];
    frame.extend(vlan.to_be_bytes());
    let tcp_len = 20 + hello.len() as u16;
    let address = (client >> 14) as u16;
    match server {
        IpAddr::V4(server) => {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((20 + tcp_len).to_be_bytes());
            frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 10, 1]);
            frame.extend(address.to_be_bytes());
            frame.extend(server.octets());
        }
        IpAddr::V6(server) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(tcp_len.to_be_bytes());
            frame.extend([6, 64]);
            let client = 0xfd00u128 << 112 | u128::from(address);
            frame.extend(client.to_be_bytes());
            frame.extend(server.octets());
        }
    }
    frame.extend((0x4000 | client as u16 & 0x3fff).to_be_bytes());
    frame.extend(443u16.to_be_bytes());
    frame.extend([0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend(hello);
    frame
}

/// RFC 8446 §4.1.2, with server_name (RFC 6066 §3) or without.
fn client_hello(host: Option<&str>) -> Vec<u8> {
    let mut extensions = vec![0, 43, 0, 3, 2, 3, 4];
    if let Some(host) = host {
        let len = host.len() as u16;
        extensions.extend([0, 0]);
        extensions.extend((len + 5).to_be_bytes());
        extensions.extend((len + 3).to_be_bytes());
        extensions.push(0);
        extensions.extend(len.to_be_bytes());
        extensions.extend(host.as_bytes());
    }
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut record = vec![22, 3, 1];
    record.extend((body.len() as u16 + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend((body.len() as u16).to_be_bytes());
    record.extend(body);
    record
}

/// Every second question as a capture (pcap with nanoseconds, Ethernet).
struct Frames<'a> {
    listed: &'a Listed,
    next: u64,
    bytes: Vec<u8>,
    at: usize,
}

pub(crate) fn header() -> Vec<u8> {
    let words: [u32; 6] = [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, 1];
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// A frame as a capture holds it; `time` is UNIX time in nanoseconds.
pub(crate) fn record(time: u64, frame: &[u8]) -> Vec<u8> {
    let len = frame.len() as u32;
    let words = [
        (time / 1_000_000_000) as u32,
        (time % 1_000_000_000) as u32,
        len,
        len,
    ];
    let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    bytes.extend(frame);
    bytes
}

impl Read for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.bytes.len() && self.next < QUESTIONS {
            let time = START + self.next * STEP;
            let frame = Ask::random(self.listed, self.next).frame();
            self.bytes.clear();
            self.bytes.extend(record(time, &frame));
            self.at = 0;
            self.next += 2;
        }
        let mut rest = &self.bytes[self.at..];
        let count = rest.read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

/// A small generator with a seed (SplitMix64, Steele 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % bound
    }
}
