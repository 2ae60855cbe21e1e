//! `schedule`: the timetable, shown and checked. Needs no agent.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;

use super::Common;
use super::output::{line, print};
use crate::calendar::findings::findings;
use crate::calendar::picture::{monday, week_svg, week_text};
use crate::calendar::windows::{WindowKind, windows};
use crate::control::{Code, Failure};
use crate::policy::Policy;
use crate::words::{Language, Message, Said, Word};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The week of every room, or of one.
    Show {
        /// The policy's file.
        policy: PathBuf,
        /// Only this room.
        #[arg(long, value_name = "NAME")]
        room: Option<String>,
        /// Any day of the week, such as 2026-09-07; today's without it.
        #[arg(long, value_name = "DATE")]
        week: Option<Date>,
        /// Draw a picture (SVG) into this file instead.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Look for rooms without windows, lessons without bells, classes in two
    /// rooms at once, holidays out of term.
    Check {
        /// The policy's file.
        policy: PathBuf,
    },
}

pub(super) fn run(command: Command, common: &Common) -> Result<(), Failure> {
    match command {
        Command::Show {
            policy,
            room,
            week,
            svg,
        } => show(&load(&policy)?, room.as_deref(), week, svg, common),
        Command::Check { policy } => check(&load(&policy)?, common),
    }
}

pub(super) fn load(path: &std::path::Path) -> Result<Policy, Failure> {
    Policy::load(path).map_err(|error| Failure::new(Code::PolicyError, error.to_string()))
}

fn show(
    policy: &Policy,
    room: Option<&str>,
    week: Option<Date>,
    svg: Option<PathBuf>,
    common: &Common,
) -> Result<(), Failure> {
    let language = Language::of_environment();
    let week = week.unwrap_or_else(|| policy.date(Timestamp::now()));
    let rooms: Vec<usize> = match room {
        None => (0..policy.rooms.len()).collect(),
        Some(name) => vec![policy.room(name).ok_or_else(|| {
            Failure::not_found(
                Said::new(Message::NoSuchRoom)
                    .with("room", name)
                    .with("rooms", policy.rooms_as_typed()),
            )
        })?],
    };
    if let Some(path) = svg {
        let picture = week_svg(policy, &rooms, week, language);
        return std::fs::write(&path, picture).map_err(|error| {
            Failure::bad_request(format!("cannot write {}: {error}", path.display()))
        });
    }
    if common.json {
        let weeks: Vec<Week> = rooms
            .into_iter()
            .map(|room| Week::of(policy, room, week))
            .collect();
        return print(common, &weeks, |_, _| String::new());
    }
    let width = columns();
    for room in rooms {
        line(&week_text(policy, room, week, language, width))?;
    }
    Ok(())
}

/// Characters of a line: the terminal's, or enough where nobody looks.
fn columns() -> usize {
    const ENOUGH: usize = 120;
    if !std::io::stdout().is_terminal() {
        return ENOUGH;
    }
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes one winsize, and `size` is one that lives on.
    let done = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    match size.ws_col {
        0 => ENOUGH,
        _ if done != 0 => ENOUGH,
        columns => usize::from(columns),
    }
}

/// A room's week for programs.
#[derive(Debug, Serialize)]
struct Week<'a> {
    room: &'a str,
    /// Spans in which the room is open; one of a whole week where it always
    /// is.
    windows: Vec<Opening<'a>>,
}

#[derive(Debug, Serialize)]
struct Opening<'a> {
    from: Timestamp,
    until: Timestamp,
    group: &'a str,
    shift: Option<String>,
    lesson: Option<u8>,
    class: Option<String>,
}

impl<'a> Week<'a> {
    /// The week of `date`, from Monday on.
    fn of(policy: &'a Policy, room: usize, date: Date) -> Self {
        let first = monday(date);
        let start = |days: i64| {
            let day = first.saturating_add(days.days());
            let start = policy.timezone.to_timestamp(day.at(0, 0, 0, 0));
            start.unwrap_or(Timestamp::MAX)
        };
        let name = |group: usize| policy.groups.get(group).map_or("", |group| &*group.name);
        let windows = windows(policy, room, start(0), start(7)).into_iter();
        let windows = windows.map(|window| {
            let (shift, lesson, class) = match window.kind {
                WindowKind::Lesson {
                    number,
                    shift,
                    class,
                    ..
                } => (Some(shift).filter(|s| !s.is_empty()), Some(number), class),
                WindowKind::Plain { .. } | WindowKind::Always => (None, None, None),
            };
            Opening {
                from: window.start,
                until: window.end,
                group: name(window.group),
                shift,
                lesson,
                class,
            }
        });
        Self {
            room: policy.rooms.get(room).map_or("", |room| &*room.name),
            windows: windows.collect(),
        }
    }
}

/// Findings are a reason to look, so the exit code tells of them.
fn check(policy: &Policy, common: &Common) -> Result<(), Failure> {
    let found = findings(policy, policy.date(Timestamp::now()));
    print(common, &found, |screen, found| {
        let lines = found.iter().map(|finding| {
            format!(
                "{}:{}: {}",
                policy.path.display(),
                finding.line,
                screen.say(&finding.message)
            )
        });
        let text: Vec<String> = lines.collect();
        if text.is_empty() {
            return screen.word(Word::NothingFound);
        }
        text.join("\n")
    })?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Code::PolicyError,
        Said::new(Message::ToLookAtCount).with("count", found.len()),
    ))
}
