//! How things are printed: tables for people, JSON for programs.

use std::io::{self, Write as _};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::control::{Code, Failure};

/// Prints JSON, or lets `text` print for people.
pub(crate) fn print<T: Serialize>(
    json: bool,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string_pretty(value)
            .map_err(|error| Failure::new(Code::Internal, error.to_string()))?
    } else {
        text(value)
    };
    line(text.trim_end())
}

/// Prints a line. A reader that hangs up (`| head`) is no error.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Code::Internal, error.to_string()))
        }
        _ => Ok(()),
    }
}

/// Columns as wide as their content, with two spaces between them.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self {
            rows: vec![head.iter().map(|word| word.to_uppercase()).collect()],
        }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// The table, or `empty` when it has no rows.
    pub(crate) fn or(&self, empty: &str) -> String {
        if self.rows.len() < 2 {
            return empty.to_owned();
        }
        let columns = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Names and values below each other.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max();
    pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:<width$}  {value}\n", width = width.unwrap_or(0)))
        .collect()
}

/// A moment as people say it: the time today, else with the day.
pub(crate) fn when(time: Timestamp) -> String {
    let zone = TimeZone::system();
    let then = zone.to_datetime(time);
    let today = zone.to_datetime(Timestamp::now()).date();
    let form = if then.date() == today {
        "%H:%M:%S"
    } else if then.date().year() == today.year() {
        "%d %b %H:%M"
    } else {
        "%d %b %Y %H:%M"
    };
    then.strftime(form).to_string()
}

/// An optional moment; a dash when there is none.
pub(crate) fn when_any(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "–".to_owned(), when)
}

/// A text that may be absent.
pub(crate) fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("–").to_owned()
}

/// Reads a span such as `45m` or `1h30m`.
pub(crate) fn span(text: &str) -> Result<SignedDuration, String> {
    let span: SignedDuration = text
        .parse()
        .map_err(|_| format!("`{text}` is no span of time; write it like 45m, 1h30m or 2h"))?;
    if span <= SignedDuration::ZERO || span > SignedDuration::from_hours(24 * 366) {
        return Err("a span is longer than nothing and not longer than a year".to_owned());
    }
    Ok(span)
}

/// Reads a moment: RFC 3339, or a local date with or without a time.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let local = text
        .replace(' ', "T")
        .parse::<jiff::civil::DateTime>()
        .or_else(|_| {
            text.parse::<jiff::civil::Date>()
                .map(|date| date.at(0, 0, 0, 0))
        })
        .map_err(|_| {
            format!("`{text}` is no time; write it like 2026-11-24T10:15 or 2026-11-24")
        })?;
    TimeZone::system()
        .to_timestamp(local)
        .map_err(|error| error.to_string())
}

/// Thousands apart, so that large counts can be read.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_every_alphabet() {
        let mut table = Table::new(["room", "why"]);
        table.row(["кабинет 7".into(), "урок".into()]);
        table.row(["1".into(), "x".into()]);
        assert_eq!(
            table.or("none"),
            "ROOM       WHY\nкабинет 7  урок\n1          x\n"
        );
        assert_eq!(Table::new(["a"]).or("none"), "none");
    }

    #[test]
    fn counts_are_readable() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn spans_and_moments_are_read_or_explained() {
        assert_eq!(span("45m"), Ok(SignedDuration::from_mins(45)));
        assert_eq!(span("1h30m"), Ok(SignedDuration::from_mins(90)));
        for wrong in ["soon", "0m", "-5m", "9000h", ""] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            moment("1970-01-01T00:00:01Z"),
            Ok(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1))
        );
        assert!(moment("2026-11-24 10:15").is_ok() && moment("2026-11-24").is_ok());
        assert!(moment("tomorrow").unwrap_err().contains("2026-11-24"));
    }
}
