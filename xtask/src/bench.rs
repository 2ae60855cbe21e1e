//! Builds everything that the benchmark needs, then runs it.

use std::process::Command;

use anyhow::Result;

use crate::{ebpf, exec::exec, paths, setup};

/// Runs the benchmark with its own options.
pub(crate) fn run(options: &[String]) -> Result<()> {
    setup::run()?;
    ebpf::build()?;
    ebpf::peers()?;
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command.current_dir(paths::root()).args(arguments);
        command
    };
    exec(&mut cargo(&[
        "build",
        "--quiet",
        "--release",
        "--package",
        "filter-agent",
        "--bins",
    ]))?;
    exec(cargo(&["run", "--quiet", "--release", "--package", "bench", "--"]).args(options))
}
