//! Taking the filter off.

use std::path::PathBuf;

use super::Common;
use super::output::{line, print};
use crate::control::api::Detach;
use crate::control::{Code, Failure};
use crate::kernel::{DEFAULT_ROOT, Filter};

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
        Ok(detached) => print(common.json, &detached, |detached| {
            format!(
                "The filter is off: {}. Nothing is filtered now.",
                detached.interfaces.join(", ")
            )
        }),
        // The filter stays when its agent dies, so it must come off without.
        Err(failure) if failure.code == Code::Unreachable && nix::unistd::geteuid().is_root() => {
            if !args.pins.exists() {
                return Err(Failure::new(
                    Code::Refused,
                    format!("no filter is pinned at {}", args.pins.display()),
                ));
            }
            Filter::detach(&args.pins)
                .map_err(|error| Failure::new(Code::Kernel, error.to_string()))?;
            line("No agent ran. The filter is off: nothing is filtered now.")
        }
        Err(failure) => Err(failure),
    }
}
