//! `replay`: a capture through the real program, without any interface.

use std::io::{BufWriter, ErrorKind, stdout};
use std::path::PathBuf;

use filter_ebpf::abi::Reason;

use super::Common;
use super::schedule::load;
use crate::control::{Code, Failure};
use crate::daemon::rehearse;
use crate::replay::{Judged, Line, Printer, Style};
use crate::words::{Language, Message, Said};

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
    /// A pcap or pcapng file, packed by gzip or not; - is the standard input.
    capture: PathBuf,
}

pub(super) fn run(args: Args, common: &Common) -> Result<(), Failure> {
    let policy = load(&args.policy)?;
    let names = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>();
    let rooms = names(policy.rooms.iter().map(|room| &room.name).collect());
    let groups = names(policy.groups.iter().map(|group| &group.name).collect());
    let categories = names(policy.categories.iter().map(|one| &one.name).collect());
    let language = Language::of_environment();
    let style = if common.json {
        Style::Json
    } else {
        Style::Table(language)
    };
    let mut out = Printer::new(BufWriter::new(stdout().lock()), style);
    let room = args.room.as_deref();
    let mut missed = Missed::default();
    let done = rehearse(&policy, &args.capture, room, args.at.as_deref(), |judged| {
        missed.see(judged);
        let line = Line::new(judged, &rooms, &groups, &categories);
        out.line(&line).map_err(written)
    });
    // The frames before an error are told before the error.
    out.finish().map_err(written)?;
    for said in missed.told(room.is_none(), policy.rooms_as_typed()) {
        eprintln!("{}", said.in_language(language));
    }
    done
}

/// Frames about which the reader must know something, told once behind all.
#[derive(Default)]
struct Missed {
    /// Without a tag, and in no room.
    untagged: u64,
    /// Of link types that are not understood, and one of those.
    strange: u64,
    link_type: u32,
}

impl Missed {
    fn see(&mut self, judged: &Judged) {
        if judged.verdict.is_none() {
            self.strange += 1;
            self.link_type = judged.link_type;
        } else if judged.reason == Reason::UnknownVlan && judged.vlan == (None, None) {
            self.untagged += 1;
        }
    }

    fn told(&self, no_room: bool, rooms: String) -> Vec<Said> {
        let mut told = Vec::new();
        if no_room && self.untagged > 0 {
            told.push(
                Said::new(Message::ReplayUntagged)
                    .with("frames", self.untagged)
                    .with("rooms", rooms),
            );
        }
        if self.strange > 0 {
            told.push(
                Said::new(Message::ReplayLinkType)
                    .with("frames", self.strange)
                    .with("type", self.link_type),
            );
        }
        told
    }
}

fn written(error: std::io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        // Whoever read has seen enough.
        std::process::exit(0);
    }
    Failure::new(Code::Internal, format!("cannot write: {error}"))
}
