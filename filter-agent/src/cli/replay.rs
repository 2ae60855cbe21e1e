//! `replay`: a capture through the real program, without any interface.

use std::io::{BufWriter, ErrorKind, Write as _, stdout};
use std::path::PathBuf;

use super::Common;
use super::schedule::load;
use crate::control::{Code, Failure};
use crate::daemon::rehearse;
use crate::replay::{Line, Style, write};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The policy's file.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Room of frames without a VLAN tag.
    #[arg(long, value_name = "NAME")]
    room: Option<String>,
    /// When the first frame is, by the school's clock (2026-09-01T08:30) or
    /// with an offset; else when it was recorded.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// A pcap or pcapng file.
    capture: PathBuf,
}

pub(super) fn run(args: Args, common: &Common) -> Result<(), Failure> {
    let policy = load(&args.policy)?;
    let names = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>();
    let rooms = names(policy.rooms.iter().map(|room| &room.name).collect());
    let groups = names(policy.groups.iter().map(|group| &group.name).collect());
    let categories = names(policy.categories.iter().map(|one| &one.name).collect());
    let style = if common.json {
        Style::Json
    } else {
        Style::Table
    };
    let mut out = BufWriter::new(stdout().lock());
    let room = args.room.as_deref();
    let done = rehearse(&policy, &args.capture, room, args.at.as_deref(), |judged| {
        let line = Line::new(judged, &rooms, &groups, &categories);
        write(&mut out, style, &line).map_err(written)
    });
    // The frames before an error are told before the error.
    out.flush().map_err(written)?;
    done
}

fn written(error: std::io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        // Whoever read has seen enough.
        std::process::exit(0);
    }
    Failure::new(Code::Internal, format!("cannot write: {error}"))
}
