//! `cargo xtask fuzz`: mutated input through the inspectors, beside parsers
//! that were not written here (`tests/fuzz`).

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::exec::{exec, step};
use crate::{ebpf, paths};

#[derive(Args)]
pub(crate) struct Options {
    /// Through the real program in the kernel, beside the inspectors on the
    /// host (root).
    #[arg(long, conflicts_with = "jobs")]
    kernel: bool,
    /// Inputs per target; without it, a million, or 250,000 through the
    /// kernel.
    #[arg(long, value_name = "NUMBER")]
    inputs: Option<u64>,
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
    let program: &[&str] = if options.kernel {
        step("building the kernel half", ebpf::build)?;
        // As the tests are built: the kernel takes most of the time.
        &["--package", "filter-tests", "--bin", "fuzz-kernel"]
    } else {
        &["--release", "--package", "filter-fuzz"]
    };
    let mut fuzz = Command::new("cargo");
    fuzz.current_dir(paths::root())
        .args(["run", "--quiet"])
        .args(program)
        .args(["--", &format!("--seed={}", options.seed)])
        .args(
            options
                .inputs
                .iter()
                .map(|inputs| format!("--inputs={inputs}")),
        )
        .args(options.target.iter().map(|name| format!("--target={name}")))
        .args(options.jobs.iter().map(|jobs| format!("--jobs={jobs}")));
    exec(&mut fuzz)
}
