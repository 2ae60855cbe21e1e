//! Runs mutated input through the inspectors and their judges; `cargo xtask
//! fuzz` builds and starts it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use filter_fuzz::{Explained, Random, Target, mutated, regressions, seeds};

#[derive(Parser)]
struct Args {
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
    /// Write the seeds into this folder, one below it for each target, and
    /// do nothing else.
    #[arg(long, value_name = "FOLDER")]
    corpus: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let chosen: Vec<Target> = Target::ALL
        .into_iter()
        .filter(|target| {
            args.target
                .as_deref()
                .is_none_or(|name| name == target.name())
        })
        .collect();
    if chosen.is_empty() {
        let names = Target::ALL.map(Target::name).join(", ");
        bail!("there is no such target; there are: {names}");
    }
    if let Some(folder) = &args.corpus {
        return chosen
            .into_iter()
            .try_for_each(|target| corpus(target, &folder.join(target.name())));
    }
    let (mut done, mut found) = (0, 0);
    for target in chosen {
        let ran = run(target, &args)?;
        done += ran.done.into_inner();
        found += ran.found.into_inner();
    }
    println!("in all: {done} inputs, {found} unexplained");
    if found != 0 {
        bail!("{found} differences without an explanation; they are regressions now");
    }
    Ok(())
}

/// Writes the target's seeds, numbered; what is there already is written over.
fn corpus(target: Target, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (number, seed) in seeds(target)?.iter().enumerate() {
        let path = folder.join(format!("{number:03}.bin"));
        std::fs::write(&path, seed).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Findings after which a run ends: the rest would be the same ones.
const ENOUGH: u64 = 20;
/// Inputs a thread takes at a time.
const BATCH: u64 = 1000;

#[derive(Default)]
struct Shared {
    next: AtomicU64,
    done: AtomicU64,
    found: AtomicU64,
    explained: [AtomicU64; Explained::ALL.len()],
    failed: AtomicBool,
}

fn run(target: Target, args: &Args) -> Result<Shared> {
    let seeds = seeds(target)?;
    let shared = Shared::default();
    let start = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.unwrap_or(cores).max(1) {
            scope.spawn(|| {
                if let Err(error) = work(target, args, &seeds, &shared) {
                    eprintln!("{error:#}");
                    shared.failed.store(true, Ordering::Relaxed);
                }
            });
        }
    });
    let done = shared.done.load(Ordering::Relaxed);
    let found = shared.found.load(Ordering::Relaxed);
    let rate = done as f64 / start.elapsed().as_secs_f64();
    println!(
        "{}: {done} inputs from {} seeds, {rate:.0} per second, {found} unexplained",
        target.name(),
        seeds.len()
    );
    for (kind, count) in Explained::ALL.iter().zip(&shared.explained) {
        let count = count.load(Ordering::Relaxed);
        if count != 0 {
            println!("  {:<16} {count}", kind.name());
        }
    }
    if shared.failed.load(Ordering::Relaxed) {
        bail!("a thread could not go on");
    }
    Ok(shared)
}

fn work(target: Target, args: &Args, seeds: &[Vec<u8>], shared: &Shared) -> Result<()> {
    while shared.found.load(Ordering::Relaxed) < ENOUGH && !shared.failed.load(Ordering::Relaxed) {
        let first = shared.next.fetch_add(BATCH, Ordering::Relaxed);
        if first >= args.inputs {
            break;
        }
        let last = (first + BATCH).min(args.inputs);
        for index in first..last {
            let mut random = Random::new(args.seed, index);
            let input = mutated(target, seeds, &mut random);
            match target.compare(&input, &mut random) {
                Ok(explained) => {
                    for kind in explained {
                        if let Some(count) = shared.explained.get(kind as usize) {
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                Err(difference) => {
                    shared.found.fetch_add(1, Ordering::Relaxed);
                    let path = keep(target, &smaller(target, input), args.seed, index)?;
                    println!(
                        "{}: {difference}\n  kept as {}",
                        target.name(),
                        path.display()
                    );
                }
            }
        }
        shared.done.fetch_add(last - first, Ordering::Relaxed);
    }
    Ok(())
}

/// Takes bytes away as long as the difference stays.
fn smaller(target: Target, mut input: Vec<u8>) -> Vec<u8> {
    let differs = |input: &[u8]| target.compare(input, &mut Random::new(0, 0)).is_err();
    if !differs(&input) {
        return input;
    }
    let mut size = input.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < input.len() {
            let mut shorter = input.clone();
            shorter.drain(at..(at + size).min(input.len()));
            if differs(&shorter) {
                input = shorter;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    input
}

fn keep(target: Target, input: &[u8], seed: u64, index: u64) -> Result<PathBuf> {
    let folder = regressions(target);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("seed{seed}-input{index}.bin"));
    std::fs::write(&path, input).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
