//! The agent itself.

use std::path::PathBuf;

use super::Common;
use crate::control::{DEFAULT_SOCKET, Failure};
use crate::daemon::{self, Options};
use crate::kernel::DEFAULT_ROOT;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The school's policy.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Unix group that may open the socket, besides root.
    #[arg(long, value_name = "NAME")]
    socket_group: Option<String>,
    /// Where leases, incidents and lists are kept, instead of the policy's.
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Where the filter is pinned on the bpf filesystem.
    #[arg(long, value_name = "FOLDER", default_value = DEFAULT_ROOT)]
    pins: PathBuf,
}

pub(super) fn run(args: Args, common: &Common) -> Result<(), Failure> {
    let given = common.socket != *DEFAULT_SOCKET;
    let policy = std::path::absolute(&args.policy)
        .map_err(|error| Failure::bad_request(error.to_string()))?;
    daemon::run(Options {
        policy,
        pins: args.pins,
        socket_group: args.socket_group,
        socket: given.then(|| common.socket.clone()),
        state: args.state,
    })
}
