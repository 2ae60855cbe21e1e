//! Holidays from an iCalendar file (RFC 5545): whole-day events, once or
//! again and again.

mod rule;

use std::path::Path;

use jiff::ToSpan;
use jiff::civil::Date;

use self::rule::Rule;
use super::Span;

/// Bytes of a file, days that come of it.
const MAX_BYTES: u64 = 4 << 20;
const MAX_DAYS: usize = 20_000;
/// The last year into which an event is repeated.
const LAST_YEAR: i16 = 2100;

/// Why a calendar file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IcsError {
    #[error("{path}: {source}")]
    Io {
        path: String,
        source: std::io::Error,
    },
    #[error("{path} has over {MAX_BYTES} bytes")]
    TooLong { path: String },
    #[error("{path} is not UTF-8")]
    NotUtf8 { path: String },
    #[error("{path}, line {line}: {message}")]
    Line {
        path: String,
        line: usize,
        message: String,
    },
}

/// Reads the whole-day events of a file, each with its name.
pub fn load(path: &Path) -> Result<Vec<(String, Span)>, IcsError> {
    let name = path.display().to_string();
    let io = |source| IcsError::Io {
        path: name.clone(),
        source,
    };
    if std::fs::metadata(path).map_err(io)?.len() > MAX_BYTES {
        return Err(IcsError::TooLong { path: name });
    }
    let raw = std::fs::read(path).map_err(io)?;
    let text = String::from_utf8(raw).map_err(|_| IcsError::NotUtf8 { path: name.clone() })?;
    parse(&text).map_err(|(line, message)| IcsError::Line {
        path: name,
        line,
        message,
    })
}

/// An error is a line, from 1, and what is wrong there.
pub fn parse(text: &str) -> Result<Vec<(String, Span)>, (usize, String)> {
    let mut out = Vec::new();
    let mut event: Option<Event> = None;
    // Alarms and the like inside an event, which have properties of their own.
    let mut inside = 0_u32;
    let mut begun = false;
    for (line, content) in unfold(text) {
        let wrong = |message: &str| (line, message.to_string());
        let (head, value) = content
            .split_once(':')
            .ok_or_else(|| wrong("expected NAME:VALUE of an iCalendar file"))?;
        let name = head.split(';').next().unwrap_or(head).to_ascii_uppercase();
        let is_event = value.eq_ignore_ascii_case("VEVENT");
        match (name.as_str(), &mut event) {
            ("BEGIN", _) if value.eq_ignore_ascii_case("VCALENDAR") => begun = true,
            ("BEGIN", None) if is_event => event = Some(Event::new(line)),
            ("BEGIN", Some(_)) => inside += 1,
            ("END", Some(_)) if inside > 0 => inside -= 1,
            ("END", Some(_)) if is_event => {
                if let Some(event) = event.take() {
                    event.days(&mut out)?;
                }
            }
            (name, Some(event)) if inside == 0 => event.property(name, value, line),
            _ => {}
        }
        if out.len() > MAX_DAYS {
            return Err(wrong(&format!("over {MAX_DAYS} days")));
        }
    }
    if !begun {
        return Err((
            1,
            "expected an iCalendar file, which begins with BEGIN:VCALENDAR".to_string(),
        ));
    }
    if let Some(event) = event {
        return Err((
            event.line,
            "this event has no END:VEVENT; the file is cut off".to_string(),
        ));
    }
    Ok(out)
}

struct Event {
    line: usize,
    name: String,
    start: Option<Moment>,
    end: Option<Moment>,
    length: Option<i64>,
    rule: Option<Rule>,
    without: Vec<Date>,
    also: Vec<Date>,
    cancelled: bool,
    /// What is wrong with it, should it be a whole-day event.
    wrong: Option<(usize, String)>,
}

/// A day, or a time of that day.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Day(Date),
    /// 00:00 by some clock on the wall: some programs write whole days so.
    Midnight(Date),
    Time,
}

impl Event {
    fn new(line: usize) -> Self {
        Self {
            line,
            name: String::new(),
            start: None,
            end: None,
            length: None,
            rule: None,
            without: Vec::new(),
            also: Vec::new(),
            cancelled: false,
            wrong: None,
        }
    }

    fn property(&mut self, name: &str, value: &str, line: usize) {
        let done = match name {
            "SUMMARY" => {
                self.name = unescape(value);
                Ok(())
            }
            "STATUS" => {
                self.cancelled = value.eq_ignore_ascii_case("CANCELLED");
                Ok(())
            }
            "DTSTART" => moment(value).map(|at| self.start = Some(at)),
            "DTEND" => moment(value).map(|at| self.end = Some(at)),
            "DURATION" => days_of(value)
                .map(|days| self.length = Some(days))
                .ok_or_else(|| "expected a duration in days such as P2D".to_string()),
            "RRULE" => Rule::parse(value)
                .map(|rule| self.rule = Some(rule))
                .map_err(|part| {
                    format!(
                        "{part} of a repeated event is not understood; give its days by their dates"
                    )
                }),
            "EXDATE" => dates(value).map(|dates| self.without.extend(dates)),
            "RDATE" => dates(value).map(|dates| self.also.extend(dates)),
            _ => Ok(()),
        };
        if let Err(message) = done {
            self.wrong.get_or_insert((line, message));
        }
    }

    fn days(self, out: &mut Vec<(String, Span)>) -> Result<(), (usize, String)> {
        let (first, last) = match (self.start, self.end) {
            // Without a day it may be a damaged one.
            (None, _) => return self.wrong.map_or(Ok(()), Err),
            _ if self.cancelled => return Ok(()),
            // Events with a time of day are meetings, not holidays.
            (Some(Moment::Time), _) | (Some(Moment::Midnight(_)), None | Some(Moment::Time)) => {
                return Ok(());
            }
            // DTEND is the day after the last (RFC 5545 section 3.6.1).
            (
                Some(Moment::Day(first) | Moment::Midnight(first)),
                Some(Moment::Day(end) | Moment::Midnight(end)),
            ) => (first, end.yesterday().ok()),
            (Some(Moment::Day(first)), _) => {
                let more = self.length.unwrap_or(1) - 1;
                (first, first.checked_add(more.days()).ok())
            }
        };
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let Some(last) = last.filter(|last| *last >= first) else {
            return Err((self.line, "this event ends before it begins".to_string()));
        };
        let more = first
            .until(last)
            .map_or(0, |span| i64::from(span.get_days()));
        let name = if self.name.is_empty() {
            "holiday".to_string()
        } else {
            self.name
        };
        let mut dates = match &self.rule {
            Some(rule) => rule.dates(first, LAST_YEAR, MAX_DAYS),
            None => vec![first],
        };
        dates.extend(self.also);
        dates.retain(|date| !self.without.contains(date));
        for from in dates {
            let Ok(to) = from.checked_add(more.days()) else {
                break;
            };
            out.push((
                name.clone(),
                Span {
                    first: from,
                    last: to,
                },
            ));
        }
        Ok(())
    }
}

/// `20261031`, `20261031T000000`, `20261031T080000Z`.
fn moment(value: &str) -> Result<Moment, String> {
    let wrong = || format!("expected a date such as 20261031, found {value}");
    let date = compact(value).ok_or_else(wrong)?;
    match value.get(8..) {
        Some("") => Ok(Moment::Day(date)),
        // With a Z it is midnight in Greenwich only.
        Some("T000000" | "T0000") => Ok(Moment::Midnight(date)),
        Some(time) if time.starts_with('T') => Ok(Moment::Time),
        _ => Err(wrong()),
    }
}

/// Several dates, maybe with times.
fn dates(value: &str) -> Result<Vec<Date>, String> {
    let dates = value.split(',').map(|part| {
        compact(part).ok_or_else(|| format!("expected dates such as 20261031, found {part}"))
    });
    dates.collect()
}

/// The whole days of a duration such as `P2D`, `P1W` or `PT24H`.
fn days_of(value: &str) -> Option<i64> {
    let (whole, time) = match value.strip_prefix('P')?.split_once('T') {
        Some((whole, time)) => (whole, time),
        None => (value.strip_prefix('P')?, ""),
    };
    let mut hours = 0;
    for (text, units) in [
        (whole, [("W", 168), ("D", 24), ("", 0)]),
        (time, [("H", 1), ("M", 0), ("S", 0)]),
    ] {
        let mut text = text;
        while !text.is_empty() {
            let at = text.find(|c: char| !c.is_ascii_digit())?;
            let number: i64 = text.get(..at)?.parse().ok()?;
            let unit = text.get(at..at + 1)?;
            let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
            if *factor == 0 && number != 0 {
                return None;
            }
            hours += number.checked_mul(*factor)?;
            text = text.get(at + 1..)?;
        }
    }
    (hours % 24 == 0 && (24..=400 * 24).contains(&hours)).then_some(hours / 24)
}

fn compact(value: &str) -> Option<Date> {
    let digits = value
        .get(..8)
        .filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    let part = |range| {
        digits
            .get(range)
            .and_then(|part: &str| part.parse::<i16>().ok())
    };
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    Date::new(year, month as i8, day as i8)
        .ok()
        .filter(|date| (1970..=LAST_YEAR).contains(&date.year()))
}

/// Content lines with their first line's number; a line that begins with a
/// blank continues the one before (RFC 5545 section 3.1).
fn unfold(text: &str) -> Vec<(usize, String)> {
    let mut out: Vec<(usize, String)> = Vec::new();
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        match (line.strip_prefix([' ', '\t']), out.last_mut()) {
            (Some(rest), Some((_, before))) => before.push_str(rest),
            _ if line.trim().is_empty() => {}
            _ => out.push((at + 1, line.to_string())),
        }
    }
    out
}

fn unescape(value: &str) -> String {
    let mut out = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n' | 'N') => out.push(' '),
                Some(other) => out.push(other),
                None => {}
            },
            _ => out.push(c),
        }
    }
    out.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(events: &str) -> Result<Vec<String>, (usize, String)> {
        let text = format!("BEGIN:VCALENDAR\r\n{events}END:VCALENDAR\r\n");
        let days = parse(&text)?;
        Ok(days
            .into_iter()
            .map(|(name, span)| format!("{name} {} {}", span.first, span.last))
            .collect())
    }

    #[test]
    fn whole_days_once_and_every_year() {
        let found = read(
            "BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20270310\r\nDTEND;VALUE=DATE:20270313\r\nSUMMARY:Orozo\r\n  Ait\\, day\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20280229\r\nRRULE:FREQ=YEARLY;UNTIL=20330101\r\nSUMMARY:Leap\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nDTSTART:20270310T080000Z\r\nSUMMARY:Meeting\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nDTSTART:20270401\r\nDURATION:P2D\r\nEND:VEVENT\r\n",
        );
        assert_eq!(
            found.unwrap(),
            [
                "Orozo Ait, day 2027-03-10 2027-03-12",
                "Leap 2028-02-29 2028-02-29",
                "Leap 2032-02-29 2032-02-29",
                "holiday 2027-04-01 2027-04-02",
            ]
        );
    }

    #[test]
    fn what_calendar_programs_write() {
        let found = read(
            // Thunderbird: an alarm has a description and a duration.
            "BEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY;LANGUAGE=ru:Каникулы\r\n\
             DTSTART;VALUE=DATE:20261104\r\nDTEND;VALUE=DATE:20261111\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\n\
             SUMMARY:Reminder\r\nTRIGGER:-PT15M\r\nDURATION:PT15M\r\nREPEAT:2\r\nEND:VALARM\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nSUMMARY:Outlook\r\nDTSTART;TZID=Central Asia Standard Time:20270321T000000\r\n\
             DTEND;TZID=Central Asia Standard Time:20270323T000000\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nSUMMARY:Staff meeting\r\nDTSTART;TZID=Asia/Bishkek:20260907T150000\r\n\
             DTEND;TZID=Asia/Bishkek:20260907T160000\r\nRRULE:FREQ=WEEKLY;BYDAY=MO;BYHOUR=15\r\n\
             EXDATE;TZID=Asia/Bishkek:20260914T150000\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nSUMMARY:Thanksgiving\r\nDTSTART;VALUE=DATE:20261126\r\n\
             RRULE:FREQ=YEARLY;INTERVAL=1;BYMONTH=11;BYDAY=4TH;COUNT=2\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nSUMMARY:Week\r\nDTSTART;VALUE=DATE:20270104\r\nDURATION:P1W\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nSUMMARY:Day\r\nDTSTART;VALUE=DATE:20270115\r\nDURATION:PT24H\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nSUMMARY:Off\r\nSTATUS:CANCELLED\r\nDTSTART;VALUE=DATE:20270116\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nSUMMARY:Club\r\nDTSTART;VALUE=DATE:20270201\r\nRRULE:FREQ=WEEKLY;COUNT=3\r\n\
             EXDATE;VALUE=DATE:20270208\r\nRDATE;VALUE=DATE:20270217\r\nEND:VEVENT\r\n",
        );
        assert_eq!(
            found.unwrap(),
            [
                "Каникулы 2026-11-04 2026-11-10",
                "Outlook 2027-03-21 2027-03-22",
                "Thanksgiving 2026-11-26 2026-11-26",
                "Thanksgiving 2027-11-25 2027-11-25",
                "Week 2027-01-04 2027-01-10",
                "Day 2027-01-15 2027-01-15",
                "Club 2027-02-01 2027-02-01",
                "Club 2027-02-15 2027-02-15",
                "Club 2027-02-17 2027-02-17",
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_line() {
        for (events, line) in [
            ("BEGIN:VEVENT\nDTSTART:2027\nEND:VEVENT\n", 3),
            (
                "BEGIN:VEVENT\nDTSTART:20270310\nRRULE:FREQ=HOURLY\nEND:VEVENT\n",
                4,
            ),
            (
                "BEGIN:VEVENT\nDTSTART:20270310\nRRULE:FREQ=MONTHLY;BYSETPOS=-1\nEND:VEVENT\n",
                4,
            ),
            (
                "BEGIN:VEVENT\nDTSTART:20270310\nEXDATE:tomorrow\nEND:VEVENT\n",
                4,
            ),
            (
                "BEGIN:VEVENT\nDTSTART:20270310\nDTEND:20270310\nEND:VEVENT\n",
                2,
            ),
            ("BEGIN:VEVENT\nDTSTART:20270310\n", 2),
            ("rubbish\n", 2),
        ] {
            assert_eq!(read(events).unwrap_err().0, line, "{events}");
        }
        assert!(parse("<html>:\n").is_err());
    }
}
