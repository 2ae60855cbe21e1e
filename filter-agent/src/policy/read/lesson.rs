//! `[[bells]]`, `[[timetable]]`, and windows without lessons.

use toml::de::DeValue;

use super::fields::{At, Fields, Value, clock, expected, number, text};
use super::names::{Context, decision};
use crate::calendar::{Bells, DAY, Entry, Lesson, PlainWindow, Shift, Timetable, Weekdays};
use crate::policy::problem::Problems;

/// Lessons of a shift.
const MAX_LESSONS: usize = 20;
/// Bell schedules, shifts of one, timetables.
const MAX_BELLS: usize = 64;
const MAX_SHIFTS: usize = 8;
const MAX_TIMETABLES: usize = 2048;
/// Lines of a timetable.
const MAX_ENTRIES: usize = 500;

pub(super) fn bells(top: &mut Fields<'_, '_>, out: &mut Problems<'_>) -> Vec<Bells> {
    let found = top.tables("bells", out);
    if let Some(over) = found.get(MAX_BELLS) {
        out.at(
            &over.span,
            format!(
                "expected at most {MAX_BELLS} bell schedules, found {}",
                found.len()
            ),
        );
    }
    found
        .into_iter()
        .map(|fields| schedule(fields, out))
        .collect()
}

fn schedule(mut fields: Fields<'_, '_>, out: &mut Problems<'_>) -> Bells {
    let name = fields.take("name").and_then(|name| name.get_ref().as_str());
    let mut bells = Bells {
        name: name.unwrap_or_default().trim().to_string(),
        shifts: Vec::new(),
        line: out.line(fields.span.start),
    };
    if fields.has("lessons") {
        let lessons = lessons(&mut fields, out);
        bells.shifts.push(Shift {
            name: String::new(),
            lessons,
        });
    }
    for mut shift in fields.tables("shift", out) {
        let name = shift.need_text("name", "\"first\"", out);
        let lessons = lessons(&mut shift, out);
        shift.finish(out);
        let Some(name) = name else { continue };
        if bells.shifts.iter().any(|other| other.name == name.value) {
            out.at(
                &name.span,
                format!("the shift \"{}\" stands here twice", name.value),
            );
            continue;
        }
        bells.shifts.push(Shift {
            name: name.value,
            lessons,
        });
    }
    if bells.shifts.is_empty() {
        out.at(
            &fields.span,
            "expected the bells: lessons = [\"08:00-08:45\", …] or shifts as [[bells.shift]]",
        );
    }
    if bells.shifts.len() > MAX_SHIFTS {
        out.at(
            &fields.span,
            format!(
                "expected at most {MAX_SHIFTS} shifts, found {}",
                bells.shifts.len()
            ),
        );
    }
    fields.finish(out);
    bells
}

fn lessons(fields: &mut Fields<'_, '_>, out: &mut Problems<'_>) -> Vec<Lesson> {
    if !fields.has("lessons") {
        out.at(
            &fields.span,
            "expected `lessons`, such as lessons = [\"08:00-08:45\", \"08:50-09:35\"]",
        );
    }
    let read = fields.list("lessons", out, |value, out| {
        let found = text(value, out)?;
        let (start, end) = times(&found.value).unwrap_or((0, 0));
        if start >= end {
            out.at(
                &found.span,
                format!(
                    "expected a lesson within a day such as \"08:00-08:45\", found \"{}\"",
                    found.value
                ),
            );
            return None;
        }
        Some(At {
            value: Lesson { start, end },
            span: found.span,
        })
    });
    for pair in read.windows(2) {
        if let [one, next] = pair
            && next.value.start < one.value.end
        {
            out.at(
                &next.span,
                "this lesson begins before the one before it ends; lessons stand in their order",
            );
        }
    }
    if read.len() > MAX_LESSONS {
        out.at(
            &fields.spot("lessons"),
            format!(
                "expected at most {MAX_LESSONS} lessons, found {}",
                read.len()
            ),
        );
    }
    read.into_iter().map(|lesson| lesson.value).collect()
}

/// `08:00-13:30` as minutes.
fn times(text: &str) -> Option<(u16, u16)> {
    let (start, end) = text.split_once('-')?;
    Some((clock(start.trim())?, clock(end.trim())?))
}

pub(super) fn timetables(
    top: &mut Fields<'_, '_>,
    cx: &Context,
    bells: &[Bells],
    out: &mut Problems<'_>,
) -> Vec<Timetable> {
    let found = top.tables("timetable", out);
    if let Some(over) = found.get(MAX_TIMETABLES) {
        out.at(
            &over.span,
            format!(
                "expected at most {MAX_TIMETABLES} timetables, found {}",
                found.len()
            ),
        );
    }
    let mut list = Vec::new();
    for mut fields in found {
        let name = fields.take("name").and_then(|name| name.get_ref().as_str());
        let name = name.unwrap_or_default().trim().to_string();
        let timetable = timetable(&mut fields, name, cx, bells, out);
        fields.finish(out);
        // Keeps its place, so that names and indices agree.
        list.push(timetable.unwrap_or_else(|| Timetable {
            name: String::new(),
            bells: 0,
            entries: Vec::new(),
            decision: None,
            line: 1,
        }));
    }
    list
}

/// Reads `bells`, `lessons` and the decision of a timetable; also used for
/// rooms that bring their lessons along.
pub(super) fn timetable(
    fields: &mut Fields<'_, '_>,
    name: String,
    cx: &Context,
    bells: &[Bells],
    out: &mut Problems<'_>,
) -> Option<Timetable> {
    let decision = decision(fields, cx, out);
    let at = match fields.text("bells", out) {
        Some(named) => cx.bells.find(&named, out),
        None if bells.len() == 1 || fields.has("bells") => Some(0),
        None => {
            out.at(
                &fields.span,
                "expected `bells`, the name of the [[bells]] that the lessons are counted by",
            );
            None
        }
    };
    let (Some(at), Some(schedule)) = (at, at.and_then(|at| bells.get(at))) else {
        // Without bells nothing can be said about the lessons.
        fields.take("lessons");
        return None;
    };
    let entries = fields.list("lessons", out, |value, out| entry(value, cx, schedule, out));
    if fields.is_empty_list("lessons") {
        out.at(&fields.spot("lessons"), "expected at least one line such as lessons = [{ days = \"Mon-Fri\", numbers = \"1-6\" }]");
    }
    if entries.len() > MAX_ENTRIES {
        out.at(
            &fields.spot("lessons"),
            format!(
                "expected at most {MAX_ENTRIES} lines, found {}",
                entries.len()
            ),
        );
    }
    twice(&entries, schedule, out);
    Some(Timetable {
        name,
        bells: at,
        entries: entries.into_iter().map(|entry| entry.value).collect(),
        decision,
        line: out.line(fields.span.start),
    })
}

fn entry(
    value: &Value<'_>,
    cx: &Context,
    bells: &Bells,
    out: &mut Problems<'_>,
) -> Option<At<Entry>> {
    let mut fields = Fields::of(value, out)?;
    let days = fields.need_text("days", "\"Mon-Fri\"", out);
    let days = days.and_then(|days| weekdays(&days, out));
    let shift_name = fields.text("shift", out);
    let shift = match &shift_name {
        Some(name) => bells.shifts.iter().find(|shift| shift.name == name.value),
        None => bells.shifts.first(),
    };
    if shift.is_none() {
        let span = shift_name.map_or(fields.span.clone(), |name| name.span);
        let known: Vec<_> = bells
            .shifts
            .iter()
            .map(|shift| shift.name.as_str())
            .filter(|name| !name.is_empty())
            .collect();
        let hint = if known.is_empty() {
            "it has no shifts; leave this out".to_string()
        } else {
            format!("it has {}", known.join(", "))
        };
        out.at(
            &span,
            format!("expected a shift of the bells \"{}\": {hint}", bells.name),
        );
    }
    if !fields.has("numbers") {
        out.at(
            &fields.span,
            "expected `numbers`, the lessons by number, such as numbers = \"1-6\"",
        );
    }
    let numbers = fields.take("numbers").and_then(|value| {
        let numbers = numbers(value, out)?;
        let (last, shift) = (numbers.last().copied()?, shift?);
        if usize::from(last) > shift.lessons.len() {
            out.at(
                &value.span(),
                format!(
                    "lesson {last} has no bells: \"{}\" rings for {} lessons",
                    bells.name,
                    shift.lessons.len()
                ),
            );
            return None;
        }
        Some(numbers)
    });
    let group = fields
        .text("group", out)
        .and_then(|name| cx.groups.find(&name, out));
    let class = fields.text("class", out).map(|class| class.value);
    fields.finish(out);
    Some(At {
        value: Entry {
            days: days?,
            shift: shift?.name.clone(),
            lessons: numbers?,
            group,
            class,
            line: out.line(value.span().start),
        },
        span: value.span(),
    })
}

pub(super) fn weekdays(found: &At<String>, out: &mut Problems<'_>) -> Option<Weekdays> {
    let days = Weekdays::parse(&found.value);
    if days.is_none() {
        out.at(
            &found.span,
            format!(
                "expected days such as \"Mon-Fri\" or \"Mon,Wed\", found \"{}\"",
                found.value
            ),
        );
    }
    days
}

/// `3`, `"1-6"`, `"1,3-4"` or `[1, 2]`; ascending, each once.
fn numbers(value: &Value<'_>, out: &mut Problems<'_>) -> Option<Vec<u8>> {
    let bounds = 1..=MAX_LESSONS as i64;
    let mut list: Vec<u8> = match value.get_ref() {
        DeValue::String(text) => {
            let list = span_of_numbers(text)
                .filter(|list| list.iter().all(|n| bounds.contains(&i64::from(*n))));
            if list.is_none() {
                out.at(
                    &value.span(),
                    expected(
                        "lesson numbers such as \"1-6\" or \"1,3-4\"",
                        value.get_ref(),
                    ),
                );
            }
            list?
        }
        DeValue::Array(items) => {
            let mut list = Vec::new();
            for item in items.iter() {
                list.push(number(item, bounds.clone(), out)? as u8);
            }
            list
        }
        _ => vec![number(value, bounds, out)? as u8],
    };
    let len = list.len();
    list.sort_unstable();
    list.dedup();
    if list.is_empty() || list.len() != len {
        out.at(&value.span(), "expected each lesson number once");
        return None;
    }
    Some(list)
}

fn span_of_numbers(text: &str) -> Option<Vec<u8>> {
    let mut list = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u8, u8) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        if from > to {
            return None;
        }
        list.extend(from..=to);
    }
    Some(list)
}

/// The same room cannot hold two lessons at once.
fn twice(entries: &[At<Entry>], bells: &Bells, out: &mut Problems<'_>) {
    let slots = |entry: &Entry| -> Vec<Lesson> {
        let shift = bells.shifts.iter().find(|shift| shift.name == entry.shift);
        let lessons = shift.map_or(&[][..], |shift| &shift.lessons);
        let number = |n: &u8| lessons.get(usize::from(*n).wrapping_sub(1)).copied();
        entry.lessons.iter().filter_map(number).collect()
    };
    for (i, entry) in entries.iter().enumerate() {
        let held = slots(&entry.value);
        let clash = entries.iter().take(i).find(|other| {
            other
                .value
                .days
                .iter()
                .any(|day| entry.value.days.contains(day))
                && slots(&other.value)
                    .iter()
                    .any(|a| held.iter().any(|b| a.start < b.end && b.start < a.end))
        });
        if let Some(other) = clash {
            out.at(
                &entry.span,
                format!(
                    "these lessons overlap those of line {}: a room holds one at a time",
                    other.value.line
                ),
            );
        }
    }
}

/// Reads the `open` of a room: `["Mon-Fri 08:00-13:30"]`.
pub(super) fn windows(fields: &mut Fields<'_, '_>, out: &mut Problems<'_>) -> Vec<At<PlainWindow>> {
    fields.list("open", out, |value, out| {
        let found = text(value, out)?;
        let Some((days, start, end)) = window(&found.value) else {
            out.at(
                &found.span,
                format!(
                    "expected days and times such as \"Mon-Fri 08:00-13:30\", found \"{}\"{}",
                    found.value,
                    super::hint::window(&found.value),
                ),
            );
            return None;
        };
        if start == end {
            out.at(
                &found.span,
                "the window ends when it begins; write 00:00-24:00 for whole days",
            );
            return None;
        }
        Some(At {
            value: PlainWindow {
                days,
                start,
                end: if end > start { end } else { end + DAY },
                line: out.line(found.span.start),
            },
            span: found.span,
        })
    })
}

fn window(text: &str) -> Option<(Weekdays, u16, u16)> {
    let (days, hours) = text.rsplit_once(' ')?;
    let (start, end) = times(hours)?;
    if start >= DAY {
        return None;
    }
    Some((Weekdays::parse(days.trim())?, start, end))
}
