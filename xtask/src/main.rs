//! Development tasks: `cargo xtask help` lists them.

mod ebpf;
mod exec;
mod paths;
mod setup;

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
    /// Build the kernel half, then the agent.
    Build,
}

fn main() -> Result<()> {
    match Args::parse().task {
        Task::Setup => setup::run(),
        Task::Build => ebpf::build().map(|object| println!("{}", object.display())),
    }
}
