//! What kind of day a day is.

use jiff::civil::{Date, Weekday};

use super::holidays::Fixed;
use super::{Calendar, Change, OneOff};
use crate::policy::Decision;

/// How a day runs in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day<'c> {
    /// Lessons and windows of a weekday.
    School {
        like: Weekday,
        /// Other bells, another timetable than the room's.
        bells: Option<usize>,
        timetable: Option<usize>,
        /// The name of a one-off day.
        name: Option<&'c str>,
    },
    Off(DayOff<'c>),
}

/// Why a day has no lessons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayOff<'c> {
    /// Closed for this one day.
    OneOff(&'c str),
    /// A public holiday known by rule.
    Public(&'static Fixed),
    /// A holiday of the policy or a calendar file.
    Holiday(&'c str),
    Break(&'c str),
    OutOfTerm,
    OutOfYear,
}

impl Calendar {
    /// The kind of a day in a room: a one-off day beats a holiday, that a
    /// break, that the terms. Rooms that do not follow the calendar know
    /// one-off days that name them only.
    pub fn day(&self, date: Date, room: usize, follows: bool) -> Day<'_> {
        if let Some(day) = self.one_off(date, room, follows) {
            return match day.change {
                Change::Closed => Day::Off(DayOff::OneOff(&day.name)),
                Change::Open {
                    like,
                    bells,
                    timetable,
                } => Day::School {
                    like: like.unwrap_or(date.weekday()),
                    bells,
                    timetable,
                    name: Some(&day.name),
                },
            };
        }
        if follows && let Some(off) = self.off(date) {
            return Day::Off(off);
        }
        Day::School {
            like: date.weekday(),
            bells: None,
            timetable: None,
            name: None,
        }
    }

    /// The decision behind a day that does not run as usual in a room.
    pub fn decision(&self, date: Date, room: usize, follows: bool) -> Option<&Decision> {
        let one_off = self.one_off(date, room, follows);
        let unusual = one_off.is_some() || follows && self.off(date).is_some();
        let own = one_off.and_then(|day| day.decision.as_ref());
        own.or(self.decision.as_ref()).filter(|_| unusual)
    }

    fn one_off(&self, date: Date, room: usize, follows: bool) -> Option<&OneOff> {
        self.days.iter().rev().find(|day| {
            day.date == date && (day.rooms.contains(&room) || (follows && day.rooms.is_empty()))
        })
    }

    fn off(&self, date: Date) -> Option<DayOff<'_>> {
        if let Some(fixed) = self.public.on(date) {
            return Some(DayOff::Public(fixed));
        }
        if let Some(holiday) = self.holidays.iter().find(|day| day.span.contains(date)) {
            return Some(DayOff::Holiday(&holiday.name));
        }
        if let Some(pause) = self.breaks.iter().find(|day| day.span.contains(date)) {
            return Some(DayOff::Break(&pause.name));
        }
        if self.year.is_some_and(|year| !year.contains(date)) {
            return Some(DayOff::OutOfYear);
        }
        let between =
            !self.terms.is_empty() && !self.terms.iter().any(|term| term.span.contains(date));
        between.then_some(DayOff::OutOfTerm)
    }
}
