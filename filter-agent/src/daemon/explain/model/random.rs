//! Random schools with their policies, and what people hold there.

use std::fmt::Write as _;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::{Bells, CATEGORIES, Category, Cell, Entry, Model, OneOff, Timetable};
use crate::calendar::tests::{DAYS, ZONES};
use crate::daemon::doors::Holds;
use crate::explain::tests::Random;
use crate::store::blocks;
use crate::store::grants::{self, Grant, Subject};
use crate::store::leases::Lease;
use crate::store::modes::{Held, Hold};

const SHIFTS: [&str; 2] = ["first", "second"];

fn some_date(r: &mut Random) -> Date {
    date(2026, 1, 1).saturating_add((r.below(365) as i64).days())
}

pub(super) fn some_host(r: &mut Random) -> String {
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
    pub(super) fn random(r: &mut Random) -> Self {
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
}

pub(super) fn hold(r: &mut Random, at: Timestamp, host: &str) -> Holds {
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
