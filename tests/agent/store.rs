//! A disk that is full and a file that is broken never stop the filter.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use filter_agent::store::incidents::{Sighting, record};
use filter_agent::store::{Device, Salt, Store};
use filter_tests::agent::{Agent, eventually};
use filter_tests::clients::{Client, Seen, visit};
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::reach::ROOMS;
use filter_tests::servers::Servers;
use jiff::{SignedDuration, Timestamp};
use nix::mount::{MsFlags, mount};

use super::POLICY;

const STATE: &str = "/var/lib/school-filter";
const DENIED: &str = "wiki.example.net";
const OPEN: &str = "wiki.example.org";
/// The agent looks after its store every 30 seconds.
const CHORES: Duration = Duration::from_secs(45);

/// The denied host is refused and the other one answers.
fn filters(lab: &Lab, servers: &Servers) -> Result<()> {
    let room = lab.room("tagged")?;
    for (host, want) in [(DENIED, Seen::Refused), (OPEN, Seen::Answer)] {
        let seen = visit(
            Client::Curl,
            &room.client,
            servers.authority(),
            host,
            SERVERS[0],
        )?;
        ensure!(seen.seen == want, "{host}: {seen:?}");
    }
    Ok(())
}

fn says(agent: &Agent<'_>, line: &str) -> Result<bool> {
    Ok(agent.metrics()?.lines().any(|have| have == line))
}

#[test]
fn a_full_disk_is_a_metric_and_nothing_is_lost_when_there_is_room_again() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let servers = Servers::start(&lab.server, &[DENIED, OPEN])?;
    lab.router.run(|| {
        std::fs::create_dir_all(STATE)?;
        let kind = Some("tmpfs");
        mount(kind, STATE, kind, MsFlags::empty(), Some("size=1m")).context("tmpfs")
    })?;
    let mut agent = Agent::start(&lab, POLICY)?;
    ensure!(says(&agent, "school_filter_store_degraded 0")?);
    let ballast = format!("{STATE}/ballast");
    lab.router.run(|| {
        // Up to the last page.
        let full = std::fs::write(&ballast, vec![0; 1 << 20]);
        ensure!(full.is_err(), "the disk is not full");
        Ok(())
    })?;
    for n in 0..40 {
        agent.command(&[
            "block",
            &format!("b{n}.example.org"),
            "--reason",
            &"x".repeat(400),
        ])?;
    }
    ensure!(
        says(&agent, "school_filter_store_degraded 1")?,
        "{}",
        agent.log()
    );
    let status = agent.command(&["status"])?;
    ensure!(status.contains("the store is in memory"), "{status}");
    filters(&lab, &servers)?;
    lab.router.run(|| Ok(std::fs::remove_file(&ballast)?))?;
    eventually(CHORES, || says(&agent, "school_filter_store_degraded 0"))?;
    agent.kill()?;
    filters(&lab, &servers)?;
    agent.restart()?;
    let status = agent.command(&["status", "--json"])?;
    ensure!(status.contains("\"blocks\": 40"), "{status}");
    filters(&lab, &servers)
}

#[test]
fn a_broken_file_is_set_aside_and_the_filter_goes_on() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let servers = Servers::start(&lab.server, &[DENIED, OPEN])?;
    let mut agent = Agent::start(&lab, POLICY)?;
    agent.command(&["block", "bad.example.org"])?;
    agent.kill()?;
    lab.router.run(|| {
        for name in ["state.db", "state.db-wal", "state.db-shm"] {
            let path = Path::new(STATE).join(name);
            if path.exists() {
                std::fs::write(&path, vec![0x5a; 20_000])?;
            }
        }
        Ok(())
    })?;
    filters(&lab, &servers)?;
    agent.restart()?;
    ensure!(
        says(&agent, "school_filter_store_set_aside 1")?,
        "{}",
        agent.log()
    );
    let status = agent.command(&["status"])?;
    ensure!(status.contains("the store's file was broken"), "{status}");
    let audit = agent.command(&["audit", "--json"])?;
    ensure!(audit.contains("store.set_aside"), "{audit}");
    filters(&lab, &servers)?;
    let kept = lab.router.run(|| {
        let files = std::fs::read_dir(STATE)?.flatten();
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        Ok(names.filter(|name| name.contains(".corrupt-")).count())
    })?;
    ensure!(kept >= 1, "the broken file is gone");
    Ok(())
}

/// Rows over their time are gone as soon as the agent runs, and what can
/// still be opened can be.
#[test]
fn retention_is_enforced_when_the_agent_starts() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let now = Timestamp::now();
    lab.router.run(|| {
        std::fs::create_dir_all(STATE)?;
        let mut store = Store::open(&Path::new(STATE).join("state.db"), now);
        for (lesson, days) in [("old", 8), ("new", 6)] {
            let salt = Salt::random()?;
            let seen = Sighting {
                device: Device([7; 16]),
                room: "lab-1",
                lesson,
                class_teacher: None,
                category: "social",
                tries: 5,
                hosts: &[],
                last: now - SignedDuration::from_hours(24 * days),
            };
            store.write(|connection| record(connection, &salt, &seen))?;
        }
        Ok(())
    })?;
    let policy = format!("{POLICY}\n[privacy]\nretention_days = 7\n");
    let agent = Agent::start(&lab, &policy)?;
    eventually(Duration::from_secs(5), || {
        let list = agent.command(&["incidents", "list", "--json"])?;
        Ok(!list.contains("\"old\"") && list.contains("\"new\""))
    })?;
    let opened = agent.command(&["incidents", "identity", "2", "--reason", "talk"])?;
    ensure!(opened.contains(" was "), "{opened}");
    let gone = agent.try_command(&["incidents", "identity", "1", "--reason", "talk"])?;
    ensure!(gone.code == Some(7), "{gone:?}");
    Ok(())
}
