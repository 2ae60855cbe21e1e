//! Whether a room is open at a moment, and why.

use jiff::{SignedDuration, Timestamp};

use super::days::{Day, DayOff};
use super::windows::{Window, WindowKind, on, windows};
use crate::policy::{Door, Policy};

/// How far ahead the next window is looked for.
const AHEAD: SignedDuration = SignedDuration::from_hours(24 * 120);

/// A room at a moment, as its timetable has it; leases and switches by hand
/// come on top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State<'p> {
    /// The window the moment lies in.
    pub window: Option<Window>,
    /// Why no window is open; `None` inside one.
    pub closed: Option<Closed<'p>>,
    /// The next window, when none is open and one comes within 120 days.
    pub next: Option<Window>,
    /// The name of a one-off day.
    pub day: Option<&'p str>,
}

/// Why a room is closed by its timetable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed<'p> {
    Day(DayOff<'p>),
    /// A school day on which the room has nothing.
    NoLessonsToday,
    BeforeFirst,
    Between,
    AfterLast,
}

impl State<'_> {
    pub fn is_open(&self) -> bool {
        self.window.is_some()
    }

    /// The lesson's number, inside a lesson.
    pub fn lesson(&self) -> Option<u8> {
        match self.window.as_ref()?.kind {
            WindowKind::Lesson { number, .. } => Some(number),
            _ => None,
        }
    }
}

/// What the timetable says of a room at a moment.
pub fn state_at(policy: &Policy, room: usize, at: Timestamp) -> Option<State<'_>> {
    let this = policy.rooms.get(room)?;
    let date = policy.date(at);
    let day = policy.calendar.day(date, room, this.follows_calendar);
    let mut state = State {
        window: None,
        closed: None,
        next: None,
        day: match day {
            Day::School { name, .. } => name,
            Day::Off(_) => None,
        },
    };
    let next = at.checked_add(SignedDuration::from_nanos(1)).unwrap_or(at);
    state.window = windows(policy, room, at, next).into_iter().next();
    if state.window.is_some() || this.door == Door::Always {
        return Some(state);
    }
    let minute = policy.timezone.to_datetime(at);
    let minute = minute.hour() as u16 * 60 + minute.minute() as u16;
    let today = on(policy, this, room, date);
    state.closed = Some(match day {
        Day::Off(off) => Closed::Day(off),
        Day::School { .. } if today.is_empty() => Closed::NoLessonsToday,
        Day::School { .. } if today.iter().all(|window| minute < window.start) => {
            Closed::BeforeFirst
        }
        Day::School { .. } if today.iter().all(|window| window.end <= minute) => Closed::AfterLast,
        Day::School { .. } => Closed::Between,
    });
    state.next = next_window(policy, room, at);
    Some(state)
}

/// The first window that begins after a moment, looked for in growing steps.
fn next_window(policy: &Policy, room: usize, at: Timestamp) -> Option<Window> {
    let mut from = at;
    let end = at.checked_add(AHEAD).ok()?;
    let mut step = SignedDuration::from_hours(24);
    while from < end {
        let to = from.checked_add(step).ok()?.min(end);
        let found = windows(policy, room, from, to)
            .into_iter()
            .find(|window| window.start >= at);
        if found.is_some() {
            return found;
        }
        from = to;
        step = SignedDuration::from_hours(24 * 30);
    }
    None
}
