//! A room's state as a sentence.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Language, Word};
use crate::calendar::state::Closed;
use crate::calendar::{DayOff, State, WindowKind};

/// Whether a room is open, why, and until when, in one line.
pub fn describe(state: &State<'_>, zone: &TimeZone, language: Language) -> String {
    let clock = |at: Timestamp| zone.to_datetime(at).strftime("%H:%M").to_string();
    if let Some(window) = &state.window {
        let open = Word::Open.text(language);
        let until = format!("{} {}", Word::Until.text(language), clock(window.end));
        return match &window.kind {
            WindowKind::Always => Word::AlwaysOpen.text(language).to_string(),
            WindowKind::Plain { .. } => format!("{open}, {until}"),
            WindowKind::Lesson { number, class, .. } => {
                let class = class
                    .as_deref()
                    .map_or(String::new(), |class| format!(", {class}"));
                format!(
                    "{open}: {} {number}{class}, {until}",
                    Word::Lesson.text(language)
                )
            }
        };
    }
    let mut text = Word::Closed.text(language).to_string();
    if let Some(closed) = &state.closed {
        text += &format!(": {}", why(closed, language));
    }
    if let Some(next) = &state.next {
        let begins = zone
            .to_datetime(next.start)
            .strftime("%Y-%m-%d %H:%M")
            .to_string();
        text += &format!("; {} {begins}", Word::OpensNext.text(language));
    }
    text
}

fn why(closed: &Closed<'_>, language: Language) -> String {
    let word = |word: Word| word.text(language).to_string();
    match closed {
        Closed::Day(DayOff::OneOff(name)) => (*name).to_string(),
        Closed::Day(DayOff::Public(fixed)) => {
            format!(
                "{} ({})",
                word(Word::PublicHoliday),
                language.of(fixed.names)
            )
        }
        Closed::Day(DayOff::Holiday(name)) => format!("{} ({name})", word(Word::PublicHoliday)),
        Closed::Day(DayOff::Break(name)) => format!("{} ({name})", word(Word::Break)),
        Closed::Day(DayOff::OutOfTerm) => word(Word::OutOfTerm),
        Closed::Day(DayOff::OutOfYear) => word(Word::OutOfYear),
        Closed::NoLessonsToday => word(Word::NoLessonsToday),
        Closed::BeforeFirst => word(Word::BeforeFirst),
        Closed::Between => word(Word::BetweenLessons),
        Closed::AfterLast => word(Word::AfterLast),
    }
}
