//! A teacher holds a supervised room until the bell.

use super::Common;
use super::output::{print, when};
use crate::control::Failure;
use crate::control::api::{ReleaseLease, TakeLease};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Hold a room until the bell.
    Take { room: String },
    /// Give it back before the bell.
    Release { room: String },
}

pub(super) fn run(command: Command, common: &Common) -> Result<(), Failure> {
    let client = common.client()?;
    match command {
        Command::Take { room } => {
            let lease = client.call(&TakeLease { room })?;
            print(common.json, &lease, |lease| {
                format!(
                    "{} holds room {} until {}.",
                    lease.holder,
                    lease.room,
                    when(lease.until)
                )
            })
        }
        Command::Release { room } => {
            let lease = client.call(&ReleaseLease { room })?;
            print(common.json, &lease, |lease| {
                format!("Room {} is released.", lease.room)
            })
        }
    }
}
