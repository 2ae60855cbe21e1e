//! As much as there may be of everything, and then some.

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use filter_agent::store::blocks::{self, Kind};
use filter_agent::store::grants::{self, Scope, Subject};
use filter_agent::store::{Store, Who};
use filter_tests::agent::{Agent, eventually};
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::reach::ROOMS;
use jiff::{SignedDuration, Timestamp};

use super::POLICY;

const STATE: &str = "/var/lib/school-filter";
/// Code::Refused.
const REFUSED: Option<i32> = Some(7);
const SOON: Duration = Duration::from_secs(60);

/// Bytes of the agent that are in memory.
fn resident(agent: &Agent<'_>) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.context("no VmRSS")?.parse::<u64>()? << 10)
}

/// One less than there may be, made while no agent ran.
fn fill(lab: &Lab) -> Result<()> {
    lab.router.run(|| {
        std::fs::create_dir_all(STATE)?;
        let (now, who) = (Timestamp::now(), Who::agent());
        let until = now + SignedDuration::from_hours(24);
        let mut store = Store::open(&Path::new(STATE).join("state.db"), now);
        store.write(|connection| {
            for number in 1..blocks::MAX_IN_FORCE {
                let target = match number % 4 {
                    0 => format!("192.0.{}.{}/32", number >> 8, number & 255),
                    _ => format!("b{number}.example"),
                };
                blocks::add(connection, &target, Kind::Block, &who, None, now)?;
            }
            for number in 1..grants::MAX_IN_FORCE {
                let host = Subject::Host(format!("g{number}.example.net"));
                let room = Scope::Room("lab-1".to_owned());
                grants::add(connection, &host, &room, &who, "test", now, until)?;
            }
            Ok(())
        })?;
        ensure!(store.degraded().is_none(), "{:?}", store.degraded());
        Ok(())
    })
}

#[test]
fn all_blocks_and_grants_hold_and_one_more_is_refused() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    fill(&lab)?;
    let mut agent = Agent::start(&lab, POLICY)?;
    let last = format!("{}/32", SERVERS[2]);
    agent.command(&["block", &last])?;
    let grant = |agent: &Agent<'_>, host: &str| {
        let scope = ["--room", "lab-1", "--for", "45m", "--reason", "x"];
        agent.try_command(&[&["grant", "add", "--host", host], &scope[..]].concat())
    };
    ensure!(grant(&agent, "last.example.net")?.code == Some(0));

    let before = resident(&agent)?;
    for number in 0..50 {
        let host = format!("late{number}.example.org");
        let refused = agent.try_command(&["block", &host])?;
        let says = format!("{} ", blocks::MAX_IN_FORCE);
        ensure!(
            refused.code == REFUSED && refused.stderr.contains(&says),
            "{refused:?}"
        );
        let refused = grant(&agent, &host)?;
        let says = format!("{} ", grants::MAX_IN_FORCE);
        ensure!(
            refused.code == REFUSED && refused.stderr.contains(&says),
            "{refused:?}"
        );
    }
    let after = resident(&agent)?;
    ensure!(after < before + (16 << 20), "{before}, then {after} bytes");

    let holds = |agent: &Agent<'_>| -> Result<()> {
        let status: serde_json::Value =
            serde_json::from_str(&agent.command(&["status", "--json"])?)?;
        ensure!(
            status["blocks"] == blocks::MAX_IN_FORCE && status["grants"] == grants::MAX_IN_FORCE,
            "{status:#}"
        );
        for (host, reason) in [
            ("b1.example", "blocked"),
            ("b4095.example", "blocked"),
            ("late7.example.org", "default_open"),
            ("g1.example.net", "granted"),
            ("last.example.net", "granted"),
            ("late7.example.net", "name_denied"),
        ] {
            let answer = agent.command(&["explain", "--room", "lab-1", "--host", host])?;
            ensure!(answer.contains(&format!("({reason})")), "{host}: {answer}");
        }
        // The kernel knows the last of them.
        let client = &lab.room("tagged")?.client;
        let counts = agent.counts()?;
        let socket = client.run(|| Ok(UdpSocket::bind("0.0.0.0:0")?))?;
        eventually(SOON, || {
            // An ICMP error that came before is told here.
            let _ = socket.send_to(b"x", (SERVERS[2], 9));
            Ok(agent
                .counts()?
                .since(&counts)
                .of("lab-1", "reject", "blocked")
                > 0)
        })
    };
    holds(&agent)?;
    agent.kill()?;
    agent.restart()?;
    holds(&agent)?;
    // Who lifts one may block another.
    agent.command(&["unblock", "b1.example"])?;
    agent.command(&["block", "late7.example.org"])?;
    Ok(())
}

/// Bytes of the files in the agent's state.
fn stored(lab: &Lab) -> Result<u64> {
    lab.router.run(|| {
        let mut bytes = 0;
        for entry in std::fs::read_dir(STATE)? {
            bytes += entry?.metadata()?.len();
        }
        Ok(bytes)
    })
}

/// A device that opens a new refused flow with every frame, as fast as it can:
/// as many events as an hour of a whole school has.
#[test]
fn a_flood_of_events_is_counted_and_fills_nothing() -> Result<()> {
    const FLOWS: u64 = 300_000;
    const LONGEST: Duration = Duration::from_secs(30);
    let lab = Lab::new(&ROOMS)?;
    let denied = "hosts = [\"example.net\"]\nranges = [\"203.0.113.0/24\"]";
    let policy = POLICY.replace("hosts = [\"example.net\"]", denied);
    let agent = Agent::start(&lab, &policy)?;
    let value = |page: &str, name: &str| -> Result<u64> {
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.context(name.to_owned())?.parse::<f64>()? as u64)
    };
    let told = |page: &str| -> Result<u64> {
        let mut sum = 0;
        for kind in ["events", "events_lost", "events_suppressed"] {
            sum += value(page, &format!("school_filter_{kind}_total"))?;
        }
        Ok(sum)
    };
    let (memory, files, log) = (resident(&agent)?, stored(&lab)?, agent.log().len());
    let (counts, events) = (agent.counts()?, told(&agent.metrics()?)?);
    let client = &lab.room("tagged")?.client;
    let flood = || -> Result<u64> {
        let begin = Instant::now();
        let mut sent = 0;
        for _ in 0..FLOWS.div_ceil(60_000) {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            for port in 1..=60_000 {
                // Full queues are no matter here.
                sent += u64::from(socket.send_to(b"flood", (SERVERS[2], port)).is_ok());
                if port % 256 == 0 && begin.elapsed() > LONGEST {
                    return Ok(sent);
                }
            }
        }
        Ok(sent)
    };
    let sent = std::thread::scope(|scope| {
        let flood = scope.spawn(|| client.run(flood));
        // Meanwhile others are served.
        agent.command(&["status"])?;
        agent.command(&["room", "list"])?;
        flood
            .join()
            .map_err(|_| anyhow::anyhow!("the flood panicked"))?
    })?;
    let refused = || -> Result<u64> {
        let more = agent.counts()?.since(&counts);
        Ok(more.of("lab-1", "reject", "range_denied"))
    };
    ensure!(
        refused()? > 10_000 && refused()? <= sent,
        "{} of {sent}",
        refused()?
    );
    // Each is an event that was read, or lost, or kept back: none unaccounted.
    eventually(SOON, || Ok(told(&agent.metrics()?)? - events == refused()?)).with_context(
        || {
            format!(
                "{:?} refused, {:?}",
                refused(),
                agent.metrics().and_then(|page| told(&page))
            )
        },
    )?;
    let page = agent.metrics()?;
    let kept_back = value(&page, "school_filter_events_suppressed_total")?
        + value(&page, "school_filter_events_lost_total")?;
    ensure!(kept_back > 0, "no flood at all\n{page}");
    // The agent looks after its store every 30 seconds.
    std::thread::sleep(Duration::from_secs(35));
    let incidents = agent.command(&["incidents", "list", "--all", "--json"])?;
    let incidents: serde_json::Value = serde_json::from_str(&incidents)?;
    ensure!(
        incidents.as_array().is_some_and(|list| list.len() <= 1),
        "one device in one lesson: {incidents:#}"
    );
    let (memory_now, files_now, log_now) = (resident(&agent)?, stored(&lab)?, agent.log().len());
    ensure!(
        memory_now < memory + (32 << 20),
        "{memory}, then {memory_now} bytes"
    );
    ensure!(
        files_now < files + (1 << 20),
        "{files}, then {files_now} bytes"
    );
    ensure!(log_now < log + 4096, "{}", agent.log());
    println!(
        "{} flows refused of {sent} sent; memory {} to {} KiB, files {} to {} KiB, log {} bytes more",
        refused()?,
        memory >> 10,
        memory_now >> 10,
        files >> 10,
        files_now >> 10,
        log_now - log
    );
    Ok(())
}
