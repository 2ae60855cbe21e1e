//! `cargo xtask fuzz`: mutated input through the inspectors, beside parsers
//! that were not written here (`tests/fuzz`).

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::{exec::exec, paths};

#[derive(Args)]
pub(crate) struct Options {
    /// Inputs per target.
    #[arg(long, default_value_t = 1_000_000)]
    inputs: u64,
    /// Only this target (tls, http, quic, dns).
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// A run with the same seed sees the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; without it, one for each core.
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<usize>,
}

/// Builds the fuzzer for speed and runs it; differences that nothing explains
/// become files below `tests/fuzz/regressions` and an error.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut fuzz = Command::new("cargo");
    fuzz.current_dir(paths::root())
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "filter-fuzz",
            "--",
        ])
        .arg(format!("--inputs={}", options.inputs))
        .arg(format!("--seed={}", options.seed))
        .args(options.target.iter().map(|name| format!("--target={name}")))
        .args(options.jobs.iter().map(|jobs| format!("--jobs={jobs}")));
    exec(&mut fuzz)
}
