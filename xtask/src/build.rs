//! `cargo xtask build`: both halves, as a school's box runs them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::exec::{exec, step};
use crate::{ebpf, paths, setup};

/// Sets up, builds, and says what lies where.
pub(crate) fn run() -> Result<()> {
    setup::builder()?;
    let kernel = step("building the kernel half", ebpf::build)?;
    let agent = step("building the agent", agent)?;
    println!("the kernel half: {}", kernel.display());
    println!(
        "the agent, with the kernel half within: {}",
        agent.display()
    );
    Ok(())
}

/// Builds the agent as it is installed; returns its program.
pub(crate) fn agent() -> Result<PathBuf> {
    exec(
        Command::new("cargo")
            .current_dir(paths::root())
            .args(["build", "--release", "--package", "filter-agent", "--bins"]),
    )?;
    Ok(paths::target().join("release/filter-agent"))
}
