//! What would happen, and why.

use std::net::IpAddr;

use super::Common;
use super::output::{pairs, print, when, when_any};
use crate::control::Failure;
use crate::control::api::{Explain, Explanation};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["host", "addr"]).multiple(true))]
pub(super) struct Args {
    #[arg(long, value_name = "NAME")]
    room: String,
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    #[arg(long, value_name = "IP")]
    addr: Option<IpAddr>,
    /// Any moment, past or future: 2026-11-24T10:15.
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
    print(common.json, &explanation, text)
}

fn text(explanation: &Explanation) -> String {
    let list = match (&explanation.list, explanation.line) {
        (Some(list), Some(line)) => format!("{list}:{line}"),
        (Some(list), None) => list.clone(),
        (None, _) => String::new(),
    };
    let entry = explanation.entry.clone().unwrap_or_default();
    let any = |text: &Option<String>| text.clone().unwrap_or_default();
    pairs(&[
        (
            "verdict",
            format!(
                "{} — {} ({})",
                explanation.verdict, explanation.because, explanation.reason
            ),
        ),
        ("for", explanation.target.clone()),
        (
            "in",
            format!("room {}, group {}", explanation.room, explanation.group),
        ),
        ("at", when(explanation.at)),
        ("lesson", any(&explanation.lesson)),
        ("held by", any(&explanation.holder)),
        ("category", any(&explanation.category)),
        ("rule", any(&explanation.rule)),
        ("list", [list, entry].join("  ").trim().to_owned()),
        ("decision", any(&explanation.decision)),
        ("until", when_any(explanation.until)),
    ])
}
