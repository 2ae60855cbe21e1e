//! Measures the filter beside what users would pick instead.

mod mmap;
mod peers;
mod report;
mod rows;
mod tables;
mod veth;
mod workload;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use report::Machine;
use rows::Rows;

/// Medians of several interleaved rounds, all on this machine.
#[derive(Parser)]
struct Args {
    /// Write all samples to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Only `prog` or `veth`; `BENCHMARKS.md` then stays as it is.
    #[arg(long)]
    only: Option<String>,
    /// Samples per row.
    #[arg(long, default_value_t = 7)]
    rounds: u32,
}

/// Measures some rows, with so many samples each.
type Part = fn(&mut Rows, u32) -> Result<()>;

/// What is measured, by the first word of its rows.
const PARTS: [(&str, Part); 2] = [("prog", tables::measure), ("veth", veth::measure)];

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        nix::unistd::geteuid().is_root(),
        "loading programs needs root"
    );
    ensure!(args.rounds > 0, "--rounds must be 1 or more");
    let wanted: Vec<_> = PARTS
        .iter()
        .filter(|(name, _)| args.only.as_deref().is_none_or(|only| only == *name))
        .collect();
    ensure!(
        !wanted.is_empty(),
        "--only takes one of: {}",
        PARTS.map(|(name, _)| name).join(", ")
    );
    let machine = Machine::read()?;
    let mut rows = Rows::default();
    for (name, measure) in wanted {
        measure(&mut rows, args.rounds).with_context(|| format!("{name}.*"))?;
    }
    let markdown = machine.markdown(&rows, args.rounds);
    println!("{markdown}");
    if let Some(path) = args.json {
        let text = serde_json::to_string_pretty(&machine.json(&rows))?;
        write(&path, &text)?;
    }
    if args.only.is_none() {
        write(Path::new("BENCHMARKS.md"), &markdown)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
