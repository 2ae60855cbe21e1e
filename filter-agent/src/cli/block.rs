//! Blocking at once, and lifting it.

use super::Common;
use super::output::print;
use crate::control::Failure;
use crate::control::api::{AddBlock, LiftBlock};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A host (with everything below it), an address or a range.
    #[arg(value_name = "HOST|CIDR")]
    target: String,
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) fn block(args: Args, common: &Common) -> Result<(), Failure> {
    let block = common.client()?.call(&AddBlock {
        target: args.target,
        reason: args.reason,
    })?;
    print(common.json, &block, |block| {
        format!(
            "{} is blocked everywhere, for live connections too (no. {}).",
            block.target, block.id
        )
    })
}

pub(super) fn unblock(args: Args, common: &Common) -> Result<(), Failure> {
    let block = common.client()?.call(&LiftBlock {
        target: args.target,
        reason: args.reason,
    })?;
    print(common.json, &block, |block| {
        format!("{} is no longer blocked by hand.", block.target)
    })
}
