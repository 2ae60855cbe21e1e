//! The systemd units as systemd itself reads them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use filter_tests::process::finish;
use filter_tests::scratch::Scratch;
use filter_tests::skip::skip;

const UNITS: [&str; 3] = [
    "filter-agent.service",
    "filter-lists.service",
    "filter-lists.timer",
];

#[test]
fn systemd_takes_the_units() -> Result<()> {
    if let Err(error) = Command::new("systemd-analyze").arg("--version").output() {
        skip(
            "units::systemd_takes_the_units",
            &format!("systemd-analyze: {error} (package systemd)"),
        );
        return Ok(());
    }
    let folder = Scratch::new()?;
    // The program must exist where a unit names it.
    let program = filter_tests::agent::program().display().to_string();
    let mut names = Vec::new();
    for unit in UNITS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../docs")
            .join(unit);
        let text = std::fs::read_to_string(&path).with_context(|| unit)?;
        ensure!(
            !unit.ends_with("service") || text.contains("/usr/local/sbin/filter-agent "),
            "{unit} starts something else"
        );
        names.push(folder.write(
            unit,
            &text.replace("/usr/local/sbin/filter-agent", &program),
        )?);
    }
    let mut command = Command::new("systemd-analyze");
    command
        .args(["verify", "--recursive-errors=no"])
        .args(&names);
    let done = finish(&mut command, Duration::from_secs(60))?;
    ensure!(
        done.code == Some(0) && !done.stderr.contains("filter-"),
        "{done:?}"
    );
    // Every directive is known and every option of the agent is one it takes.
    let help = finish(
        Command::new(&program).args(["help", "run"]),
        Duration::from_secs(10),
    )?;
    let unit = std::fs::read_to_string(&names[0])?;
    let start = unit
        .lines()
        .find(|line| line.starts_with("ExecStart="))
        .context("no ExecStart")?;
    for option in start.split(' ').filter(|word| word.starts_with("--")) {
        ensure!(help.stdout.contains(option), "{option}: {}", help.stdout);
    }
    // Whatever ends the agent, it comes back, also when a card comes late;
    // but what was detached stays off, and that ends with 0.
    for line in ["Restart=on-failure", "StartLimitIntervalSec=0"] {
        ensure!(unit.lines().any(|have| have == line), "{line}: {unit}");
    }
    // One second after another, within an hour and a half, by systemd's dice.
    let timer = std::fs::read_to_string(&names[2])?;
    ensure!(timer.contains("RandomizedDelaySec="), "{timer}");
    Ok(())
}
