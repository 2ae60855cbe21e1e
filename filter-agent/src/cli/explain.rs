//! What would happen, and why.

use std::net::IpAddr;

use super::Common;
use super::output::{Screen, print};
use crate::control::Failure;
use crate::control::api::{Explain, Explanation};
use crate::words::{Message, Said, Word};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["host", "addr"]).multiple(true))]
pub(super) struct Args {
    /// The room, as the policy names it.
    #[arg(long, value_name = "NAME")]
    room: String,
    /// The name that a device asks for.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The address that it goes to; with `--host` both are judged.
    #[arg(long, value_name = "IP")]
    addr: Option<IpAddr>,
    /// Any moment, past or future, by the school's clock: 2026-11-24T10:15.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

pub(super) fn run(args: Args, common: &Common) -> Result<(), Failure> {
    let explanation = common.client()?.call(&Explain {
        room: args.room,
        host: args.host,
        addr: args.addr,
        at: args.at,
    })?;
    print(common, &explanation, text)
}

pub(super) fn text(screen: &Screen, explanation: &Explanation) -> String {
    let list = match (&explanation.list, explanation.line) {
        (Some(list), Some(line)) => format!("{list}:{line}"),
        (Some(list), None) => list.clone(),
        (None, _) => String::new(),
    };
    let entry = explanation.entry.clone().unwrap_or_default();
    let decision = explanation.decision.as_ref().map(|said| screen.say(said));
    let any = |text: &Option<String>| text.clone().unwrap_or_default();
    let place = Said::new(Message::RoomAndGroup)
        .with("room", &explanation.room)
        .with("group", &explanation.group);
    screen.pairs(&[
        (
            Word::Verdict,
            format!(
                "{} — {} ({})",
                screen.verdict(&explanation.verdict),
                screen.say(&explanation.because),
                explanation.reason
            ),
        ),
        (Word::For, explanation.target.clone()),
        (Word::In, screen.say(&place)),
        (Word::At, screen.when(explanation.at)),
        (Word::Lesson, any(&explanation.lesson)),
        (Word::HeldBy, any(&explanation.holder)),
        (Word::Category, any(&explanation.category)),
        (Word::Rule, any(&explanation.rule)),
        (Word::List, [list, entry].join("  ").trim().to_owned()),
        (Word::Decision, decision.unwrap_or_default()),
        (
            Word::Until,
            explanation
                .until
                .map_or_else(String::new, |until| screen.when(until)),
        ),
    ])
}
