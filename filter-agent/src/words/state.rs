//! A room's timetable at a moment as a sentence.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Language, Message, Said, Word};
use crate::calendar::state::Closed;
use crate::calendar::{DayOff, State, WindowKind};

/// Whether a room is open, why, and until when, in one line.
pub fn describe(state: &State<'_>, zone: &TimeZone, language: Language) -> String {
    let clock = |at: Timestamp| zone.to_datetime(at).strftime("%H:%M").to_string();
    if let Some(window) = &state.window {
        let said = match &window.kind {
            WindowKind::Always => return Word::AlwaysOpen.text(language).to_owned(),
            WindowKind::Plain { .. } => Said::new(Message::OpenUntil),
            WindowKind::Lesson { number, class, .. } => {
                let class = class.as_deref().map(|class| format!(", {class}"));
                Said::new(Message::OpenLesson)
                    .with("lesson", number)
                    .with("class", class.unwrap_or_default())
            }
        };
        return said.with("until", clock(window.end)).in_language(language);
    }
    let mut text = Word::Closed.text(language).to_owned();
    if let Some(closed) = &state.closed {
        text += &format!(": {}", why(closed).in_language(language));
    }
    if let Some(next) = &state.next {
        let begins = zone.to_datetime(next.start).strftime("%Y-%m-%d %H:%M");
        text += &format!("; {} {begins}", Word::OpensNext.text(language));
    }
    text
}

/// Why a timetable closes a room.
pub fn why(closed: &Closed<'_>) -> Said {
    match closed {
        Closed::Day(DayOff::OneOff(name)) => Said::from(*name),
        Closed::Day(DayOff::Public(fixed)) => {
            Said::new(Message::ClosedHoliday).with_texts("name", fixed.names)
        }
        Closed::Day(DayOff::Holiday(name)) => Said::new(Message::ClosedHoliday).with("name", name),
        Closed::Day(DayOff::Break(name)) => Said::new(Message::ClosedBreak).with("name", name),
        Closed::Day(DayOff::OutOfTerm) => Message::ClosedOutOfTerm.into(),
        Closed::Day(DayOff::OutOfYear) => Message::ClosedOutOfYear.into(),
        Closed::NoLessonsToday => Message::NoLessonsToday.into(),
        Closed::BeforeFirst => Message::BeforeFirst.into(),
        Closed::Between => Message::BetweenLessons.into(),
        Closed::AfterLast => Message::AfterLast.into(),
    }
}
