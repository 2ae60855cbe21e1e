//! Academic year, bells and timetables: when a room is open.
//!
//! A window is written in local time and means: whenever the clock on the
//! school's wall reads a time inside it. Where the clock is put forward, the
//! skipped minutes are in no window; where it is put back, the repeated
//! minutes are in it twice.

pub mod access;
mod days;
pub mod findings;
pub mod holidays;
pub mod ics;
pub mod picture;
pub mod state;
mod week;
pub mod windows;

use jiff::civil::{Date, Weekday};

use crate::policy::Decision;
pub use days::{Day, DayOff};
pub use state::{State, state_at};
pub use week::Weekdays;
pub(crate) use week::{week_spans, weekday};
pub use windows::{Window, WindowKind, windows};

/// Minutes of a day.
pub const DAY: u16 = 24 * 60;

/// Which days are school days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// First and last day of the academic year; `None`: every day of any.
    pub year: Option<Span>,
    /// With terms, days outside all of them are closed.
    pub terms: Vec<Named>,
    pub breaks: Vec<Named>,
    /// Public holidays known by rule.
    pub public: Public,
    /// Holidays given by date or by a calendar file.
    pub holidays: Vec<Named>,
    /// Days that run otherwise; the later entry wins.
    pub days: Vec<OneOff>,
    pub decision: Option<Decision>,
}

/// Whose public holidays are built in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Public {
    #[default]
    None,
    Kyrgyzstan,
}

/// Days from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first: Date,
    pub last: Date,
}

impl Span {
    pub fn contains(&self, date: Date) -> bool {
        (self.first..=self.last).contains(&date)
    }

    pub fn touches(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Days with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub span: Span,
    /// Line in the policy, from 1.
    pub line: usize,
}

/// A day with another timetable, or without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOff {
    pub date: Date,
    pub name: String,
    pub change: Change,
    /// Rooms it holds for; empty: all.
    pub rooms: Vec<usize>,
    pub decision: Option<Decision>,
    pub line: usize,
}

/// What is different on a one-off day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Closed,
    /// A school day, even if it would not be one.
    Open {
        /// Lessons and windows of this weekday.
        like: Option<Weekday>,
        bells: Option<usize>,
        timetable: Option<usize>,
    },
}

/// When lessons begin and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bells {
    pub name: String,
    /// At least one.
    pub shifts: Vec<Shift>,
    pub line: usize,
}

/// Lessons of a shift, lesson 1 first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// Empty for a schedule without shifts.
    pub name: String,
    pub lessons: Vec<Lesson>,
}

/// Minutes after midnight, `start < end <= 1440`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lesson {
    pub start: u16,
    pub end: u16,
}

/// Which lessons are held, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    pub name: String,
    pub bells: usize,
    pub entries: Vec<Entry>,
    pub decision: Option<Decision>,
    pub line: usize,
}

/// A line of a timetable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub days: Weekdays,
    /// Name of the shift; in every bell schedule used with it.
    pub shift: String,
    /// Lesson numbers from 1, ascending.
    pub lessons: Vec<u8>,
    /// Index of the group, when it is not the room's.
    pub group: Option<usize>,
    pub class: Option<String>,
    pub line: usize,
}

/// A window without lessons: `Mon-Fri 08:00-13:30`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainWindow {
    /// Days on which it begins.
    pub days: Weekdays,
    /// Minutes after midnight.
    pub start: u16,
    /// Over 1440 when it ends on the next day; `start < end <= start + 1440`.
    pub end: u16,
    pub line: usize,
}

#[cfg(test)]
pub(crate) mod tests;
