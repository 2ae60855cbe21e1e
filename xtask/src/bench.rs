//! Builds everything that the benchmark needs, then runs it.

use std::process::Command;

use anyhow::Result;

use crate::{ebpf, exec::exec, paths, setup};

/// Runs the benchmark with its own options.
pub(crate) fn run(options: &[String]) -> Result<()> {
    setup::run()?;
    ebpf::build()?;
    let peers = ebpf::peers()?;
    exec(
        Command::new("cargo")
            .current_dir(paths::root())
            .args(["run", "--quiet", "--release", "--package", "bench", "--"])
            .args(options)
            .env("BENCH_PEERS", peers),
    )
}
