//! `[calendar]`: the academic year, holidays, one-off days.

use toml::de::DeValue;

use super::fields::{Fields, Value, expected, text};
use super::names::{Context, days, decision};
use crate::calendar::{Calendar, Change, Named, OneOff, Public, ics};
use crate::policy::problem::Problems;

/// Terms, breaks, holidays or one-off days, each.
const MAX_ENTRIES: usize = 400;
/// Days of a span: longer ones are typos.
const MAX_DAYS: i32 = 400;

pub(super) fn calendar(top: &mut Fields<'_, '_>, cx: &Context, out: &mut Problems<'_>) -> Calendar {
    let mut calendar = Calendar {
        // The regulation is one of Kyrgyz schools.
        public: Public::Kyrgyzstan,
        ..Calendar::default()
    };
    let Some(mut fields) = top.table("calendar", out) else {
        return calendar;
    };
    if let Some(mut year) = fields.table("year", out) {
        calendar.year = days(&mut year, out).map(|found| {
            if spans_days(found.value) > MAX_DAYS {
                out.at(
                    &found.span,
                    format!("expected an academic year of at most {MAX_DAYS} days"),
                );
            }
            found.value
        });
        year.finish(out);
    }
    let public = &[("kyrgyzstan", Public::Kyrgyzstan), ("none", Public::None)];
    if let Some(public) = fields.word("holidays", public, out) {
        calendar.public = public;
    }
    calendar.terms = named(&mut fields, "term", &calendar, out);
    calendar.breaks = named(&mut fields, "break", &calendar, out);
    calendar.holidays = named(&mut fields, "holiday", &calendar, out);
    let files = fields.list("ics", out, ics_file);
    calendar.holidays.extend(files.into_iter().flatten());
    calendar.decision = decision(&mut fields, cx, out);
    let found = fields.tables("day", out);
    if let Some(over) = found.get(MAX_ENTRIES) {
        out.at(
            &over.span,
            format!(
                "expected at most {MAX_ENTRIES} one-off days, found {}",
                found.len()
            ),
        );
    }
    calendar.days = found
        .into_iter()
        .filter_map(|fields| one_off(fields, cx, out))
        .collect();
    fields.finish(out);
    calendar
}

fn spans_days(span: crate::calendar::Span) -> i32 {
    span.first
        .until(span.last)
        .map_or(i32::MAX, |span| span.get_days().saturating_add(1))
}

fn named(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    calendar: &Calendar,
    out: &mut Problems<'_>,
) -> Vec<Named> {
    let found = fields.tables(key, out);
    if let Some(over) = found.get(MAX_ENTRIES) {
        out.at(
            &over.span,
            format!(
                "expected at most {MAX_ENTRIES} entries, found {}",
                found.len()
            ),
        );
    }
    let mut list: Vec<Named> = Vec::new();
    for mut fields in found {
        let name = fields.need_text("name", "\"I\"", out);
        let span = days(&mut fields, out);
        fields.finish(out);
        let (Some(name), Some(span)) = (name, span) else {
            continue;
        };
        if spans_days(span.value) > MAX_DAYS {
            out.at(&span.span, format!("expected at most {MAX_DAYS} days"));
        }
        // Holidays may fall together; two terms or breaks cannot.
        let other = list.iter().find(|other| other.span.touches(&span.value));
        if let Some(other) = other.filter(|_| key != "holiday") {
            out.at(
                &span.span,
                format!(
                    "this {key} overlaps \"{}\" of line {}",
                    other.name, other.line
                ),
            );
        }
        let outside = calendar
            .year
            .filter(|year| span.value.first < year.first || year.last < span.value.last);
        if let Some(year) = outside.filter(|_| key == "term") {
            out.at(
                &span.span,
                format!(
                    "this term is not within the academic year from {} to {}",
                    year.first, year.last
                ),
            );
        }
        list.push(Named {
            name: name.value,
            span: span.value,
            line: out.line(span.span.start),
        });
    }
    list
}

fn ics_file(value: &Value<'_>, out: &mut Problems<'_>) -> Option<Vec<Named>> {
    let file = text(value, out)?;
    let path = out.path().parent().map(|folder| folder.join(&file.value))?;
    let line = out.line(file.span.start);
    match ics::load(&path) {
        Ok(days) => Some(
            days.into_iter()
                .map(|(name, span)| Named { name, span, line })
                .collect(),
        ),
        Err(error) => {
            out.at(&file.span, format!("cannot use the calendar file: {error}"));
            None
        }
    }
}

fn one_off(mut fields: Fields<'_, '_>, cx: &Context, out: &mut Problems<'_>) -> Option<OneOff> {
    let date = fields.date("date", out);
    if !fields.has("date") {
        out.at(&fields.span, "expected `date`, such as date = 2026-11-14");
    }
    let name = fields.need_text("name", "\"Teachers' day\"", out);
    let closed = fields.flag("closed", out).unwrap_or(false);
    let like = fields.text("like", out).and_then(|day| {
        let found = crate::calendar::weekday(&day.value);
        if found.is_none() {
            out.at(
                &day.span,
                format!(
                    "expected a weekday such as \"Mon\", found \"{}\"",
                    day.value
                ),
            );
        }
        found
    });
    let bells = fields
        .text("bells", out)
        .and_then(|name| cx.bells.find(&name, out));
    let timetable = fields
        .text("timetable", out)
        .and_then(|name| cx.timetables.find(&name, out));
    let opens = ["like", "bells", "timetable"]
        .into_iter()
        .find(|key| fields.has(key));
    if let Some(key) = opens.filter(|_| closed) {
        out.at(
            &fields.spot(key),
            "a closed day has no lessons; leave this out",
        );
    }
    if opens.is_none() && !closed {
        out.at(&fields.span, "expected what is different on this day: closed = true, like = \"Mon\", bells = \"short\" or timetable = \"exams\"");
    }
    let rooms = match fields.take("rooms") {
        None => Vec::new(),
        Some(value) => match value.get_ref() {
            DeValue::Array(items) if !items.is_empty() => items
                .iter()
                .filter_map(|item| cx.rooms.find(&text(item, out)?, out))
                .collect(),
            other => {
                out.at(&value.span(), expected("a list of room names", other));
                Vec::new()
            }
        },
    };
    let decision = decision(&mut fields, cx, out);
    let line = out.line(fields.span.start);
    fields.finish(out);
    Some(OneOff {
        date: date?.value,
        name: name?.value,
        change: if closed {
            Change::Closed
        } else {
            Change::Open {
                like,
                bells,
                timetable,
            }
        },
        rooms,
        decision,
        line,
    })
}
