//! Taking the filter off.

use std::path::PathBuf;

use super::Common;
use super::output::{line, print};
use crate::control::api::Detach;
use crate::control::{Code, Failure};
use crate::kernel::{DEFAULT_ROOT, Filter, KernelError, Lock};
use crate::words::{Message, Said, Word};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Why; it stands in the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Where the filter is pinned, for when no agent runs.
    #[arg(long, value_name = "FOLDER", default_value = DEFAULT_ROOT)]
    pins: PathBuf,
}

pub(super) fn run(args: Args, common: &Common) -> Result<(), Failure> {
    let asked = common.client()?.call(&Detach {
        reason: args.reason,
    });
    match asked {
        Ok(detached) => print(common, &detached, |screen, detached| {
            let interfaces = detached.interfaces.join(", ");
            screen.say(&Said::new(Message::Detached).with("interfaces", interfaces))
        }),
        // The filter stays when its agent dies, so it must come off without.
        Err(failure) if failure.code == Code::Unreachable && nix::unistd::geteuid().is_root() => {
            if !args.pins.exists() {
                return Err(Failure::new(
                    Code::Refused,
                    Said::new(Message::NothingPinned).with("path", args.pins.display()),
                ));
            }
            // Its agent would only put it on again.
            let _alone = Lock::take(&args.pins).map_err(|error| match error {
                KernelError::Served(path) => Failure::new(
                    Code::Refused,
                    Said::new(Message::ServedElsewhere).with("path", path.display()),
                ),
                error => Failure::new(Code::Kernel, error.to_string()),
            })?;
            Filter::detach(&args.pins)
                .map_err(|error| Failure::new(Code::Kernel, error.to_string()))?;
            line(&common.screen().word(Word::OffWithoutAgent))
        }
        Err(failure) => Err(failure),
    }
}
