//! The week of a room, as text and as a picture.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::ToSpan;
use jiff::civil::{Date, Time, Weekday};

use super::days::{Day, DayOff};
use super::{Window, WindowKind, windows};
use crate::policy::{Door, Policy};
use crate::words::{Language, Word};

/// Characters of a column of the text: all that a label needs, and what a
/// narrow terminal leaves.
const COLUMN: usize = 14;
const NARROW: usize = 9;
/// Characters before the first column.
const HEAD: usize = 14;

/// A window on its day, minutes by the clock on the wall.
struct Block {
    day: usize,
    start: u32,
    /// Over 1440 past midnight.
    end: u32,
    label: String,
}

/// The Monday of a date's week.
pub fn monday(date: Date) -> Date {
    let back = i64::from(date.weekday().to_monday_zero_offset());
    date.checked_sub(back.days()).unwrap_or(date)
}

fn blocks(policy: &Policy, room: usize, first: Date, language: Language) -> Vec<Block> {
    let midnight = |date: Date| {
        policy
            .timezone
            .to_timestamp(date.to_datetime(Time::MIN))
            .ok()
    };
    let after = first.checked_add(7.days()).unwrap_or(first);
    let (Some(from), Some(to)) = (midnight(first), midnight(after)) else {
        return Vec::new();
    };
    let found = windows(policy, room, from, to);
    let begun = found.into_iter().filter(|window| window.start >= from);
    begun
        .map(|window| block(policy, &window, first, language))
        .collect()
}

fn block(policy: &Policy, window: &Window, first: Date, language: Language) -> Block {
    let start = policy.timezone.to_datetime(window.start);
    let end = policy.timezone.to_datetime(window.end);
    let minute = |at: jiff::civil::DateTime| {
        u32::from(at.hour().unsigned_abs()) * 60 + u32::from(at.minute().unsigned_abs())
    };
    let next_day = if end.date() > start.date() { 1440 } else { 0 };
    let begin = minute(start);
    let mut finish = minute(end) + next_day;
    if finish <= begin {
        // The clocks were set back meanwhile: what they would have shown.
        let elapsed = window.start.duration_until(window.end).as_mins();
        finish = begin + u32::try_from(elapsed).unwrap_or(0);
    }
    let day = first.until(start.date()).map_or(0, |span| span.get_days());
    Block {
        day: usize::try_from(day).unwrap_or(0),
        start: begin,
        end: finish,
        label: match &window.kind {
            WindowKind::Lesson { number, class, .. } => {
                let class = class.as_deref().unwrap_or(Word::Lesson.text(language));
                format!("{number} {class}")
            }
            _ => Word::Open.text(language).to_string(),
        },
    }
}

/// Why a day of the week is off, or which one-off day it is.
fn remark(policy: &Policy, room: usize, date: Date, language: Language) -> Option<String> {
    let follows = policy.rooms.get(room)?.follows_calendar;
    match policy.calendar.day(date, room, follows) {
        Day::School { name, .. } => name.map(str::to_string),
        Day::Off(DayOff::OneOff(name) | DayOff::Holiday(name) | DayOff::Break(name)) => {
            Some(name.to_string())
        }
        Day::Off(DayOff::Public(fixed)) => Some(language.of(fixed.names).to_string()),
        Day::Off(DayOff::OutOfTerm) => Some(Word::OutOfTerm.text(language).to_string()),
        Day::Off(DayOff::OutOfYear) => Some(Word::OutOfYear.text(language).to_string()),
    }
}

/// The short name of a weekday.
fn day_name(day: Weekday, language: Language) -> &'static str {
    let names = match day {
        Weekday::Monday => ["Mon", "Пн", "Дш"],
        Weekday::Tuesday => ["Tue", "Вт", "Шш"],
        Weekday::Wednesday => ["Wed", "Ср", "Шр"],
        Weekday::Thursday => ["Thu", "Чт", "Бш"],
        Weekday::Friday => ["Fri", "Пт", "Жм"],
        Weekday::Saturday => ["Sat", "Сб", "Иш"],
        Weekday::Sunday => ["Sun", "Вс", "Жк"],
    };
    language.of(names)
}

fn clock(minute: u32) -> String {
    if minute == 1440 {
        return "24:00".to_string();
    }
    format!("{:02}:{:02}", minute / 60 % 24, minute % 60)
}

fn heading(policy: &Policy, room: usize) -> String {
    let Some(this) = policy.rooms.get(room) else {
        return String::new();
    };
    let group = policy
        .groups
        .get(this.group)
        .map_or("", |group| &group.name);
    let parts = [
        Some(this.name.as_str()),
        this.title.as_deref(),
        Some(group),
        this.class_teacher.as_deref(),
    ];
    let named: Vec<&str> = parts.into_iter().flatten().collect();
    format!("{} · {}", named.join(" · "), this.tag)
}

/// A text of at most `width` characters.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_string();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// The week of a date as lines of text: a row for every span of time, a
/// column for every day. `width` is the terminal's, in characters; below 80
/// lines are longer than that.
pub fn week_text(
    policy: &Policy,
    room: usize,
    date: Date,
    language: Language,
    width: usize,
) -> String {
    let column = (width.saturating_sub(HEAD) / 7).clamp(NARROW, COLUMN);
    let first = monday(date);
    let mut text = format!("{}\n", heading(policy, room));
    if policy
        .rooms
        .get(room)
        .is_some_and(|room| room.door == Door::Always)
    {
        let _ = writeln!(text, "  {}", Word::AlwaysOpen.text(language));
        return text;
    }
    let mut line = |cells: &[String], head: &str| {
        let cells = cells
            .iter()
            .map(|cell| format!("{:<column$}", cut(cell, column - 1)));
        let row = format!("  {head:<12}{}", cells.collect::<String>());
        let _ = writeln!(text, "{}", row.trim_end());
    };
    let dates: Vec<Date> = (0..7)
        .filter_map(|day: i64| first.checked_add(day.days()).ok())
        .collect();
    let names: Vec<String> = dates
        .iter()
        .map(|date| {
            let name = day_name(date.weekday(), language);
            let (day, month) = (date.day(), date.month());
            let long = format!("{name} {day:02}.{month:02}");
            if long.chars().count() < column {
                long
            } else {
                format!("{name} {day}")
            }
        })
        .collect();
    line(&names, "");
    let remarks: Vec<String> = dates
        .iter()
        .map(|date| remark(policy, room, *date, language).unwrap_or_default())
        .collect();
    if remarks.iter().any(|remark| !remark.is_empty()) {
        line(&remarks, "");
    }
    let mut rows: BTreeMap<(u32, u32), Vec<String>> = BTreeMap::new();
    for block in blocks(policy, room, first, language) {
        let row = rows
            .entry((block.start, block.end))
            .or_insert_with(|| vec![String::new(); 7]);
        if let Some(cell) = row.get_mut(block.day) {
            *cell = block.label;
        }
    }
    if rows.is_empty() {
        line(&[], Word::Closed.text(language));
    }
    for ((start, end), cells) in rows {
        line(&cells, &format!("{}-{}", clock(start), clock(end)));
    }
    text
}

/// The weeks of rooms as an SVG document, one below the other.
pub fn week_svg(policy: &Policy, rooms: &[usize], date: Date, language: Language) -> String {
    const DAY_WIDTH: u32 = 120;
    const LEFT: u32 = 60;
    const TITLE: u32 = 64;
    let first = monday(date);
    let width = LEFT + 7 * DAY_WIDTH + 20;
    let (mut body, mut y) = (String::new(), 10);
    for room in rooms {
        let found = blocks(policy, *room, first, language);
        let always = policy
            .rooms
            .get(*room)
            .is_some_and(|room| room.door == Door::Always);
        let from = found.iter().map(|b| b.start).min().unwrap_or(480) / 60 * 60;
        let to = found
            .iter()
            .map(|b| b.end)
            .max()
            .unwrap_or(540)
            .div_ceil(60)
            * 60;
        // Half a pixel a minute for long days keeps a page readable.
        let scale = |minutes: u32| {
            if to - from > 720 {
                minutes / 2
            } else {
                minutes * 4 / 5
            }
        };
        let height = if always { 30 } else { scale(to - from) };
        let top = y + TITLE;
        let _ = writeln!(
            body,
            "<text class=\"t\" x=\"10\" y=\"{}\">{}</text>",
            y + 18,
            escape(&heading(policy, *room))
        );
        if always {
            let text = Word::AlwaysOpen.text(language);
            let _ = writeln!(
                body,
                "<rect class=\"b\" x=\"{LEFT}\" y=\"{}\" width=\"{}\" height=\"26\" rx=\"3\"/><text class=\"l\" x=\"{}\" y=\"{}\">{text}</text>",
                y + 30,
                7 * DAY_WIDTH,
                LEFT + 8,
                y + 47
            );
            y += 74;
            continue;
        }
        for hour in from / 60..=to / 60 {
            let at = top + scale(hour * 60 - from);
            let _ = writeln!(
                body,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at}\" y2=\"{at}\"/><text class=\"h\" x=\"{}\" y=\"{}\">{}</text>",
                LEFT + 7 * DAY_WIDTH,
                LEFT - 6,
                at + 4,
                clock(hour * 60)
            );
        }
        for day in 0..7u32 {
            let Ok(date) = first.checked_add(i64::from(day).days()) else {
                continue;
            };
            let x = LEFT + day * DAY_WIDTH + 4;
            let name = format!(
                "{} {:02}.{:02}",
                day_name(date.weekday(), language),
                date.day(),
                date.month()
            );
            let _ = writeln!(
                body,
                "<text class=\"d\" x=\"{x}\" y=\"{}\">{name}</text>",
                y + 40
            );
            if let Some(remark) = remark(policy, *room, date, language) {
                let _ = writeln!(
                    body,
                    "<text class=\"r\" x=\"{x}\" y=\"{}\">{}</text>",
                    y + 55,
                    escape(&cut(&remark, 19))
                );
            }
        }
        for block in &found {
            let x = LEFT + block.day as u32 * DAY_WIDTH + 2;
            let (at, tall) = (
                top + scale(block.start - from),
                scale(block.end - block.start).max(2),
            );
            let title = format!(
                "{}-{} {}",
                clock(block.start),
                clock(block.end),
                block.label
            );
            let _ = writeln!(
                body,
                "<rect class=\"b\" x=\"{x}\" y=\"{at}\" width=\"{}\" height=\"{tall}\" rx=\"3\"><title>{}</title></rect>",
                DAY_WIDTH - 4,
                escape(&title)
            );
            if tall >= 14 {
                let _ = writeln!(
                    body,
                    "<text class=\"l\" x=\"{}\" y=\"{}\">{}</text>",
                    x + 5,
                    at + tall / 2 + 4,
                    escape(&cut(&block.label, 17))
                );
            }
        }
        y = top + height + 24;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y}\" viewBox=\"0 0 {width} {y}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <style>.t{{font-size:15px;font-weight:bold}}.h{{text-anchor:end;fill:#666}}.d{{font-weight:bold}}.r{{fill:#a33;font-size:10px}}.b{{fill:#cfe3f7;stroke:#4a7fb5}}.l{{fill:#123}}line{{stroke:#ddd}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
