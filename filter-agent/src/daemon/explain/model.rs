//! The agent's decision for a room and a moment against a model that knows
//! nothing of the agent: random policies, each asked once.

mod random;

use std::net::IpAddr;
use std::path::Path;

use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use self::random::{hold, some_host};
use super::tests::in_force;
use super::*;
use crate::explain::tests::Random;

const CASES: u64 = 10_000;
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

impl Model {
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
        let in_force = in_force(policy, at, Vec::new());
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
