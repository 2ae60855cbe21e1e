//! `schedule`: the timetable, shown and checked. Needs no agent.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::civil::Date;

use super::Common;
use super::output::{line, print};
use crate::calendar::findings::findings;
use crate::calendar::picture::{week_svg, week_text};
use crate::control::{Code, Failure};
use crate::policy::Policy;
use crate::words::{Language, Message, Said, Word};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The week of every room, or of one.
    Show {
        /// The policy's file.
        policy: PathBuf,
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
        } => show(&load(&policy)?, room.as_deref(), week, svg),
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
) -> Result<(), Failure> {
    let language = Language::of_environment();
    let week = week.unwrap_or_else(|| policy.date(Timestamp::now()));
    let rooms: Vec<usize> = match room {
        None => (0..policy.rooms.len()).collect(),
        Some(name) => vec![policy.room(name).ok_or_else(|| {
            let rooms: Vec<&str> = policy.rooms.iter().map(|room| &*room.name).collect();
            Failure::not_found(
                Said::new(Message::NoSuchRoom)
                    .with("room", name)
                    .with("rooms", rooms.join(", ")),
            )
        })?],
    };
    if let Some(path) = svg {
        let picture = week_svg(policy, &rooms, week, language);
        return std::fs::write(&path, picture).map_err(|error| {
            Failure::bad_request(format!("cannot write {}: {error}", path.display()))
        });
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
