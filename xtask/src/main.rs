//! Development tasks: `cargo xtask help` lists them.

mod bench;
mod build;
mod demo;
mod ebpf;
mod exec;
mod fuzz;
mod paths;
mod setup;
mod suite;
mod tally;
mod test;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what building and testing need (Debian, root).
    Setup,
    /// Install what building needs, build the kernel half, then the agent.
    Build {
        /// The agent as it is installed, not as the tests want it.
        #[arg(long)]
        release: bool,
    },
    /// Set up, then measure the filter beside its peers (root).
    Bench {
        /// `--json FILE`, `--only NAME`, `--rounds N`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Set up, then show the main job on real clients.
    Demo,
    /// Set up, then run all tests, here and on Debian's kernels.
    Test,
    /// Compare the inspectors with other parsers on mutated input.
    Fuzz(fuzz::Options),
    /// Run the kernel tests on Debian's kernels under QEMU.
    Vm {
        /// Only tests whose name contains this.
        #[arg(default_value = "")]
        only: String,
    },
}

fn main() -> ExitCode {
    match run(Args::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What to do, without a backtrace behind it.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Setup => setup::run(),
        Task::Build { release } => build::run(release),
        Task::Bench { options } => bench::run(&options),
        Task::Demo => demo::run(),
        Task::Test => test::run(),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Vm { only } => vm::run(&only),
    }
}
