//! How things are printed: tables for people in their language, JSON for
//! programs, the same in every language.

use std::io::{self, Write as _};

use filter_ebpf::abi::Reason;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Common;
use crate::control::{Code, Failure};
use crate::words::{Language, Message, Said, Word, sentence};

/// Prints JSON, or lets `text` print for people.
pub(crate) fn print<T: Serialize>(
    common: &Common,
    value: &T,
    text: impl FnOnce(&Screen, &T) -> String,
) -> Result<(), Failure> {
    let text = if common.json {
        serde_json::to_string_pretty(value)
            .map_err(|error| Failure::new(Code::Internal, error.to_string()))?
    } else {
        text(&common.screen(), value)
    };
    line(text.trim_end())
}

/// Who reads: their language, and the clock on the school's wall.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(crate) language: Language,
    pub(crate) zone: TimeZone,
    pub(crate) now: Timestamp,
}

impl Screen {
    pub(crate) fn word(&self, word: Word) -> String {
        word.text(self.language).to_owned()
    }

    pub(crate) fn say(&self, said: &Said) -> String {
        said.in_language(self.language)
    }

    /// What a reason means, by its name.
    pub(crate) fn reason(&self, name: &str) -> String {
        let mut all = Reason::ALL.iter();
        all.find(|reason| reason.name() == name)
            .map_or(name, |reason| sentence(*reason, self.language))
            .to_owned()
    }

    /// The word for a verdict's name.
    pub(crate) fn verdict(&self, name: &str) -> String {
        Word::of_verdict(name, self.language).to_owned()
    }

    /// A table with these columns.
    pub(crate) fn table<const N: usize>(&self, head: [Word; N]) -> Table {
        Table::new(head.map(|word| word.text(self.language)))
    }

    /// Names and values below each other; what is empty is left out.
    pub(crate) fn pairs(&self, pairs: &[(Word, String)]) -> String {
        let name = |word: &Word| word.text(self.language);
        let width = pairs
            .iter()
            .map(|(word, _)| name(word).chars().count())
            .max();
        pairs
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(word, value)| {
                let width = width.unwrap_or(0);
                format!("{:<width$}  {value}\n", name(word))
            })
            .collect()
    }

    /// A moment as people say it: the time today, else with the day.
    pub(crate) fn when(&self, time: Timestamp) -> String {
        let then = self.zone.to_datetime(time);
        let today = self.zone.to_datetime(self.now).date();
        let form = if then.date() == today {
            "%H:%M:%S"
        } else {
            "%Y-%m-%d %H:%M"
        };
        then.strftime(form).to_string()
    }

    /// An optional moment; a dash when there is none.
    pub(crate) fn when_any(&self, time: Option<Timestamp>) -> String {
        time.map_or_else(|| "–".to_owned(), |time| self.when(time))
    }
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
        // A reason that somebody gave moves no cursor and breaks no line.
        self.rows
            .push(cells.map(|cell| cell.replace(char::is_control, " ")).into());
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

/// A text that may be absent.
pub(crate) fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("–").to_owned()
}

/// Reads a span such as `45m` or `1h30m`.
pub(crate) fn span(text: &str) -> Result<SignedDuration, String> {
    let span: SignedDuration = text.parse().map_err(|_| here(Message::SpanText, text))?;
    if span <= SignedDuration::ZERO || span > SignedDuration::from_hours(24 * 366) {
        return Err(here(Message::SpanWrong, text));
    }
    Ok(span)
}

fn here(message: Message, text: &str) -> String {
    let said = Said::new(message).with("text", text);
    said.in_language(Language::of_environment())
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
    fn a_cell_stays_on_its_line() {
        let mut table = Table::new(["why"]);
        table.row(["exam\u{1b}[2J\nroot".to_owned()]);
        assert_eq!(table.or(""), "WHY\nexam [2J root\n");
    }

    #[test]
    fn spans_are_read_or_explained() {
        assert_eq!(span("45m"), Ok(SignedDuration::from_mins(45)));
        assert_eq!(span("1h30m"), Ok(SignedDuration::from_mins(90)));
        for wrong in ["soon", "0m", "-5m", "9000h", ""] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
