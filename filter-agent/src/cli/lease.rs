//! A teacher holds a supervised room until the bell.

use super::Common;
use super::output::print;
use crate::control::Failure;
use crate::control::api::{ReleaseLease, TakeLease};
use crate::words::{Message, Said};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Hold a room until the bell.
    Take {
        /// The room, as the policy names it.
        room: String,
    },
    /// Give it back before the bell.
    Release {
        /// The room, as the policy names it.
        room: String,
    },
}

pub(super) fn run(command: Command, common: &Common) -> Result<(), Failure> {
    let client = common.client()?;
    match command {
        Command::Take { room } => {
            let lease = client.call(&TakeLease { room })?;
            print(common, &lease, |screen, lease| {
                let said = Said::new(Message::LeaseTaken)
                    .with("holder", &lease.holder)
                    .with("room", &lease.room)
                    .with("until", screen.when(lease.until));
                screen.say(&said)
            })
        }
        Command::Release { room } => {
            let lease = client.call(&ReleaseLease { room })?;
            print(common, &lease, |screen, lease| {
                screen.say(&Said::new(Message::LeaseReleased).with("room", &lease.room))
            })
        }
    }
}
