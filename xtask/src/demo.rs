//! `cargo xtask demo`: set up, build, and show the main job.

use std::process::Command;

use anyhow::Result;

use crate::exec::{exec, step};
use crate::{ebpf, paths, setup, suite};

pub(crate) fn run() -> Result<()> {
    setup::run()?;
    step("building the kernel half", ebpf::build)?;
    step("building the agent", suite::programs)?;
    exec(&mut Command::new(paths::target().join("debug/demo")))
}
