//! What the council has to decide (regulation 3.4).

use super::Common;
use super::output::{Screen, or_dash, print};
use crate::control::Failure;
use crate::control::api::{BlocksQuery, CouncilDecision};
use crate::store::blocks::{Block, State};
use crate::words::{Message, Said, Word};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Reports that wait for a decision; `--all` shows every block in force.
    List {
        /// Every block in force, also those made by hand.
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
            return print(common, &blocks, |screen, blocks| table(screen, blocks));
        }
        Command::Confirm(args) => (args, true),
        Command::Lift(args) => (args, false),
    };
    let block = client.call(&CouncilDecision {
        id: args.id,
        keep,
        decision: args.decision,
    })?;
    print(common, &block, |screen, block| {
        let message = match block.state {
            State::Lifted => Message::NoLongerBlocked,
            _ => Message::StaysBlocked,
        };
        screen.say(&Said::new(message).with("target", &block.target))
    })
}

pub(super) fn table(screen: &Screen, blocks: &[Block]) -> String {
    let mut table = screen.table([
        Word::Number,
        Word::Target,
        Word::State,
        Word::Since,
        Word::By,
        Word::Reason,
    ]);
    for block in blocks {
        let state = match block.state {
            State::Active => Word::BlockedByHand,
            State::Queued => Word::WaitsForCouncil,
            State::Confirmed => Word::Confirmed,
            State::Lifted => Word::Lifted,
        };
        table.row([
            block.id.to_string(),
            block.target.clone(),
            screen.word(state),
            screen.when(block.since),
            block.by.clone(),
            or_dash(block.reason.as_deref()),
        ]);
    }
    table.or(&screen.word(Word::NothingWaits))
}
