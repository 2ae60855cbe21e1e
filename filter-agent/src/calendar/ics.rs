//! Holidays from an iCalendar file (RFC 5545): whole-day events, once or
//! every year.

use std::path::Path;

use jiff::civil::Date;
use jiff::{Span as Length, ToSpan};

use super::Span;

/// Bytes of a file, days that come of it.
const MAX_BYTES: u64 = 4 << 20;
const MAX_DAYS: usize = 4000;
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
    let mut begun = false;
    for (line, content) in unfold(text) {
        let wrong = |message: &str| (line, message.to_string());
        let (head, value) = content
            .split_once(':')
            .ok_or_else(|| wrong("expected NAME:VALUE of an iCalendar file"))?;
        let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
        match (name.to_ascii_uppercase().as_str(), &mut event) {
            ("BEGIN", _) if value.eq_ignore_ascii_case("VCALENDAR") => begun = true,
            ("BEGIN", None) if value.eq_ignore_ascii_case("VEVENT") => event = Some(Event::new(line)),
            ("END", Some(_)) if value.eq_ignore_ascii_case("VEVENT") => {
                if let Some(event) = event.take() {
                    event.days(&mut out)?;
                }
            }
            ("SUMMARY", Some(event)) => event.name = unescape(value),
            ("DTSTART", Some(event)) => event.start = date(value, parameters).map_err(|m| wrong(&m))?,
            ("DTEND", Some(event)) => event.end = date(value, parameters).map_err(|m| wrong(&m))?,
            ("DURATION", Some(event)) => {
                let days = value.strip_prefix('P').and_then(|rest| rest.strip_suffix('D'));
                event.length = days.and_then(|days| days.parse().ok()).filter(|days| (1..=400).contains(days));
                if event.length.is_none() && event.start.is_some() {
                    return Err(wrong("expected a duration in days such as P2D"));
                }
            }
            ("RRULE", Some(event)) => event.rule = Some(Rule::parse(value).ok_or_else(|| {
                wrong("only events that come every year are understood; give the others by their dates")
            })?),
            ("EXDATE" | "RDATE", Some(_)) => {
                return Err(wrong("exceptions of repeated events are not understood; give the days by their dates"));
            }
            ("STATUS", Some(event)) => event.cancelled = value.eq_ignore_ascii_case("CANCELLED"),
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
    start: Option<Date>,
    end: Option<Date>,
    length: Option<i64>,
    rule: Option<Rule>,
    cancelled: bool,
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
            cancelled: false,
        }
    }

    fn days(self, out: &mut Vec<(String, Span)>) -> Result<(), (usize, String)> {
        // Events with a time of day are meetings, not holidays.
        let Some(first) = self.start.filter(|_| !self.cancelled) else {
            return Ok(());
        };
        // DTEND is the day after the last (RFC 5545 section 3.6.1).
        let last = match (self.end, self.length) {
            (Some(end), _) => end.yesterday().ok(),
            (None, Some(days)) => first.checked_add(Length::new().days(days - 1)).ok(),
            (None, None) => Some(first),
        };
        let Some(last) = last.filter(|last| *last >= first) else {
            return Err((self.line, "this event ends before it begins".to_string()));
        };
        let name = if self.name.is_empty() {
            "holiday".to_string()
        } else {
            self.name
        };
        let rule = self.rule.unwrap_or(Rule {
            count: Some(1),
            until: None,
        });
        let years = usize::try_from(LAST_YEAR - first.year()).unwrap_or(0);
        for year in 0..rule.count.unwrap_or(years).min(years) {
            let add = (year as i64).years();
            let (Ok(from), Ok(to)) = (first.checked_add(add), last.checked_add(add)) else {
                break;
            };
            if rule.until.is_some_and(|until| from > until) {
                break;
            }
            // 29 February comes in leap years only.
            if from.day() == first.day() {
                out.push((
                    name.clone(),
                    Span {
                        first: from,
                        last: to,
                    },
                ));
            }
        }
        Ok(())
    }
}

/// Every year, so often or until a day.
struct Rule {
    count: Option<usize>,
    until: Option<Date>,
}

impl Rule {
    fn parse(value: &str) -> Option<Self> {
        let mut rule = Self {
            count: None,
            until: None,
        };
        let mut yearly = false;
        for part in value.split(';') {
            match part.split_once('=')? {
                ("FREQ", "YEARLY") => yearly = true,
                ("INTERVAL", "1") | ("WKST", _) => {}
                ("COUNT", count) => rule.count = Some(count.parse().ok()?),
                ("UNTIL", until) => rule.until = Some(compact(until)?),
                _ => return None,
            }
        }
        yearly.then_some(rule)
    }
}

/// A whole day; `None` for a moment.
fn date(value: &str, parameters: &str) -> Result<Option<Date>, String> {
    let timed = value.contains('T') && !parameters.to_ascii_uppercase().contains("VALUE=DATE;");
    if timed {
        return Ok(None);
    }
    compact(value)
        .map(Some)
        .ok_or_else(|| format!("expected a date such as 20261031, found {value}"))
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
    fn what_is_not_understood_is_told_with_its_line() {
        for (events, line) in [
            ("BEGIN:VEVENT\nDTSTART:2027\nEND:VEVENT\n", 3),
            ("BEGIN:VEVENT\nRRULE:FREQ=DAILY\nEND:VEVENT\n", 3),
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
