//! `fuzz-kernel`: mutated inputs through the real program in the kernel,
//! beside the inspectors on the host. `cargo xtask fuzz --kernel` builds and
//! starts it. Needs root.

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use filter_fuzz::{Target, regressions};
use filter_tests::differential::{Differential, Inputs};

#[derive(Parser)]
struct Args {
    /// Inputs per target.
    #[arg(long, default_value_t = 250_000)]
    inputs: u64,
    /// Only this target (tls, http, quic, dns).
    #[arg(long, value_name = "NAME", value_parser = target)]
    target: Option<Target>,
    /// A run with the same seed sees the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn target(name: &str) -> Result<Target, String> {
    Target::ALL
        .into_iter()
        .find(|target| target.name() == name)
        .ok_or_else(|| format!("there are: {}", Target::ALL.map(Target::name).join(", ")))
}

/// Inputs that are compared at a time.
const BATCH: u64 = 500;
/// Differences after which a run ends: the rest would be the same ones.
const ENOUGH: u64 = 20;

fn main() -> Result<()> {
    let args = Args::parse();
    let (mut done, mut found) = (0, 0);
    for target in Target::ALL {
        if args.target.is_none_or(|chosen| chosen == target) {
            let (inputs, differences) = run(target, &args)?;
            done += inputs;
            found += differences;
        }
    }
    println!("in all: {done} inputs, {found} differences between kernel and host");
    if found != 0 {
        bail!("{found} differences; their inputs are regressions now");
    }
    Ok(())
}

/// How many inputs were compared, and how many differed.
fn run(target: Target, args: &Args) -> Result<(u64, u64)> {
    let inputs = Inputs::new(target, args.seed)?;
    let mut differential = Differential::new()?;
    let start = Instant::now();
    let mut found = 0;
    let mut first = 0;
    while first < args.inputs && found < ENOUGH {
        let indices = first..(first + BATCH).min(args.inputs);
        let batch: Vec<_> = indices.map(|index| inputs.input(index)).collect();
        for (place, difference) in differential.compare(target, &batch)? {
            found += 1;
            let index = first + place as u64;
            let name = format!("kernel-seed{}-input{index}.bin", args.seed);
            let path = regressions(target).join(name);
            let input = batch.get(place).map_or(&[][..], |(input, _)| input);
            std::fs::write(&path, input)
                .with_context(|| format!("cannot write {}", path.display()))?;
            println!(
                "{}: {difference}\n  kept as {}",
                target.name(),
                path.display()
            );
        }
        first += BATCH;
    }
    let compared = differential.compared;
    let rate = compared.inputs as f64 / start.elapsed().as_secs_f64();
    println!(
        "{}: {} inputs in {} frames ({} refused, {} with a name), {rate:.0} inputs per second, \
         {found} differences",
        target.name(),
        compared.inputs,
        compared.frames,
        compared.refused,
        compared.named,
    );
    Ok((compared.inputs, found))
}
