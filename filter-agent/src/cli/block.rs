//! Blocking at once, and lifting it.

use super::Common;
use super::output::print;
use crate::control::Failure;
use crate::control::api::{AddBlock, LiftBlock};
use crate::words::{Message, Said};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A host (with everything below it), an address or a range.
    #[arg(value_name = "HOST|CIDR")]
    target: String,
    /// Why; it stands in the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) fn block(args: Args, common: &Common) -> Result<(), Failure> {
    let block = common.client()?.call(&AddBlock {
        target: args.target,
        reason: args.reason,
    })?;
    print(common, &block, |screen, block| {
        let said = Said::new(Message::BlockedNow)
            .with("target", &block.target)
            .with("id", block.id);
        screen.say(&said)
    })
}

pub(super) fn unblock(args: Args, common: &Common) -> Result<(), Failure> {
    let block = common.client()?.call(&LiftBlock {
        target: args.target,
        reason: args.reason,
    })?;
    print(common, &block, |screen, block| {
        screen.say(&Said::new(Message::NotByHand).with("target", &block.target))
    })
}
