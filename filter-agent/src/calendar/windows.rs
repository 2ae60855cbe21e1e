//! From timetables to spans of time.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::{Bells, Day, Entry};
use crate::policy::{Door, Policy, Room};

/// A span in which a room is open, `[start, end)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub start: Timestamp,
    pub end: Timestamp,
    pub kind: WindowKind,
    /// Who is in the room then.
    pub group: usize,
}

/// What opens the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// The room has no timetable.
    Always,
    /// A window without lessons; its line in the policy.
    Plain { line: usize },
    Lesson {
        /// From 1.
        number: u8,
        /// Empty for bells without shifts.
        shift: String,
        class: Option<String>,
        /// Line in the policy.
        line: usize,
    },
}

/// The windows of a room that touch `[from, to)`, whole, sorted, disjoint.
pub fn windows(policy: &Policy, room: usize, from: Timestamp, to: Timestamp) -> Vec<Window> {
    let Some(this) = policy.rooms.get(room) else {
        return Vec::new();
    };
    let Door::Timed { .. } = this.door else {
        return vec![Window {
            start: from,
            end: to,
            kind: WindowKind::Always,
            group: this.group,
        }];
    };
    if from >= to {
        return Vec::new();
    }
    // A window of the day before may reach into this one.
    let day = |at: Timestamp| policy.date(at);
    let first = day(from).yesterday().unwrap_or(Date::MIN);
    let last = day(to).tomorrow().unwrap_or(Date::MAX);
    let offsets = Offsets::around(&policy.timezone, from, to);
    let mut found = Vec::new();
    for date in first.series(1.day()).take_while(|date| *date <= last) {
        for local in on(policy, this, room, date) {
            offsets.instants(date, &local, &mut found);
        }
    }
    let mut found = disjoint(found);
    found.retain(|window| window.start < to && from < window.end);
    found
}

/// A window by the clock on the wall: minutes after midnight of its date.
#[derive(Clone, Debug)]
pub(super) struct Local {
    pub(super) start: u16,
    /// Over 1440 past midnight.
    pub(super) end: u16,
    pub(super) kind: WindowKind,
    pub(super) group: usize,
}

/// What begins in a room on a date.
pub(super) fn on(policy: &Policy, this: &Room, room: usize, date: Date) -> Vec<Local> {
    let Door::Timed { timetable, windows } = &this.door else {
        return Vec::new();
    };
    let Day::School {
        like,
        bells: other_bells,
        timetable: other,
        ..
    } = policy.calendar.day(date, room, this.follows_calendar)
    else {
        return Vec::new();
    };
    let plain = windows.iter().filter(|window| window.days.contains(like));
    let mut found: Vec<Local> = plain
        .map(|window| Local {
            start: window.start,
            end: window.end,
            kind: WindowKind::Plain { line: window.line },
            group: this.group,
        })
        .collect();
    // Another timetable replaces one; it does not give a room its first.
    let timetable = timetable.map(|own| other.unwrap_or(own));
    if let Some(timetable) = timetable.and_then(|at| policy.timetables.get(at))
        && let Some(bells) = policy.bells.get(other_bells.unwrap_or(timetable.bells))
    {
        let today = timetable
            .entries
            .iter()
            .filter(|entry| entry.days.contains(like));
        for entry in today {
            lessons(entry, bells, this.group, &mut found);
        }
    }
    found
}

fn lessons(entry: &Entry, bells: &Bells, group: usize, found: &mut Vec<Local>) {
    // Other bells may ring for fewer shifts and lessons: those are not held.
    let Some(shift) = bells.shifts.iter().find(|shift| shift.name == entry.shift) else {
        return;
    };
    for number in &entry.lessons {
        let Some(lesson) = shift.lessons.get(usize::from(*number).wrapping_sub(1)) else {
            continue;
        };
        found.push(Local {
            start: lesson.start,
            end: lesson.end,
            kind: WindowKind::Lesson {
                number: *number,
                shift: entry.shift.clone(),
                class: entry.class.clone(),
                line: entry.line,
            },
            group: entry.group.unwrap_or(group),
        });
    }
}

/// Spans of time with one offset from UTC each.
struct Offsets {
    spans: Vec<(Timestamp, Timestamp, Offset)>,
}

impl Offsets {
    fn around(zone: &TimeZone, from: Timestamp, to: Timestamp) -> Self {
        let margin = SignedDuration::from_hours(24 * 4);
        let from = from.checked_sub(margin).unwrap_or(Timestamp::MIN);
        let to = to.checked_add(margin).unwrap_or(Timestamp::MAX);
        let mut spans = Vec::new();
        let (mut start, mut offset) = (from, zone.to_offset(from));
        for change in zone.following(from) {
            if change.timestamp() >= to {
                break;
            }
            spans.push((start, change.timestamp(), offset));
            (start, offset) = (change.timestamp(), change.offset());
        }
        spans.push((start, to, offset));
        Self { spans }
    }

    /// The moments at which the clock on the wall reads a time in the window.
    fn instants(&self, date: Date, local: &Local, found: &mut Vec<Window>) {
        let Ok(midnight) = Offset::UTC.to_timestamp(date.to_datetime(jiff::civil::Time::MIN))
        else {
            return;
        };
        let mut last: Option<Window> = None;
        for (from, to, offset) in &self.spans {
            let at = |minutes: u16| {
                let seconds = i64::from(minutes) * 60 - i64::from(offset.seconds());
                midnight
                    .checked_add(SignedDuration::from_secs(seconds))
                    .ok()
            };
            let (Some(start), Some(end)) = (at(local.start), at(local.end)) else {
                continue;
            };
            let (start, end) = (start.max(*from), end.min(*to));
            if start >= end {
                continue;
            }
            if let Some(before) = last.as_mut().filter(|before| before.end == start) {
                before.end = end;
                continue;
            }
            found.extend(last.replace(Window {
                start,
                end,
                kind: local.kind.clone(),
                group: local.group,
            }));
        }
        found.extend(last);
    }
}

/// Sorts; where two overlap the one that began first stays whole.
fn disjoint(mut found: Vec<Window>) -> Vec<Window> {
    found.sort_by_key(|window| (window.start, window.end));
    let mut out: Vec<Window> = Vec::with_capacity(found.len());
    for mut window in found {
        if let Some(before) = out.last() {
            window.start = window.start.max(before.end);
        }
        if window.start < window.end {
            out.push(window);
        }
    }
    out
}

/// Who is in a room at a moment: the lesson's group, else the room's.
pub fn group_at(policy: &Policy, room: usize, now: Timestamp) -> usize {
    let next = now
        .checked_add(SignedDuration::from_nanos(1))
        .unwrap_or(now);
    let window = windows(policy, room, now, next).into_iter().next();
    let own = policy.rooms.get(room).map_or(0, |room| room.group);
    window.map_or(own, |window| window.group)
}

/// When the group of any room changes next, before `to`.
pub fn next_group_change(policy: &Policy, now: Timestamp, to: Timestamp) -> Option<Timestamp> {
    let mixed = |timetable: usize, group: usize| {
        let entries = policy
            .timetables
            .get(timetable)
            .map_or(&[][..], |t| &t.entries);
        entries
            .iter()
            .any(|entry| entry.group.is_some_and(|other| other != group))
    };
    let one_off: Vec<usize> = policy
        .calendar
        .days
        .iter()
        .filter_map(|day| match day.change {
            super::Change::Open { timetable, .. } => timetable,
            super::Change::Closed => None,
        })
        .collect();
    let mut changes = BTreeMap::new();
    for (at, room) in policy.rooms.iter().enumerate() {
        let Door::Timed {
            timetable: Some(own),
            ..
        } = &room.door
        else {
            continue;
        };
        if !mixed(*own, room.group) && !one_off.iter().any(|other| mixed(*other, room.group)) {
            continue;
        }
        let current = group_at(policy, at, now);
        for window in windows(policy, at, now, to) {
            // Between windows nobody is in the room and any group will do;
            // the room's own is asked for once the window is over.
            let moments = [(window.start, window.group), (window.end, room.group)];
            let next = moments
                .into_iter()
                .find(|(when, group)| *when > now && *group != current);
            if let Some((when, _)) = next {
                changes.insert(when, at);
                break;
            }
        }
    }
    changes.into_keys().next()
}
