//! Sets of weekdays and the windows written with them.

use std::fmt;

use jiff::civil::Weekday;

use super::DAY;

const NAMES: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// A set of weekdays, never empty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Weekdays(u8);

impl Weekdays {
    /// Reads `Mon`, `Mon-Fri`, `Mon,Wed-Fri` or `daily`; full English names
    /// and any case are fine. A span may run over the weekend (`Sat-Mon`).
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("daily") {
            return Some(Self(0x7f));
        }
        let mut set = 0u8;
        for part in text.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (mut day, last) = (weekday(from.trim())?, weekday(to.trim())?);
            set |= bit(day);
            while day != last {
                day = day.next();
                set |= bit(day);
            }
        }
        (set != 0).then_some(Self(set))
    }

    pub fn contains(self, day: Weekday) -> bool {
        self.0 & bit(day) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Weekday> {
        NAMES
            .into_iter()
            .map(|(_, day)| day)
            .filter(move |day| self.contains(*day))
    }
}

impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = self.iter().map(short).collect();
        f.write_str(&days.join(","))
    }
}

impl fmt::Debug for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `Mon` for Monday.
fn short(day: Weekday) -> &'static str {
    let at = usize::from(day.to_monday_zero_offset().unsigned_abs());
    NAMES.get(at).map_or("", |(name, _)| name)
}

/// A weekday by its English name or the first three letters.
pub(crate) fn weekday(text: &str) -> Option<Weekday> {
    let lower = text.to_ascii_lowercase();
    let full = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let at = full
        .iter()
        .position(|name| *name == lower || (lower.len() == 3 && name.starts_with(&lower)))?;
    NAMES.get(at).map(|(_, day)| *day)
}

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

/// Minutes of a week in which a window is open, as spans from Monday 00:00;
/// a window over the end of Sunday comes as two.
pub(crate) fn week_spans(days: Weekdays, start: u16, end: u16) -> Vec<(u16, u16)> {
    const WEEK: u16 = 7 * DAY;
    let mut spans = Vec::new();
    for day in days.iter() {
        let at = u16::from(day.to_monday_zero_offset().unsigned_abs()) * DAY;
        let (from, to) = (at + start, at + end);
        if to <= WEEK {
            spans.push((from, to));
        } else {
            spans.push((from, WEEK));
            spans.push((0, to - WEEK));
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekdays_in_all_spellings() {
        for (text, want) in [
            ("Mon-Fri", "Mon,Tue,Wed,Thu,Fri"),
            ("sat-mon", "Mon,Sat,Sun"),
            ("Monday, wednesday-THU", "Mon,Wed,Thu"),
            ("daily", "Mon,Tue,Wed,Thu,Fri,Sat,Sun"),
            ("Sun", "Sun"),
        ] {
            assert_eq!(Weekdays::parse(text).unwrap().to_string(), want);
        }
        for bad in ["", "Mo", "Mon-", "Mon--Fri", "Mon Fri", "Mond"] {
            assert!(Weekdays::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_window_over_the_end_of_the_week_is_two_spans() {
        let sunday = Weekdays::parse("Sun").unwrap();
        assert_eq!(
            week_spans(sunday, 22 * 60, 26 * 60),
            [(6 * 1440 + 1320, 7 * 1440), (0, 120)]
        );
    }
}
