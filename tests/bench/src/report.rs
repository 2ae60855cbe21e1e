//! The machine, and `BENCHMARKS.md`.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::Effort;
use crate::goals;
use crate::rows::Rows;

/// Kernel, CPU, day: what the figures belong to.
pub(crate) struct Machine {
    kernel: String,
    cpu: String,
    cores: usize,
    load: String,
    day: String,
}

impl Machine {
    /// Reads it before anything is measured.
    pub(crate) fn read() -> Result<Self> {
        let read =
            |path: &str| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
        let cpuinfo = read("/proc/cpuinfo")?;
        let cpu = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown", |(_, name)| name);
        let day = std::process::Command::new("date").arg("+%F").output()?;
        Ok(Self {
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            cpu: cpu.to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            load: read("/proc/loadavg")?
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
            day: String::from_utf8_lossy(&day.stdout).trim().to_owned(),
        })
    }

    pub(crate) fn json(&self, rows: &Rows) -> Value {
        json!({
            "day": self.day, "kernel": self.kernel, "cpu": self.cpu, "cores": self.cores,
            "load": self.load, "driver": "veth", "rows": rows.json(),
        })
    }

    pub(crate) fn markdown(&self, rows: &Rows, effort: &Effort) -> String {
        let rounds = effort.rounds;
        let mut text = format!(
            "# Benchmarks\n\nWritten by `cargo xtask bench`; do not edit.\n\n\
             {}, kernel {}, {} ({} cores), veth, load {} at the start. Medians of {rounds} \
             interleaved rounds, minimum and maximum beside them; ratios and differences are of \
             the same round.\n\n\
             `prog.*`: nanoseconds above an empty program. `veth.*`: packets per second on one \
             core, sender included. `*-against-*`: how many times faster. `apply.*`: a command's \
             start to its effect, the agent's memory. `lists.*`: a list of a million lines from \
             its file to what an image is built from, by the processor time of one thread. \
             `schedule.*`: the example with 12 rooms and two shifts. `machine.memory.*`: a read of \
             a cache line that depends on the one before, somewhere in so many MiB.\n\n{}\n\
             | row | median | min | max | unit |\n|---|---:|---:|---:|---|\n",
            self.day,
            self.kernel,
            self.cpu,
            self.cores,
            self.load,
            goals::markdown(rows, |row| effort.wants(row))
        );
        for (name, unit, spread) in rows.iter() {
            let [median, min, max] = [spread.median, spread.min, spread.max].map(figure);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {name} | {median} | {min} | {max} | {unit} |");
        }
        for (name, why) in rows.refused() {
            let _ = writeln!(text, "| {name} | — | — | — | {why} |");
        }
        text
    }
}

/// Three digits at least.
fn figure(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
