//! The demo, stopped in the middle, leaves nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use filter_tests::agent::eventually;
use filter_tests::process::Background;
use filter_tests::scratch::Scratch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a demo that was interrupted may take to its end.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn interrupting_the_demo_leaves_nothing_behind() -> Result<()> {
    let files = Scratch::new()?;
    let mut demo = Background::start(
        &mut Command::new(filter_tests::target().join("debug/demo")),
        &files.path().join("demo.log"),
    )?;
    // Some rows are there: hosts, agent, servers and clients are up.
    demo.wait_until(Duration::from_secs(60), |log| {
        log.lines().filter(|line| line.contains(" ms")).count() >= 3
    })?;
    let family = descendants(demo.id())?;
    ensure!(family.len() >= 2, "no agent and no servers: {family:?}");
    let spaces = namespaces(&family)?;
    let signal = if ignores(demo.id(), Signal::SIGINT)? {
        // A shell without job control has its background jobs ignore Ctrl-C,
        // and all that they start.
        println!("SIGINT is ignored here, as in background jobs: SIGTERM instead");
        Signal::SIGTERM
    } else {
        Signal::SIGINT
    };
    kill(Pid::from_raw(demo.id().cast_signed()), signal)?;
    eventually(PATIENCE, || {
        thread::sleep(Duration::from_millis(50));
        Ok(family.iter().all(|id| !alive(*id)))
    })
    .with_context(|| {
        let left = family.iter().filter(|id| alive(**id));
        let names = left.filter_map(|id| fs::read_to_string(format!("/proc/{id}/cmdline")).ok());
        format!("these still run: {:?}", names.collect::<Vec<_>>())
    })?;
    eventually(PATIENCE, || {
        Ok(namespaces(&everybody()?)?.is_disjoint(&spaces))
    })
    .context("some process is still in the demo's network")?;
    Ok(())
}

/// Whether a process ignores a signal (proc(5), `SigIgn`).
fn ignores(id: u32, signal: Signal) -> Result<bool> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .context("no SigIgn")?;
    let mask = u64::from_str_radix(mask.trim(), 16)?;
    Ok(mask >> (signal as u32 - 1) & 1 != 0)
}

/// All processes.
fn everybody() -> Result<BTreeSet<u32>> {
    Ok(fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}

fn parent(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // "pid (name) state parent …", and the name may hold anything.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn descendants(of: u32) -> Result<BTreeSet<u32>> {
    let everybody = everybody()?;
    let mut family = BTreeSet::from([of]);
    loop {
        let more: Vec<u32> = everybody
            .iter()
            .filter(|id| !family.contains(id))
            .filter(|id| parent(**id).is_some_and(|parent| family.contains(&parent)))
            .copied()
            .collect();
        if more.is_empty() {
            return Ok(family);
        }
        family.extend(more);
    }
}

/// A dead process that nobody has asked after yet is not alive.
fn alive(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z'))
    })
}

/// The network namespaces of these processes, but for our own.
fn namespaces(of: &BTreeSet<u32>) -> Result<BTreeSet<std::path::PathBuf>> {
    let own = fs::read_link("/proc/self/ns/net")?;
    Ok(of
        .iter()
        .filter_map(|id| fs::read_link(Path::new("/proc").join(id.to_string()).join("ns/net")).ok())
        .filter(|space| *space != own)
        .collect())
}
