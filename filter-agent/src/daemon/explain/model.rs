//! The agent's decision for a room and a moment against a model that knows
//! nothing of the agent: random policies, each asked once.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};

use super::*;
use crate::explain::tests::Random;
use crate::store::blocks;
use crate::store::grants::{self, Grant};
use crate::store::leases::Lease;
use crate::store::modes::Held;

const CASES: u64 = 10_000;
const ZONES: [&str; 6] = [
    "Asia/Bishkek",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/New_York",
    "America/Santiago",
    "Pacific/Apia",
];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const SHIFTS: [&str; 2] = ["first", "second"];
const CATEGORIES: usize = 4;

/// Lessons of both shifts, minutes of the day.
type Bells = [Vec<(u64, u64)>; 2];

struct Entry {
    /// From 0 for Monday.
    days: Vec<u64>,
    /// From 1.
    numbers: Vec<u64>,
    shift: usize,
    group: usize,
}

enum Timetable {
    Always,
    /// Weekday, begin, end; over 1440 past midnight.
    Windows(Vec<(u64, u64, u64)>),
    Lessons(Vec<Entry>),
}

/// What is different on one day; `None` for closed.
struct OneOff {
    date: Date,
    rings: Option<(Option<u64>, Option<usize>)>,
    here: bool,
}

struct Cell {
    allow: bool,
    until: Option<Date>,
}

#[derive(Default)]
struct Category {
    locked: bool,
    /// Name, and whether it is this host only.
    hosts: Vec<(String, bool)>,
    /// The last number of addresses in 198.51.100.0/24.
    range: Option<(u8, u8)>,
}

/// A school as its own generator knows it: nothing is read from the policy.
struct Model {
    text: String,
    zone: TimeZone,
    bells: [Bells; 2],
    timetable: Timetable,
    follows: bool,
    supervised: bool,
    year: Option<(Date, Date)>,
    terms: Vec<(Date, Date)>,
    off: Vec<(Date, Date)>,
    one_off: Vec<OneOff>,
    categories: Vec<Category>,
    /// By group and category.
    cells: [[Option<Cell>; CATEGORIES]; 2],
    open_by_default: [bool; 2],
}

fn some_date(r: &mut Random) -> Date {
    date(2026, 1, 1).saturating_add((r.below(365) as i64).days())
}

fn some_host(r: &mut Random) -> String {
    let mut host = format!("site{}.example", r.below(4));
    for _ in 0..r.below(3) {
        host = format!("{}.{host}", ["a", "b"][r.below(2) as usize]);
    }
    host
}

fn clock(minute: u64) -> String {
    format!("{:02}:{:02}", minute % 1440 / 60, minute % 60)
}

fn some_bells(r: &mut Random, name: &str, text: &mut String) -> Bells {
    let _ = write!(text, "[[bells]]\nname = \"{name}\"\n");
    let mut at = 420 + r.below(120);
    SHIFTS.map(|shift| {
        let lessons: Vec<_> = (0..1 + r.below(6))
            .map(|_| {
                let begin = at + r.below(20);
                at = begin + 20 + r.below(40);
                (begin, at)
            })
            .collect();
        let written: Vec<_> = lessons
            .iter()
            .map(|(begin, end)| format!("{}-{}", clock(*begin), clock(*end)))
            .collect();
        let _ = write!(
            text,
            "[[bells.shift]]\nname = \"{shift}\"\nlessons = {written:?}\n"
        );
        lessons
    })
}

fn some_days(r: &mut Random) -> (Vec<u64>, String) {
    let (first, more) = (r.below(7), r.below(6));
    let days = (0..=more).map(|day| (first + day) % 7).collect();
    let last = (first + more) % 7;
    let text = format!("{}-{}", DAYS[first as usize], DAYS[last as usize]);
    (days, text)
}

impl Model {
    fn random(r: &mut Random) -> Self {
        let zone = ZONES[r.below(6) as usize];
        let mut text = format!("timezone = \"{zone}\"\n[network]\nlan = [\"eth1\"]\n");
        let categories: Vec<Category> = (0..CATEGORIES)
            .map(|number| Self::category(r, number, &mut text))
            .collect();
        let (mut cells, mut open_by_default) =
            ([const { [const { None }; CATEGORIES] }; 2], [false; 2]);
        for group in 0..2 {
            open_by_default[group] = r.below(2) == 0;
            cells[group] = Self::group(r, group, open_by_default[group], &categories, &mut text);
        }
        let bells = ["usual", "short"].map(|name| some_bells(r, name, &mut text));
        let mut model = Self {
            text: String::new(),
            zone: TimeZone::get(zone).unwrap(),
            bells,
            timetable: Timetable::Always,
            follows: r.below(5) > 0,
            supervised: false,
            year: None,
            terms: Vec::new(),
            off: Vec::new(),
            one_off: Vec::new(),
            categories,
            cells,
            open_by_default,
        };
        let _ = write!(
            text,
            "[[room]]\nname = \"other\"\nvlan = 2\ngroup = \"g0\"\n"
        );
        let _ = write!(
            text,
            "[[room]]\nname = \"r\"\nvlan = 1\ngroup = \"g0\"\nfollows_calendar = {}\n",
            model.follows
        );
        model.door(r, &mut text);
        model.calendar(r, &mut text);
        model.text = text;
        model
    }

    fn category(r: &mut Random, number: usize, text: &mut String) -> Category {
        let mut category = Category {
            locked: number == 0 && r.below(2) == 0,
            ..Category::default()
        };
        for _ in 0..1 + r.below(3) {
            let (host, exact) = (some_host(r), r.below(4) == 0);
            if category.hosts.iter().all(|(name, _)| *name != host) {
                category.hosts.push((host, exact));
            }
        }
        let hosts: Vec<_> = category
            .hosts
            .iter()
            .map(|(name, exact)| format!("{}{name}", if *exact { "=" } else { "" }))
            .collect();
        let _ = write!(
            text,
            "[[category]]\nname = \"c{number}\"\nlocked = {}\nhosts = {hosts:?}\n",
            category.locked
        );
        if r.below(3) == 0 {
            let first = r.below(16) as u8 * 16;
            category.range = Some((first, first + 15));
            let _ = writeln!(text, "ranges = [\"198.51.100.{first}/28\"]");
        }
        category
    }

    fn group(
        r: &mut Random,
        group: usize,
        open: bool,
        categories: &[Category],
        text: &mut String,
    ) -> [Option<Cell>; CATEGORIES] {
        let mut lists = [String::new(), String::new()];
        let cells = std::array::from_fn(|category| {
            let allow = match r.below(3) {
                0 if !categories[category].locked => true,
                1 => false,
                _ => return None,
            };
            let until = (r.below(3) == 0).then(|| some_date(r));
            let end = until.map_or_else(String::new, |until| format!(", until = {until}"));
            let _ = write!(
                lists[usize::from(allow)],
                "{{ category = \"c{category}\"{end} }}, "
            );
            Some(Cell { allow, until })
        });
        let default = ["listed-only", "open"][usize::from(open)];
        let _ = write!(
            text,
            "[[group]]\nname = \"g{group}\"\ndefault = \"{default}\"\ndeny = [{}]\nallow = [{}]\n",
            lists[0], lists[1]
        );
        cells
    }

    fn door(&mut self, r: &mut Random, text: &mut String) {
        let kind = r.below(8);
        if kind == 0 {
            return;
        }
        self.supervised = r.below(2) == 0;
        let _ = writeln!(text, "supervised = {}", self.supervised);
        let (mut windows, mut entries) = (Vec::new(), Vec::new());
        let (mut open, mut lessons) = (String::new(), String::new());
        for _ in 0..1 + r.below(3) {
            let (days, written) = some_days(r);
            if kind < 4 {
                let begin = r.below(1440);
                let end = begin + 1 + r.below(900);
                let _ = write!(open, "\"{written} {}-{}\", ", clock(begin), clock(end));
                windows.extend(days.into_iter().map(|day| (day, begin, end)));
                continue;
            }
            let shift = r.below(2) as usize;
            let most = self.bells[0][shift].len() as u64;
            let first = 1 + r.below(most);
            let last = first + r.below(most - first + 1);
            let group = usize::from(r.below(4) == 0);
            let _ = write!(
                lessons,
                "{{ days = \"{written}\", numbers = \"{first}-{last}\", shift = \"{}\", group = \"g{group}\" }}, ",
                SHIFTS[shift]
            );
            entries.push(Entry {
                days,
                numbers: (first..=last).collect(),
                shift,
                group,
            });
        }
        if kind < 4 {
            let _ = writeln!(text, "open = [{open}]");
            self.timetable = Timetable::Windows(windows);
        } else {
            let _ = writeln!(text, "bells = \"usual\"\nlessons = [{lessons}]");
            self.timetable = Timetable::Lessons(entries);
        }
    }

    fn calendar(&mut self, r: &mut Random, text: &mut String) {
        let _ = write!(text, "[calendar]\nholidays = \"none\"\n");
        if r.below(3) == 0 {
            let year = (date(2026, 1, 1), date(2026, 6, 1 + r.below(25) as i8));
            let _ = writeln!(text, "year = {{ from = {}, to = {} }}", year.0, year.1);
            self.year = Some(year);
            if r.below(2) == 0 {
                self.terms
                    .push((year.0, date(2026, 5, 1 + r.below(25) as i8)));
            }
        }
        let span = |r: &mut Random| {
            let from = some_date(r);
            (from, from.saturating_add((r.below(15) as i64).days()))
        };
        for _ in 0..r.below(3) {
            self.off.push(span(r));
        }
        let holidays = self.off.len();
        if r.below(2) == 0 {
            self.off.push(span(r));
        }
        for (at, (from, to)) in self.off.iter().enumerate() {
            let key = if at < holidays { "holiday" } else { "break" };
            let _ = write!(
                text,
                "[[calendar.{key}]]\nname = \"x\"\nfrom = {from}\nto = {to}\n"
            );
        }
        for (from, to) in &self.terms {
            let _ = write!(
                text,
                "[[calendar.term]]\nname = \"I\"\nfrom = {from}\nto = {to}\n"
            );
        }
        for _ in 0..r.below(5) {
            let _ = write!(text, "[[calendar.day]]\nname = \"d\"\n");
            let on = some_date(r);
            let _ = writeln!(text, "date = {on}");
            let (mut like, mut bells) = (None, None);
            let closed = r.below(3) == 0;
            if closed {
                let _ = writeln!(text, "closed = true");
            } else {
                let what = r.below(3);
                if what != 1 {
                    like = Some(r.below(7));
                }
                if what != 0 {
                    bells = Some(1);
                    let _ = writeln!(text, "bells = \"short\"");
                }
            }
            if let Some(day) = like {
                let _ = writeln!(text, "like = \"{}\"", DAYS[day as usize]);
            }
            let here = match r.below(4) {
                0 => {
                    let _ = writeln!(text, "rooms = [\"other\"]");
                    false
                }
                1 => {
                    let _ = writeln!(text, "rooms = [\"r\", \"other\"]");
                    true
                }
                _ => self.follows,
            };
            self.one_off.push(OneOff {
                date: on,
                rings: (!closed).then_some((like, bells)),
                here,
            });
        }
    }

    /// The weekday that a date runs like and its bells; `None` when off.
    fn day(&self, on: Date) -> Option<(u64, usize)> {
        let weekday = on.weekday().to_monday_zero_offset() as u64;
        let days = self.one_off.iter().rev();
        if let Some(day) = days.clone().find(|day| day.here && day.date == on) {
            let (like, bells) = day.rings?;
            return Some((like.unwrap_or(weekday), bells.unwrap_or(0)));
        }
        let within = |(from, to): &(Date, Date)| *from <= on && on <= *to;
        let free = self.off.iter().any(within)
            || self.year.is_some_and(|year| !within(&year))
            || !self.terms.is_empty() && !self.terms.iter().any(within);
        (!self.follows || !free).then_some((weekday, 0))
    }

    /// Who is in the room by its timetable; looks at the clock on the wall,
    /// as a person would.
    fn inside(&self, at: Timestamp) -> Option<usize> {
        let wall = self.zone.to_datetime(at);
        let minute = wall.hour() as u64 * 60 + wall.minute() as u64;
        let today = self.day(wall.date());
        let yesterday = self.day(wall.date().yesterday().unwrap());
        match &self.timetable {
            Timetable::Always => Some(0),
            Timetable::Windows(windows) => {
                let held = |(day, begin, end): &(u64, u64, u64)| {
                    let on = |like: Option<(u64, usize)>, minute| {
                        like.is_some_and(|(like, _)| like == *day)
                            && (*begin..*end).contains(&minute)
                    };
                    on(today, minute) || on(yesterday, minute + 1440)
                };
                windows.iter().any(held).then_some(0)
            }
            Timetable::Lessons(entries) => {
                let (like, bells) = today?;
                let mut of_today = entries.iter().filter(|entry| entry.days.contains(&like));
                let held = of_today.find(|entry| {
                    let lessons = &self.bells[bells][entry.shift];
                    let mut numbers = entry.numbers.iter();
                    numbers.any(|number| {
                        let lesson = lessons.get(*number as usize - 1);
                        lesson.is_some_and(|(begin, end)| (*begin..*end).contains(&minute))
                    })
                });
                held.map(|entry| entry.group)
            }
        }
    }

    /// Whether the packet passes.
    fn passes(&self, held: &Holds, at: Timestamp, host: &str, last: u8) -> bool {
        let inside = self.inside(at);
        let switched = held.modes.first().map(|mode| mode.mode == Hold::Open);
        let by_plan = inside.is_some() && (!self.supervised || !held.leases.is_empty());
        if !switched.unwrap_or(by_plan) {
            return false;
        }
        let group = inside.unwrap_or(0);
        let today = self.zone.to_datetime(at).date();
        let granted = |wanted: Subject| held.grants.iter().any(|grant| grant.what == wanted);
        let locked = |category: usize| self.categories[category].locked;
        // Locked denies, allowed or granted beats denied.
        let says = |of: &[usize]| -> Option<bool> {
            if of.iter().any(|category| locked(*category)) {
                return Some(false);
            }
            let cells: Vec<bool> = of
                .iter()
                .filter_map(|category| {
                    if granted(Subject::Category(format!("c{category}"))) {
                        return Some(true);
                    }
                    let cell = self.cells[group][*category].as_ref()?;
                    let over = cell.until.is_some_and(|until| until < today);
                    (!over).then_some(cell.allow)
                })
                .collect();
            cells.iter().copied().reduce(|one, other| one || other)
        };
        let all = 0..CATEGORIES;
        let of_range: Vec<usize> = all
            .clone()
            .filter(|category| {
                let range = self.categories[*category].range;
                range.is_some_and(|(first, end)| (first..=end).contains(&last))
            })
            .collect();
        let range = says(&of_range);
        if range == Some(false) || !held.blocks.is_empty() {
            return false;
        }
        // The host and what stands above it, the longest name first.
        let mut levels: Vec<Vec<usize>> = Vec::new();
        let mut name = Some(host);
        while let Some(suffix) = name {
            let of_name = all.clone().filter(|category| {
                let mut hosts = self.categories[*category].hosts.iter();
                hosts.any(|(entry, exact)| entry == suffix && (!exact || suffix == host))
            });
            levels.push(of_name.collect());
            name = suffix.split_once('.').map(|(_, above)| above);
        }
        if levels.iter().flatten().any(|category| locked(*category)) {
            return false;
        }
        if granted(Subject::Host(host.to_owned())) {
            return true;
        }
        let by_name = levels.iter().find_map(|of| says(of));
        by_name.or(range).unwrap_or(self.open_by_default[group])
    }
}

fn hold(r: &mut Random, at: Timestamp, host: &str) -> Holds {
    let until = at + SignedDuration::from_mins(1 + r.below(50) as i64);
    let since = at - SignedDuration::from_mins(1 + r.below(50) as i64);
    let mut holds = Holds::default();
    if r.below(3) > 0 {
        holds.leases.push(Lease {
            room: "r".to_owned(),
            holder: "t".to_owned(),
            uid: 1,
            since,
            until,
        });
    }
    if r.below(6) == 0 {
        holds.modes.push(Held {
            room: "r".to_owned(),
            mode: [Hold::Open, Hold::Closed][r.below(2) as usize],
            by: "t".to_owned(),
            reason: None,
            since,
            until: Some(until),
        });
    }
    let what = match r.below(4) {
        0 => Some(Subject::Category(format!("c{}", r.below(4)))),
        1 if r.below(2) == 0 => Some(Subject::Host(host.to_owned())),
        _ => None,
    };
    holds.grants.extend(what.map(|what| Grant {
        id: 1,
        what,
        scope: grants::Scope::Room("r".to_owned()),
        by: "t".to_owned(),
        reason: String::new(),
        since,
        until,
        revoked: None,
        revoked_by: None,
    }));
    if r.below(20) == 0 {
        holds.blocks.push(blocks::Block {
            id: 1,
            target: host.to_owned(),
            kind: blocks::Kind::Block,
            state: blocks::State::Active,
            by: "t".to_owned(),
            reason: None,
            since,
            decided: None,
            decided_by: None,
            decision: None,
        });
    }
    holds
}

#[test]
fn the_agents_decision_equals_the_model_for_ten_thousand_policies_and_moments() {
    let folder = std::env::temp_dir().join(format!("model-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let copies = build::copies(&folder).unwrap();
    let mut r = Random(0x6d6f_6465);
    let (mut cases, mut passed, mut refused) = (0, 0, 0);
    while cases < CASES {
        let model = Model::random(&mut r);
        let policy = match Policy::parse(&model.text, Path::new("random.toml")) {
            Ok(policy) => policy,
            // Overlapping windows and lessons are refused, rightly.
            Err(error) => {
                assert!(
                    error.to_string().contains("overlap") || error.to_string().contains("twice"),
                    "{error}\n{}",
                    model.text
                );
                refused += 1;
                continue;
            }
        };
        let mut at = Timestamp::from_second(1_767_225_600 + r.below(365 * 86_400) as i64).unwrap();
        match r.below(4) {
            0 => {
                if let Some(change) = policy.timezone.following(at).next() {
                    at = change.timestamp() + SignedDuration::from_mins(r.below(300) as i64 - 150);
                }
            }
            1 => {
                // Days that differ.
                if let Some(day) = model.one_off.first() {
                    let noon = day.date.at(6 + r.below(12) as i8, r.below(60) as i8, 0, 0);
                    at = model.zone.to_timestamp(noon).unwrap();
                }
            }
            _ => {}
        }
        let (host, last) = (some_host(&mut r), r.below(256) as u8);
        let holds = hold(&mut r, at, &host);
        let want = model.passes(&holds, at, &host, last);
        let text = model.text;
        let in_force = InForce {
            policy,
            text: String::new(),
            generation: 1,
            groups: Vec::new(),
            applied: at,
            by: String::new(),
            load: Duration::ZERO,
            lists: Vec::new(),
            links: [0; filter_ebpf::abi::MAX_LINKS],
        };
        let told = Case {
            in_force: &in_force,
            holds: &holds,
            copies: &copies,
            room: 1,
            at,
            host: Some(&host),
            addr: Some(IpAddr::from([198, 51, 100, last])),
        }
        .answer()
        .unwrap();
        assert_eq!(
            told.verdict == "pass",
            want,
            "{host} {last} {at} {told:?}\n{text}"
        );
        cases += 1;
        passed += u64::from(want);
    }
    std::fs::remove_dir_all(&folder).unwrap();
    println!("{cases} decisions, {passed} of them pass, {refused} policies refused");
    assert!((1_000..9_000).contains(&passed), "{passed}");
}
