//! Takes a TOML table apart: every key once, every mistake noted, and what
//! nobody asked for is unknown.

use std::ops::Range;

use jiff::civil::Date;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::policy::problem::Problems;
use crate::words::closest;

pub(super) type Span = Range<usize>;
pub(super) type Value<'d> = Spanned<DeValue<'d>>;

/// Something read, and where.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// A table while it is read.
#[derive(Debug)]
pub(super) struct Fields<'t, 'd> {
    table: &'t DeTable<'d>,
    pub(super) span: Span,
    asked: Vec<&'static str>,
}

impl<'t, 'd> Fields<'t, 'd> {
    pub(super) fn new(table: &'t DeTable<'d>, span: Span) -> Self {
        Self {
            table,
            span,
            asked: Vec::new(),
        }
    }

    /// The value as a table, or a problem.
    pub(super) fn of(value: &'t Value<'d>, out: &mut Problems<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Self::new(table, value.span())),
            other => {
                out.at(&value.span(), expected("a table", other));
                None
            }
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.keys().any(|k| k.get_ref() == key)
    }

    /// Whether a key is missing or holds an empty list; a list whose entries
    /// are all wrong is not empty.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        let found = self.table.iter().find(|(k, _)| k.get_ref() == key);
        found.is_none_or(|(_, value)| {
            value
                .get_ref()
                .as_array()
                .is_some_and(|list| list.is_empty())
        })
    }

    /// Asks for a key; from now on it is a known one.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'t Value<'d>> {
        self.asked.push(key);
        self.table
            .iter()
            .find(|(k, _)| k.get_ref() == key)
            .map(|(_, value)| value)
    }

    /// Where a key stands; the table itself when it does not.
    pub(super) fn spot(&self, key: &str) -> Span {
        let found = self.table.iter().find(|(k, _)| k.get_ref() == key);
        found.map_or(self.span.clone(), |(k, _)| k.span())
    }

    pub(super) fn text(&mut self, key: &'static str, out: &mut Problems<'_>) -> Option<At<String>> {
        self.take(key).and_then(|value| text(value, out))
    }

    /// Like [`Self::text`], but must be there.
    pub(super) fn need_text(
        &mut self,
        key: &'static str,
        example: &str,
        out: &mut Problems<'_>,
    ) -> Option<At<String>> {
        if !self.has(key) {
            self.asked.push(key);
            out.at(
                &self.span,
                format!("expected `{key}` in this table, such as {key} = {example}"),
            );
            return None;
        }
        self.text(key, out)
    }

    pub(super) fn flag(&mut self, key: &'static str, out: &mut Problems<'_>) -> Option<bool> {
        let value = self.take(key)?;
        match value.get_ref() {
            DeValue::Boolean(yes) => Some(*yes),
            other => {
                out.at(&value.span(), expected("true or false", other));
                None
            }
        }
    }

    pub(super) fn number(
        &mut self,
        key: &'static str,
        bounds: std::ops::RangeInclusive<i64>,
        out: &mut Problems<'_>,
    ) -> Option<i64> {
        let value = self.take(key)?;
        number(value, bounds, out)
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
        out: &mut Problems<'_>,
    ) -> Option<T> {
        let found = self.text(key, out)?;
        word(&found, words, out)
    }

    pub(super) fn date(&mut self, key: &'static str, out: &mut Problems<'_>) -> Option<At<Date>> {
        let value = self.take(key)?;
        date(value, out).map(|date| At {
            value: date,
            span: value.span(),
        })
    }

    /// An array, each entry read by `read`; entries it refuses are left out.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        out: &mut Problems<'_>,
        mut read: impl FnMut(&'t Value<'d>, &mut Problems<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value.get_ref() else {
            out.at(&value.span(), expected("a list in [ ]", value.get_ref()));
            return Vec::new();
        };
        array.iter().filter_map(|item| read(item, out)).collect()
    }

    pub(super) fn texts(&mut self, key: &'static str, out: &mut Problems<'_>) -> Vec<At<String>> {
        self.list(key, out, text)
    }

    /// `[[key]]`: an array of tables.
    pub(super) fn tables(&mut self, key: &'static str, out: &mut Problems<'_>) -> Vec<Self> {
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value.get_ref() else {
            let message = format!(
                "expected [[{key}]] in double brackets, found a {}",
                value.get_ref().type_str()
            );
            out.at(&self.spot(key), message);
            return Vec::new();
        };
        array
            .iter()
            .filter_map(|item| Fields::of(item, out))
            .collect()
    }

    /// `[key]`: a table.
    pub(super) fn table(&mut self, key: &'static str, out: &mut Problems<'_>) -> Option<Self> {
        self.take(key).and_then(|value| Fields::of(value, out))
    }

    /// The end of a table: what nobody asked for is unknown.
    pub(super) fn finish(self, out: &mut Problems<'_>) {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let hint = match closest(name, self.asked.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            out.at(&key.span(), format!("unknown key `{name}`; {hint}"));
        }
    }
}

/// `expected X, found a Y`.
pub(super) fn expected(what: &str, found: &DeValue<'_>) -> String {
    match found {
        DeValue::String(s) => format!("expected {what}, found \"{s}\""),
        DeValue::Integer(n) => format!("expected {what}, found {n}"),
        DeValue::Array(_) => format!("expected {what}, found a list"),
        other => format!("expected {what}, found a {}", other.type_str()),
    }
}

/// A text that is not empty and has no control characters.
pub(super) fn text(value: &Value<'_>, out: &mut Problems<'_>) -> Option<At<String>> {
    let DeValue::String(s) = value.get_ref() else {
        out.at(&value.span(), expected("a text in quotes", value.get_ref()));
        return None;
    };
    if s.trim().is_empty() || s.chars().any(char::is_control) {
        out.at(&value.span(), "expected a text of visible characters");
        return None;
    }
    Some(At {
        value: s.trim().to_string(),
        span: value.span(),
    })
}

pub(super) fn number(
    value: &Value<'_>,
    bounds: std::ops::RangeInclusive<i64>,
    out: &mut Problems<'_>,
) -> Option<i64> {
    if let DeValue::Integer(n) = value.get_ref()
        && let Ok(n) = i64::from_str_radix(n.as_str(), n.radix())
        && bounds.contains(&n)
    {
        return Some(n);
    }
    let what = format!("a number from {} to {}", bounds.start(), bounds.end());
    out.at(&value.span(), expected(&what, value.get_ref()));
    None
}

pub(super) fn word<T: Copy>(
    found: &At<String>,
    words: &[(&'static str, T)],
    out: &mut Problems<'_>,
) -> Option<T> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == found.value) {
        return Some(*value);
    }
    let all: Vec<String> = words
        .iter()
        .map(|(word, _)| format!("\"{word}\""))
        .collect();
    out.at(
        &found.span,
        format!("expected {}, found \"{}\"", all.join(" or "), found.value),
    );
    None
}

/// A TOML date, or the same as text.
pub(super) fn date(value: &Value<'_>, out: &mut Problems<'_>) -> Option<Date> {
    let text = match value.get_ref() {
        DeValue::Datetime(d) if d.time.is_none() => d.to_string(),
        DeValue::String(s) => s.to_string(),
        _ => String::new(),
    };
    let date = text.parse::<Date>().ok();
    // Far years would make ranges of days unbounded.
    if let Some(date) = date.filter(|date| (2000..=2100).contains(&date.year())) {
        return Some(date);
    }
    let what = "a date of the years 2000 to 2100 such as 2026-09-01";
    out.at(&value.span(), expected(what, value.get_ref()));
    None
}

/// `08:00` as minutes after midnight; `24:00` is the day's end.
pub(super) fn clock(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |s: &str| (1..=2).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) || minute.len() != 2 {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= 24 * 60).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        assert_eq!(clock("08:05"), Some(485));
        assert_eq!(clock("24:00"), Some(1440));
        for bad in [
            "8", "8:5", "24:01", "25:00", "08:60", "08:00:00", "+8:00", "",
        ] {
            assert_eq!(clock(bad), None, "{bad}");
        }
    }
}
