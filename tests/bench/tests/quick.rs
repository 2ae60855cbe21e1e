//! Every row runs once and gives a figure that can be.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use filter_tests::scratch::Scratch;
use serde_json::Value;

/// Each row with the least and the most that any machine would give.
const ROWS: &[(&str, f64, f64)] = &[
    ("apply.10000", 1.0, 30_000.0),
    ("apply.block", 0.01, 5_000.0),
    ("apply.peak.10000", 1.0, 1_000.0),
    ("apply.room-close", 0.01, 5_000.0),
    ("apply.steady.10000", 1.0, 1_000.0),
    ("lists.adblock", 0.001, 1_000.0),
    ("lists.dnsmasq", 0.001, 1_000.0),
    ("lists.drop-ndjson", 0.001, 1_000.0),
    ("lists.drop-text", 0.001, 1_000.0),
    ("lists.hosts", 0.001, 1_000.0),
    ("lists.netset", 0.001, 1_000.0),
    ("lists.plain", 0.001, 1_000.0),
    ("lists.ranges", 0.001, 1_000.0),
    ("lists.rpz", 0.001, 1_000.0),
    ("lists.slowest", 0.001, 1_000.0),
    ("lists.squidguard", 0.001, 1_000.0),
    ("lists.unbound", 0.001, 1_000.0),
    ("lists.v2fly", 0.001, 1_000.0),
    ("machine.memory.1", 0.5, 1_000.0),
    ("machine.memory.64", 1.0, 10_000.0),
    ("memory.hosts.10000", 0.05, 0.2),
    ("memory.names.1000", 8.0, 16.0),
    ("memory.ranges4.1000", 4.0, 1_000.0),
    ("memory.ranges6.1000", 8.0, 100.0),
    ("prog.closed-room", 1.0, 100_000.0),
    ("prog.dns-query.10000", 1.0, 100_000.0),
    ("prog.drop-by-range.1000", 1.0, 100_000.0),
    ("prog.established.1", 1.0, 10_000.0),
    ("prog.established.64", 1.0, 10_000.0),
    ("prog.flood.fragments", 1.0, 100_000.0),
    ("prog.flood.half-hellos", 1.0, 100_000.0),
    ("prog.flood.initials", 1.0, 1_000_000.0),
    ("prog.flood.syn", 1.0, 100_000.0),
    ("prog.hello-quic.10000", 100.0, 1_000_000.0),
    ("prog.hello.10000", 100.0, 200_000.0),
    ("prog.new-flow", 1.0, 100_000.0),
    ("schedule.days", 1.0, 400.0),
    ("schedule.year", 0.1, 10_000.0),
    ("veth.drop.1000", 1_000.0, 1e8),
    ("veth.lpm.1000", 1_000.0, 1e8),
    ("veth.ours.1000", 1_000.0, 1e8),
    ("veth.table.1000", 1_000.0, 1e8),
    ("veth.table-against-drop.1000", 0.01, 100.0),
    ("veth.pass.1", 1_000.0, 1e8),
    ("veth.forward.1", 1_000.0, 1e8),
    ("veth.forward.64", 1_000.0, 1e8),
    ("veth.forward-against-pass.64", 0.01, 100.0),
    ("veth.ours-against-drop.1000", 0.01, 100.0),
    ("veth.ours-against-lpm.1000", 0.01, 100.0),
];
/// Rows that need something of the kernel, and say so where it is missing.
const PEERS: &[&str] = &["veth.nft.1000", "veth.ipset.1000"];

#[test]
fn every_row_runs_and_gives_a_figure_that_can_be() -> Result<()> {
    let folder = Scratch::new()?;
    let json = folder.path().join("rows.json");
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .arg("--quick")
        .arg("--json")
        .arg(&json)
        .output()
        .context("the benchmark does not start")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("quick mode took {} s", start.elapsed().as_secs());
    let all: Value = serde_json::from_slice(&std::fs::read(&json)?)?;
    let rows = all.get("rows").context("no rows")?;
    for &(name, least, most) in ROWS {
        let median = rows
            .get(name)
            .and_then(|row| row.get("median")?.as_f64())
            .with_context(|| format!("{name} has no figure"))?;
        ensure!(
            (least..=most).contains(&median),
            "{name} is {median}, not within {least} and {most}"
        );
    }
    for &name in PEERS {
        let row = rows.get(name).with_context(|| format!("no row {name}"))?;
        if let Some(why) = row.get("refused").and_then(Value::as_str) {
            ensure!(!why.is_empty(), "{name} is missing without a reason");
            println!("{name} has no figure here: {why}");
        }
    }
    ensure!(
        !std::path::Path::new("/sys/fs/bpf/school-filter-bench").exists(),
        "the benchmark leaves pins behind"
    );
    Ok(())
}
