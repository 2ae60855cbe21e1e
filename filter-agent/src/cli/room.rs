//! Rooms: which are open, and opening and closing them by hand.

use jiff::SignedDuration;

use super::Common;
use super::output::{Screen, count, or_dash, print, span};
use crate::control::Failure;
use crate::control::api::{Room, RoomMode, RoomsQuery, SetRoom};
use crate::words::Word;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Every room and its door.
    List,
    /// Open a room by hand, whatever its timetable says.
    Open(Args),
    /// Close a room by hand; what runs there stops at once.
    Close(Args),
    /// Give a room back to its timetable.
    Auto {
        /// The room, as the policy names it.
        name: String,
        /// Why; it stands in the audit log.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The room, as the policy names it.
    name: String,
    /// For how long, such as 45m; else until `room auto`.
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    span: Option<SignedDuration>,
    /// Why; it stands in the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) fn run(command: Command, common: &Common) -> Result<(), Failure> {
    let client = common.client()?;
    let (args, mode) = match command {
        Command::List => {
            let rooms = client.call(&RoomsQuery {})?;
            return print(common, &rooms, |screen, rooms| table(screen, rooms));
        }
        Command::Open(args) => (args, RoomMode::Open),
        Command::Close(args) => (args, RoomMode::Closed),
        Command::Auto { name, reason } => (
            Args {
                name,
                span: None,
                reason,
            },
            RoomMode::Auto,
        ),
    };
    let room = client.call(&SetRoom {
        room: args.name,
        mode,
        span: args.span,
        reason: args.reason,
    })?;
    print(common, &room, |screen, room| {
        table(screen, std::slice::from_ref(room))
    })
}

pub(super) fn table(screen: &Screen, rooms: &[Room]) -> String {
    let mut table = screen.table([
        Word::Room,
        Word::Group,
        Word::Door,
        Word::Until,
        Word::Why,
        Word::Lesson,
        Word::Teacher,
        Word::Passed,
        Word::Refused,
    ]);
    for room in rooms {
        let name = match &room.title {
            Some(title) => format!("{} ({title})", room.name),
            None => room.name.clone(),
        };
        table.row([
            name,
            room.group.clone(),
            match room.open {
                true => format!("● {}", screen.word(Word::Open)),
                false => format!("○ {}", screen.word(Word::Closed)),
            },
            screen.when_any(room.until),
            screen.say(&room.because),
            or_dash(room.lesson.as_deref()),
            or_dash(room.holder.as_deref()),
            count(room.passed),
            count(room.refused),
        ]);
    }
    table.or(&screen.word(Word::NoRooms))
}
