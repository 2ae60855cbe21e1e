//! Measures the filter beside what users would pick instead.

mod apply;
mod filter;
mod frames;
mod goals;
mod lists;
mod machine;
mod mmap;
mod netfilter;
mod peers;
mod program;
mod report;
mod rows;
mod schedule;
mod tables;
mod veth;
mod workload;

use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// Only `machine`, `tables`, `prog`, `veth`, `apply`, `lists` or
    /// `schedule`, or of `prog` and `veth` some rows (`prog.hello`,
    /// `veth.lpm.100000`) and what is measured with them; `BENCHMARKS.md` then
    /// stays as it is.
    #[arg(long)]
    only: Option<String>,
    /// Samples per row.
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// Every row once, with small lists: shows that all of them run, and
    /// says little. `BENCHMARKS.md` stays as it is.
    #[arg(long)]
    quick: bool,
}

/// How much is measured.
pub(crate) struct Effort {
    /// Samples per row.
    pub(crate) rounds: u32,
    /// Frames or questions per sample, about.
    pub(crate) runs: u32,
    /// How long a sample of live frames sends.
    pub(crate) span: Duration,
    /// Sizes of the lists.
    pub(crate) ranges: &'static [u32],
    pub(crate) hosts: &'static [u32],
    /// Numbers of established connections.
    pub(crate) flows: &'static [u32],
    /// How often lists are put in force, and with how many ranges.
    pub(crate) applies: u32,
    pub(crate) applied_ranges: u32,
    /// Lines of a list that is imported.
    pub(crate) lines: u32,
    /// Rows that were asked for, `None` for all.
    only: Option<String>,
}

impl Effort {
    fn new(args: &Args) -> Self {
        if args.quick {
            return Self {
                rounds: 1,
                runs: 5_000,
                span: Duration::from_millis(20),
                ranges: &[1_000],
                hosts: &[10_000],
                flows: &[1, 64],
                applies: 1,
                applied_ranges: 1_000,
                lines: 10_000,
                only: args.only.clone(),
            };
        }
        Self {
            rounds: args.rounds,
            runs: 500_000,
            span: Duration::from_millis(300),
            ranges: &[1_000, 10_000, 100_000, 1_000_000],
            hosts: &[10_000, 1_000_000, 5_000_000],
            flows: &[1, 64, 4_096, 65_536],
            applies: 3,
            applied_ranges: 100_000,
            lines: 1_000_000,
            only: args.only.clone(),
        }
    }

    /// Whether one of these rows of a part was asked for, with `size` behind
    /// their names: they are measured together.
    pub(crate) fn wants_any(&self, part: &str, names: &[&str], size: u32) -> bool {
        names
            .iter()
            .any(|name| self.wants(&format!("{part}.{name}.{size}")))
    }

    /// Whether a row, or one of the rows below a part of its name, was asked
    /// for.
    pub(crate) fn wants(&self, row: &str) -> bool {
        let Some(only) = &self.only else {
            return true;
        };
        row.split('.')
            .zip(only.split('.'))
            .all(|(row, only)| row == only)
    }
}

/// Measures some rows.
type Part = fn(&mut Rows, &Effort) -> Result<()>;

/// What is measured: its name, the rows that are named otherwise.
const PARTS: [(&str, &[&str], Part); 7] = [
    ("machine", &[], machine::measure),
    ("tables", tables::ROWS, tables::measure),
    ("prog", &[], program::measure),
    ("veth", &[], veth::measure),
    ("apply", &[], apply::measure),
    ("lists", &[], lists::measure),
    ("schedule", &[], schedule::measure),
];

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        nix::unistd::geteuid().is_root(),
        "loading programs needs root"
    );
    ensure!(args.rounds > 0, "--rounds must be 1 or more");
    let effort = Effort::new(&args);
    let wanted: Vec<_> = PARTS
        .iter()
        .filter(|(name, rows, _)| effort.wants(name) || rows.iter().any(|row| effort.wants(row)))
        .collect();
    ensure!(
        !wanted.is_empty(),
        "--only takes one of: {}",
        PARTS.map(|(name, ..)| name).join(", ")
    );
    let machine = Machine::read()?;
    // Interfaces made here vanish with this process, however it ends.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).context("no network namespace")?;
    veth::ip(&["link", "set", "lo", "up"])?;
    let mut rows = Rows::default();
    for (name, _, measure) in wanted {
        measure(&mut rows, &effort).with_context(|| format!("{name}.*"))?;
    }
    ensure!(
        !rows.is_empty(),
        "no row is named {}",
        args.only.unwrap_or_default()
    );
    let markdown = machine.markdown(&rows, &effort);
    println!("{markdown}");
    if let Some(path) = args.json {
        let text = serde_json::to_string_pretty(&machine.json(&rows))?;
        write(&path, &text)?;
    }
    if effort.only.is_none() && !args.quick {
        write(Path::new("BENCHMARKS.md"), &markdown)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
