//! Policies change, the agent dies, and no frame goes unjudged.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use filter_tests::agent::Agent;
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::probe::Probe;
use filter_tests::school::{POLICY, ROOMS, WIKI};
use filter_tests::stream::Stream;

const APPLIES: usize = 1000;
const GAP: Duration = Duration::from_millis(1);

fn other_policy() -> String {
    POLICY.replace(
        "hosts = [\"example.org\"]",
        "hosts = [\"example.org\", \"example.edu\"]",
    )
}

/// Datagrams into a locked range, from a room of pupils.
fn forbidden(lab: &Lab) -> Result<Probe> {
    let server = SocketAddr::new(SERVERS[2], 9000);
    Probe::start(lab, lab.room("lab-1")?, server, GAP, u64::MAX)
}

/// What is forbidden never arrives, and each forbidden frame was counted once,
/// whatever image judged it; what is allowed never stops.
#[test]
#[ignore = "takes minutes: run it alone with `-- --ignored a_thousand`"]
fn a_thousand_applies_under_load() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, POLICY)?;
    let other = other_policy();
    let server = SocketAddr::new(SERVERS[0], 8080);
    let stream = Stream::start(&lab, lab.room("lab-1")?, server, WIKI)?;
    let mut probe = forbidden(&lab)?;
    let start = Instant::now();
    for apply in 0..APPLIES {
        agent.write_policy(if apply % 2 == 0 { &other } else { POLICY })?;
        agent.command(&["apply"])?;
        ensure!(
            stream.flows(Duration::from_secs(1)),
            "the allowed stream stopped at apply {apply}: {stream:?}"
        );
    }
    let took = start.elapsed();
    let sent = probe.finish()?;
    let counted = agent.counts()?.of("lab-1", "reject", "locked");
    eprintln!(
        "{APPLIES} applies in {} s, {sent} forbidden datagrams meanwhile",
        took.as_secs()
    );
    assert!(sent > 1000, "only {sent} datagrams: too little load");
    assert_eq!(probe.arrived(), 0, "of {sent} forbidden datagrams");
    assert_eq!(counted, sent, "counted and sent");
    Ok(())
}

#[test]
fn a_killed_agent_leaves_the_filter_and_comes_back_to_it() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let mut agent = Agent::start(&lab, POLICY)?;
    let server = SocketAddr::new(SERVERS[0], 8080);
    let stream = Stream::start(&lab, lab.room("lab-1")?, server, WIKI)?;
    let mut probe = forbidden(&lab)?;
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(300));
        agent.kill()?;
        thread::sleep(Duration::from_millis(300));
        agent.restart()?;
        ensure!(
            stream.flows(Duration::from_secs(1)),
            "the allowed stream stopped: {stream:?}\n{}",
            agent.log()
        );
    }
    let sent = probe.finish()?;
    assert!(sent > 1000, "only {sent} datagrams: too little load");
    assert_eq!(probe.arrived(), 0, "of {sent} forbidden datagrams");
    Ok(())
}

#[test]
fn a_broken_policy_keeps_the_one_in_force() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, POLICY)?;
    let before = agent.command(&["status", "--json"])?;
    agent.write_policy(&POLICY.replace("group = \"pupils\"", "group = \"pupilz\""))?;
    let refused = agent.try_command(&["apply"])?;
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(refused.stderr.contains("pupilz"), "{refused:?}");
    let generation = |status: &str| -> Option<String> {
        let (_, rest) = status.split_once("\"generation\":")?;
        Some(rest.split([',', '}']).next()?.trim().to_owned())
    };
    let after = agent.command(&["status", "--json"])?;
    assert!(generation(&before).is_some(), "{before}");
    assert_eq!(generation(&before), generation(&after));
    let mut probe = forbidden(&lab)?;
    thread::sleep(Duration::from_millis(200));
    assert!(probe.finish()? > 0);
    assert_eq!(probe.arrived(), 0);
    Ok(())
}
