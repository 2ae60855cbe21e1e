//! What is odd in a timetable that is no mistake in its writing.

use std::collections::BTreeMap;

use filter_ebpf::abi;
use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::windows::on;
use super::{Change, Window, WindowKind, windows};
use crate::policy::{Door, Policy};
use crate::words::{Message, Said};

/// Findings of one kind that are told.
const EACH: usize = 20;

/// Something to look at, with its line in the policy.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    pub line: usize,
    pub message: Said,
}

/// Looks through the academic year, or the year from `today` on without one.
pub fn findings(policy: &Policy, today: Date) -> Vec<Finding> {
    let year = policy.calendar.year.map_or(
        (today, today.checked_add(1.year()).unwrap_or(today)),
        |year| (year.first, year.last),
    );
    let mut out = Vec::new();
    rooms(policy, year, &mut out);
    shared_classes(policy, year, &mut out);
    one_off_days(policy, &mut out);
    holidays(policy, &mut out);
    unused(policy, &mut out);
    out.sort_by_key(|finding| finding.line);
    out
}

fn note(out: &mut Vec<Finding>, line: usize, message: Said) {
    out.push(Finding { line, message });
}

fn moment(policy: &Policy, date: Date) -> Timestamp {
    let midnight = date.to_datetime(Time::MIN);
    policy
        .timezone
        .to_timestamp(midnight)
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

fn year_of(policy: &Policy, room: usize, (first, last): (Date, Date)) -> Vec<Window> {
    let end = last.tomorrow().unwrap_or(last);
    windows(policy, room, moment(policy, first), moment(policy, end))
}

/// Rooms that are never open, or whose windows the kernel cannot hold.
fn rooms(policy: &Policy, year: (Date, Date), out: &mut Vec<Finding>) {
    for (at, room) in policy.rooms.iter().enumerate() {
        if room.door == Door::Always {
            continue;
        }
        let found = year_of(policy, at, year);
        if found.is_empty() {
            note(
                out,
                room.line,
                Said::new(Message::NoWindow)
                    .with("room", &room.name)
                    .with("from", year.0)
                    .with("to", year.1),
            );
        }
        let eight = SignedDuration::from_hours(8 * 24);
        let many = found.windows(abi::SPANS + 1).find(|some| match some {
            [first, .., last] => last.start.duration_since(first.start) < eight,
            _ => false,
        });
        if many.is_some() {
            note(
                out,
                room.line,
                Said::new(Message::ManyWindows)
                    .with("room", &room.name)
                    .with("count", abi::SPANS),
            );
        }
    }
}

/// A class that is to be in two rooms at once.
fn shared_classes(policy: &Policy, year: (Date, Date), out: &mut Vec<Finding>) {
    let mut held: BTreeMap<String, Vec<(Timestamp, Timestamp, usize, usize)>> = BTreeMap::new();
    for at in 0..policy.rooms.len() {
        for window in year_of(policy, at, year) {
            if let WindowKind::Lesson {
                class: Some(class),
                line,
                ..
            } = window.kind
            {
                held.entry(class)
                    .or_default()
                    .push((window.start, window.end, at, line));
            }
        }
    }
    for (class, mut lessons) in held {
        lessons.sort_unstable();
        let mut told: Vec<(usize, usize)> = Vec::new();
        for pair in lessons.windows(2) {
            let [one, other] = pair else { continue };
            let lines = (one.3.min(other.3), one.3.max(other.3));
            if other.0 >= one.1 || told.contains(&lines) || told.len() >= EACH {
                continue;
            }
            told.push(lines);
            let name = |at: usize| policy.rooms.get(at).map_or("", |room| &room.name);
            let when = policy
                .timezone
                .to_datetime(other.0)
                .strftime("%Y-%m-%d %H:%M")
                .to_string();
            note(
                out,
                lines.1,
                Said::new(Message::ClassTwice)
                    .with("class", &class)
                    .with("one", name(one.2))
                    .with("other", name(other.2))
                    .with("when", when),
            );
        }
    }
}

/// Lessons that have no bells on a day with other bells, days out of term.
fn one_off_days(policy: &Policy, out: &mut Vec<Finding>) {
    for day in &policy.calendar.days {
        if let Some(year) = policy.calendar.year.filter(|year| !year.contains(day.date)) {
            note(
                out,
                day.line,
                Said::new(Message::DayOutOfYear)
                    .with("date", day.date)
                    .with("from", year.first)
                    .with("to", year.last),
            );
        }
        let Change::Open {
            like,
            bells,
            timetable,
        } = day.change
        else {
            continue;
        };
        for (at, room) in policy.rooms.iter().enumerate() {
            let named = day.rooms.is_empty() && room.follows_calendar || day.rooms.contains(&at);
            let Door::Timed {
                timetable: Some(own),
                ..
            } = room.door
            else {
                continue;
            };
            let Some(table) = policy
                .timetables
                .get(timetable.unwrap_or(own))
                .filter(|_| named)
            else {
                continue;
            };
            let like = like.unwrap_or(day.date.weekday());
            let planned: usize = table
                .entries
                .iter()
                .filter(|e| e.days.contains(like))
                .map(|e| e.lessons.len())
                .sum();
            let lessons = on(policy, room, at, day.date);
            let rung = lessons
                .iter()
                .filter(|local| matches!(local.kind, WindowKind::Lesson { .. }))
                .count();
            if rung < planned && bells.is_some() {
                note(
                    out,
                    day.line,
                    Said::new(Message::NoBells)
                        .with("count", planned - rung)
                        .with("room", &room.name)
                        .with("date", day.date)
                        .with("name", &day.name),
                );
            }
        }
    }
}

/// Holidays and breaks that close nothing.
fn holidays(policy: &Policy, out: &mut Vec<Finding>) {
    let calendar = &policy.calendar;
    let mut far = BTreeMap::new();
    for holiday in &calendar.holidays {
        let outside = calendar
            .year
            .is_some_and(|year| !year.touches(&holiday.span));
        let between = !calendar.terms.is_empty()
            && !calendar
                .terms
                .iter()
                .any(|term| term.span.touches(&holiday.span));
        if outside || between {
            // A calendar file brings many under one line.
            far.entry(holiday.line).or_insert_with(|| {
                Said::new(Message::HolidayOutOfTerm)
                    .with("name", &holiday.name)
                    .with("date", holiday.span.first)
            });
        }
    }
    for (line, message) in far {
        note(out, line, message);
    }
    for pause in &calendar.breaks {
        if let Some(term) = calendar
            .terms
            .iter()
            .find(|term| term.span.touches(&pause.span))
        {
            note(
                out,
                pause.line,
                Said::new(Message::BreakInTerm)
                    .with("name", &pause.name)
                    .with("term", &term.name),
            );
        }
    }
}

fn unused(policy: &Policy, out: &mut Vec<Finding>) {
    let days = || policy.calendar.days.iter().map(|day| &day.change);
    for (at, table) in policy.timetables.iter().enumerate() {
        let in_room = policy
            .rooms
            .iter()
            .any(|room| matches!(room.door, Door::Timed { timetable: Some(own), .. } if own == at));
        let on_day = days().any(
            |change| matches!(change, Change::Open { timetable: Some(other), .. } if *other == at),
        );
        if !in_room && !on_day {
            note(
                out,
                table.line,
                Said::new(Message::UnusedTimetable).with("name", &table.name),
            );
        }
    }
    for (at, bells) in policy.bells.iter().enumerate() {
        let in_table = policy.timetables.iter().any(|table| table.bells == at);
        let on_day = days().any(
            |change| matches!(change, Change::Open { bells: Some(other), .. } if *other == at),
        );
        if !in_table && !on_day {
            note(
                out,
                bells.line,
                Said::new(Message::UnusedBells).with("name", &bells.name),
            );
        }
    }
}
