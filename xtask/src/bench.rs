//! Builds everything that the benchmark needs, then runs it.

use std::process::Command;

use anyhow::Result;

use crate::{build, ebpf, exec::exec, paths, setup};

/// Runs the benchmark with its own options.
pub(crate) fn run(options: &[String]) -> Result<()> {
    setup::run()?;
    ebpf::build()?;
    ebpf::peers()?;
    build::agent(true)?;
    exec(
        Command::new("cargo")
            .current_dir(paths::root())
            .args(["run", "--quiet", "--release", "--package", "bench", "--"])
            .args(options),
    )
}
