//! `cargo xtask build`: both halves.

use std::process::Command;

use anyhow::Result;

use crate::exec::{exec, step};
use crate::{ebpf, paths, setup};

/// Sets up, builds, and says what lies where: as the tests want it, or as a
/// school's box runs it.
pub(crate) fn run(release: bool) -> Result<()> {
    setup::builder()?;
    let kernel = step("building the kernel half", ebpf::build)?;
    step("building the agent", || agent(release))?;
    let place = match release {
        true => "release/filter-agent",
        false => "debug/filter-agent",
    };
    println!("the kernel half: {}", kernel.display());
    println!(
        "the agent, with the kernel half within: {}",
        paths::target().join(place).display()
    );
    Ok(())
}

/// Builds the agent as it is installed, or every program of the workspace.
pub(crate) fn agent(release: bool) -> Result<()> {
    let which: &[&str] = match release {
        true => &["--release", "--package", "filter-agent"],
        false => &["--workspace"],
    };
    exec(
        Command::new("cargo")
            .current_dir(paths::root())
            .args(["build", "--bins"])
            .args(which),
    )
}
