use std::fmt::Write as _;
use std::path::Path;

use filter_ebpf::abi;
use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::access::{Clock, of_room, spans};
use super::state::Closed;
use super::{DayOff, Window, WindowKind, picture, state_at, windows};
use crate::policy::Policy;
use crate::words::Language;

const SCHOOL: &str = "../docs/examples/school-12-rooms.toml";

fn example() -> Policy {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCHOOL);
    Policy::load(&path).unwrap()
}

fn room(zone: &str, rest: &str) -> Policy {
    let text = format!(
        "timezone = \"{zone}\"\n[network]\nlan = [\"eth1\"]\n[[group]]\nname = \"g\"\ndefault = \"open\"\n\
         [[bells]]\nname = \"main\"\nlessons = [\"08:00-08:45\", \"08:50-09:35\"]\n\
         [[room]]\nname = \"r\"\nvlan = 1\ngroup = \"g\"\n{rest}"
    );
    match Policy::parse(&text, Path::new("test.toml")) {
        Ok(policy) => policy,
        Err(errors) => panic!("{errors}"),
    }
}

fn at(policy: &Policy, local: &str) -> Timestamp {
    let local: DateTime = local.parse().unwrap();
    policy.timezone.to_timestamp(local).unwrap()
}

fn shown(policy: &Policy, from: &str, to: &str) -> Vec<String> {
    windows(policy, 0, at(policy, from), at(policy, to))
        .iter()
        .map(|w| format!("{} {}", w.start, w.end))
        .collect()
}

#[test]
fn skipped_minutes_are_in_no_window() {
    // Berlin, 29 March 2026: 02:00 becomes 03:00.
    let policy = room(
        "Europe/Berlin",
        "open = [\"daily 01:30-02:30\", \"daily 02:40-02:50\", \"daily 02:55-03:10\"]",
    );
    assert_eq!(
        shown(&policy, "2026-03-29T00:00", "2026-03-29T12:00"),
        [
            "2026-03-29T00:30:00Z 2026-03-29T01:00:00Z",
            "2026-03-29T01:00:00Z 2026-03-29T01:10:00Z",
        ]
    );
}

#[test]
fn repeated_minutes_are_in_a_window_twice() {
    // Berlin, 25 October 2026: 03:00 becomes 02:00.
    let policy = room(
        "Europe/Berlin",
        "open = [\"daily 02:10-02:20\", \"daily 02:30-03:30\"]",
    );
    assert_eq!(
        shown(&policy, "2026-10-25T00:00", "2026-10-25T12:00"),
        [
            "2026-10-25T00:10:00Z 2026-10-25T00:20:00Z",
            "2026-10-25T00:30:00Z 2026-10-25T01:00:00Z",
            "2026-10-25T01:10:00Z 2026-10-25T01:20:00Z",
            "2026-10-25T01:30:00Z 2026-10-25T02:30:00Z",
        ]
    );
    let whole = room("Europe/Berlin", "open = [\"daily 01:00-04:00\"]");
    assert_eq!(
        shown(&whole, "2026-10-25T00:00", "2026-10-25T12:00"),
        ["2026-10-24T23:00:00Z 2026-10-25T03:00:00Z"]
    );
}

/// The window's end reads earlier than its begin.
#[test]
fn the_week_in_which_clocks_are_set_back_is_drawn() {
    let policy = room(
        "Europe/Berlin",
        "open = [\"Sun 02:30-04:00\", \"Mon 00:00-24:00\"]\n[calendar]\nholidays = \"none\"",
    );
    let day = date(2026, 10, 25);
    let text = picture::week_text(&policy, 0, day, Language::English, 120);
    assert!(
        text.contains("02:30-03:00") && text.contains("02:30-04:00"),
        "{text}"
    );
    assert!(text.contains("00:00-24:00"), "{text}");
    let svg = picture::week_svg(&policy, &[0], day, Language::English);
    assert!(svg.contains("02:30-03:00 open"), "{svg}");
}

#[test]
fn the_week_fits_a_terminal_of_80_columns() {
    let policy = example();
    let day = date(2026, 11, 9);
    for language in [Language::English, Language::Russian, Language::Kyrgyz] {
        for room in 0..policy.rooms.len() {
            let text = picture::week_text(&policy, room, day, language, 80);
            // The heading is as long as its names.
            let longest = text.lines().skip(1).map(|line| line.chars().count()).max();
            assert!(longest <= Some(80), "{text}");
        }
    }
}

#[test]
fn a_window_past_midnight_belongs_to_the_day_it_begins_on() {
    let policy = room(
        "Asia/Bishkek",
        "open = [\"Sat 22:00-02:00\"]\n[calendar]\nholidays = \"none\"\n[[calendar.holiday]]\nname = \"h\"\ndate = 2026-09-12\n",
    );
    assert_eq!(
        shown(&policy, "2026-09-06T01:00", "2026-09-21T00:00"),
        [
            "2026-09-05T16:00:00Z 2026-09-05T20:00:00Z",
            "2026-09-19T16:00:00Z 2026-09-19T20:00:00Z",
        ]
    );
}

#[test]
fn the_kernel_is_told_eight_days_and_more() {
    let policy = example();
    let clock = Clock {
        wall: at(&policy, "2026-09-07T07:00"),
        monotonic: 1_000,
    };
    for (index, room) in policy.rooms.iter().enumerate() {
        let told = of_room(&policy, index, room.group, clock);
        assert!(
            told.known_until - clock.monotonic >= 8 * 86_400 * 1_000_000_000,
            "{}",
            room.name
        );
        assert!(told.spans.is_sorted_by(|a, b| a.end < b.start));
    }
}

fn window(start: i64, end: i64) -> Window {
    let second = |s| Timestamp::from_second(s).unwrap();
    Window {
        start: second(start),
        end: second(end),
        kind: WindowKind::Plain { line: 1 },
        group: 0,
    }
}

#[test]
fn spans_merge_what_touches_and_admit_what_does_not_fit() {
    let clock = Clock {
        wall: Timestamp::from_second(100).unwrap(),
        monotonic: 5_000_000_000,
    };
    let until = Timestamp::from_second(10_000).unwrap();
    let told = spans(
        &[
            window(50, 90),
            window(90, 110),
            window(110, 120),
            window(130, 140),
        ],
        clock,
        until,
    );
    let second = 1_000_000_000;
    // What began 10 s before now began 5 s before the clock did.
    assert_eq!(
        told.spans,
        [
            abi::Span {
                start: 0,
                end: 25 * second
            },
            abi::Span {
                start: 35 * second,
                end: 45 * second
            },
        ]
    );
    assert_eq!(told.known_until, 9_905 * second);
    let many: Vec<_> = (0..=abi::SPANS as i64)
        .map(|i| window(200 + i * 10, 205 + i * 10))
        .collect();
    let told = spans(&many, clock, until);
    assert_eq!(told.spans.len(), abi::SPANS);
    let left_out = 200 + abi::SPANS as i64 * 10;
    assert_eq!(told.known_until, (left_out as u64 - 95) * second);
    let mut access = abi::Access::UNKNOWN;
    told.write(&mut access);
    assert_eq!(
        (access.spans_len as usize, access.known_until),
        (abi::SPANS, told.known_until)
    );
}

#[test]
fn a_closed_room_says_why() {
    let policy = example();
    let room = policy.room("101").unwrap();
    let state = |local: &str| state_at(&policy, room, at(&policy, local)).unwrap();
    let lesson = state("2026-09-07T08:10");
    assert_eq!((lesson.lesson(), lesson.closed), (Some(1), None));
    assert_eq!(state("2026-09-07T08:47").closed, Some(Closed::Between));
    assert_eq!(state("2026-09-07T07:59").closed, Some(Closed::BeforeFirst));
    assert_eq!(state("2026-09-07T18:00").closed, Some(Closed::AfterLast));
    assert_eq!(
        state("2026-09-05T10:00").closed,
        Some(Closed::NoLessonsToday)
    );
    let day = |local: &str| match state(local).closed {
        Some(Closed::Day(off)) => off,
        other => panic!("{other:?}"),
    };
    assert_eq!(day("2026-11-05T10:00"), DayOff::Break("autumn break"));
    assert_eq!(day("2027-03-10T10:00"), DayOff::Holiday("Orozo Ait"));
    assert!(matches!(
        day("2026-09-01T10:00".replace("09-01", "11-07").as_str()),
        DayOff::Public(_)
    ));
    assert_eq!(day("2026-08-20T10:00"), DayOff::OutOfYear);
    assert_eq!(day("2027-05-28T10:00"), DayOff::OutOfTerm);
    // A one-off Saturday runs like a Monday.
    assert_eq!(state("2026-11-14T08:10").lesson(), Some(1));
    // Shortened bells: lesson 2 at 08:40.
    let monday = state("2026-10-05T08:40");
    assert_eq!(
        (monday.lesson(), monday.day),
        (Some(2), Some("Teachers' day"))
    );
    let next = state("2026-11-05T10:00").next.unwrap();
    assert_eq!(next.start, at(&policy, "2026-11-11T08:00"));
}

#[test]
fn a_lesson_of_another_group_waits_for_its_image() {
    let policy = example();
    let room = policy.room("101").unwrap();
    let (students, teachers) = (
        policy.group("students").unwrap(),
        policy.group("teachers").unwrap(),
    );
    let friday = Clock {
        wall: at(&policy, "2026-09-11T16:00"),
        monotonic: 0,
    };
    let course = at(&policy, "2026-09-11T16:45");
    assert_eq!(windows::group_at(&policy, room, friday.wall), students);
    assert_eq!(windows::group_at(&policy, room, course), teachers);
    assert_eq!(policy.next_compile(friday.wall), Some(course));
    let told = of_room(&policy, room, students, friday);
    let begin = friday.monotonic(course);
    assert!(told.spans.iter().all(|span| span.start != begin));
    let told = of_room(&policy, room, teachers, friday);
    assert_eq!(told.spans.first().map(|span| span.start), Some(begin));
    assert_eq!(
        policy.next_compile(course),
        Some(at(&policy, "2026-09-11T17:30"))
    );
}

/// Small and repeatable; the seed is the case.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

pub(crate) const ZONES: [&str; 6] = [
    "Asia/Bishkek",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/New_York",
    "America/Santiago",
    "Pacific/Apia",
];
pub(crate) const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// A policy as its own generator knows it: nothing here is read from the
/// parsed policy.
#[derive(Default)]
struct Model {
    text: String,
    zone: usize,
    /// Weekday (0 is Monday), first and last minute, over 1440 past midnight.
    windows: Vec<(u64, u64, u64)>,
    off: Vec<(Date, Date)>,
    /// Date and the weekday it runs like; 7: closed.
    one_off: Vec<(Date, u64)>,
    kyrgyz: bool,
}

impl Model {
    fn random(r: &mut Random) -> Self {
        let mut model = Self {
            zone: r.below(6) as usize,
            ..Self::default()
        };
        let mut open = String::new();
        for _ in 0..=r.below(4) {
            let (first, len) = (r.below(7), r.below(4));
            let (start, length) = (r.below(1440), 1 + r.below(1440));
            let end = start + length;
            let last = (first + len) % 7;
            let clock = |m: u64| format!("{:02}:{:02}", m % 1440 / 60, m % 60);
            let _ = write!(
                open,
                "\"{}-{} {}-{}\", ",
                DAYS[first as usize],
                DAYS[last as usize],
                clock(start),
                clock(end)
            );
            for day in 0..=len {
                model.windows.push(((first + day) % 7, start, end));
            }
        }
        let mut calendar = String::new();
        model.kyrgyz = r.below(2) == 0;
        let public = if model.kyrgyz { "kyrgyzstan" } else { "none" };
        let _ = write!(calendar, "[calendar]\nholidays = \"{public}\"\n");
        let day = |r: &mut Random| {
            date(2026, 1, 1)
                .checked_add(SignedDuration::from_hours(24 * r.below(365) as i64))
                .unwrap()
        };
        for _ in 0..r.below(4) {
            let from = day(r);
            let to = from
                .checked_add(SignedDuration::from_hours(24 * r.below(20) as i64))
                .unwrap();
            model.off.push((from, to));
            let _ = write!(
                calendar,
                "[[calendar.holiday]]\nname = \"h\"\nfrom = {from}\nto = {to}\n"
            );
        }
        for _ in 0..r.below(4) {
            let (on, like) = (day(r), r.below(8));
            model.one_off.push((on, like));
            let what = DAYS
                .get(like as usize)
                .map_or("closed = true".into(), |day| format!("like = \"{day}\""));
            let _ = write!(
                calendar,
                "[[calendar.day]]\nname = \"d\"\ndate = {on}\n{what}\n"
            );
        }
        model.text = format!(
            "timezone = \"{}\"\n[network]\nlan = [\"eth1\"]\n[[group]]\nname = \"g\"\ndefault = \"open\"\n\
             [[room]]\nname = \"r\"\nvlan = 1\ngroup = \"g\"\nopen = [{open}]\n{calendar}",
            ZONES[model.zone]
        );
        model
    }

    /// The weekday a date runs like; `None` when it is off.
    fn like(&self, on: Date) -> Option<u64> {
        const HOLIDAYS: [(i8, i8); 13] = [
            (1, 1),
            (1, 2),
            (1, 7),
            (2, 23),
            (3, 8),
            (3, 21),
            (4, 7),
            (5, 1),
            (5, 5),
            (5, 9),
            (8, 31),
            (11, 7),
            (11, 8),
        ];
        if let Some((_, like)) = self.one_off.iter().rev().find(|(day, _)| *day == on) {
            return (*like < 7).then_some(*like);
        }
        let holiday = self.kyrgyz && HOLIDAYS.contains(&(on.month(), on.day()));
        if holiday || self.off.iter().any(|(from, to)| *from <= on && on <= *to) {
            return None;
        }
        Some(on.weekday().to_monday_zero_offset() as u64)
    }

    /// Looks at the clock on the wall, as a person would.
    fn open(&self, at: Timestamp) -> bool {
        let wall = TimeZone::get(ZONES[self.zone]).unwrap().to_datetime(at);
        let minute = wall.hour() as u64 * 60 + wall.minute() as u64;
        let today = self.like(wall.date());
        let yesterday = self.like(wall.date().yesterday().unwrap());
        self.windows.iter().any(|(day, start, end)| {
            (today == Some(*day) && (*start..*end).contains(&minute))
                || (yesterday == Some(*day) && (*start..*end).contains(&(minute + 1440)))
        })
    }
}

#[test]
fn ten_thousand_random_policies_and_moments_equal_the_model() {
    let mut r = Random(0x5eed);
    let (mut cases, mut open, mut refused) = (0, 0, 0);
    while cases < 10_000 {
        let model = Model::random(&mut r);
        // Overlapping windows are refused, rightly; the next one, then.
        let Ok(policy) = Policy::parse(&model.text, Path::new("random.toml")) else {
            refused += 1;
            assert!(refused < 100_000);
            continue;
        };
        let mut at = Timestamp::from_second(1_767_225_600 + r.below(365 * 86_400) as i64).unwrap();
        if r.below(3) == 0
            && let Some(change) = policy.timezone.following(at).next()
        {
            // Near a change of the clocks.
            at = change.timestamp() + SignedDuration::from_mins(r.below(300) as i64 - 150);
        }
        let want = model.open(at);
        let seen = state_at(&policy, 0, at).unwrap();
        assert_eq!(seen.is_open(), want, "{at}\n{}", model.text);
        let around = windows(
            &policy,
            0,
            at - SignedDuration::from_hours(50),
            at + SignedDuration::from_hours(50),
        );
        assert!(around.is_sorted_by(|a, b| a.end <= b.start && a.start < a.end));
        assert_eq!(
            around.iter().any(|w| w.start <= at && at < w.end),
            want,
            "{at}\n{}",
            model.text
        );
        cases += 1;
        open += usize::from(want);
    }
    println!("{cases} moments, {open} of them open, {refused} overlapping policies refused");
    assert!((2_000..8_000).contains(&open), "{open} open");
}
