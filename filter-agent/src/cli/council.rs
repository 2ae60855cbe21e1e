//! What the council has to decide (regulation 3.4).

use super::Common;
use super::output::{Table, or_dash, print, when};
use crate::control::Failure;
use crate::control::api::{BlocksQuery, CouncilDecision};
use crate::store::blocks::{Block, State};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Reports that wait for a decision; `--all` shows every block in force.
    List {
        #[arg(long)]
        all: bool,
    },
    /// The block stays.
    Confirm(Args),
    /// The block is lifted.
    Lift(Args),
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Number of the report.
    id: i64,
    /// Number, date and body of the decision.
    #[arg(long, value_name = "TEXT")]
    decision: Option<String>,
}

pub(super) fn run(command: Command, common: &Common) -> Result<(), Failure> {
    let client = common.client()?;
    let (args, keep) = match command {
        Command::List { all } => {
            let blocks = client.call(&BlocksQuery { queued: !all })?;
            return print(common.json, &blocks, |blocks| table(blocks));
        }
        Command::Confirm(args) => (args, true),
        Command::Lift(args) => (args, false),
    };
    let block = client.call(&CouncilDecision {
        id: args.id,
        keep,
        decision: args.decision,
    })?;
    print(common.json, &block, |block| match block.state {
        State::Lifted => format!("{} is no longer blocked.", block.target),
        _ => format!("{} stays blocked.", block.target),
    })
}

fn table(blocks: &[Block]) -> String {
    let mut table = Table::new(["no.", "target", "state", "since", "by", "reason"]);
    for block in blocks {
        let state = match block.state {
            State::Active => "blocked by hand",
            State::Queued => "waits for the council",
            State::Confirmed => "confirmed",
            State::Lifted => "lifted",
        };
        table.row([
            block.id.to_string(),
            block.target.clone(),
            state.to_owned(),
            when(block.since),
            block.by.clone(),
            or_dash(block.reason.as_deref()),
        ]);
    }
    table.or("Nothing waits for a decision.")
}
