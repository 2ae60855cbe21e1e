//! Grants, doors, blocks and leases while the agent is dead: the kernel holds
//! their ends.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use filter_tests::agent::Agent;
use filter_tests::clients::{Client, Seen, visit};
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::reach::ROOMS;
use filter_tests::servers::Servers;

use super::POLICY;

const DENIED: &str = "wiki.example.net";
const REPORTED: &str = "found.example.org";
const OPEN: &str = "wiki.example.org";

fn sees(lab: &Lab, servers: &Servers, host: &str) -> Result<Seen> {
    let room = lab.room("tagged")?;
    let seen = visit(
        Client::Curl,
        &room.client,
        servers.authority(),
        host,
        SERVERS[0],
    )?;
    Ok(seen.seen)
}

#[test]
fn a_grant_ends_and_a_report_stays_while_the_agent_is_dead() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let servers = Servers::start(&lab.server, &[DENIED, REPORTED, OPEN])?;
    let mut agent = Agent::start(&lab, POLICY)?;
    let see = |host| sees(&lab, &servers, host);
    ensure!(see(DENIED)? == Seen::Refused && see(REPORTED)? == Seen::Answer);
    let grant = "grant add --category social --room lab-1 --for 8s --reason lesson";
    let begin = Instant::now();
    agent.command(&grant.split(' ').collect::<Vec<_>>())?;
    agent.command(&["report", REPORTED, "--reason", "by accident"])?;
    agent.kill()?;
    ensure!(
        see(DENIED)? == Seen::Answer,
        "the grant holds without the agent"
    );
    ensure!(
        see(REPORTED)? == Seen::Refused,
        "the report holds without the agent"
    );
    ensure!(
        begin.elapsed() < Duration::from_secs(7),
        "too slow to see it"
    );
    sleep(Duration::from_secs(9).saturating_sub(begin.elapsed()));
    ensure!(see(DENIED)? == Seen::Refused, "the grant did not end");
    ensure!(see(REPORTED)? == Seen::Refused, "the report ended");
    agent.restart()?;
    ensure!(see(DENIED)? == Seen::Refused, "the grant came back");
    ensure!(see(REPORTED)? == Seen::Refused, "the report was forgotten");
    let queue = agent.command(&["council", "list"])?;
    ensure!(
        queue.contains(REPORTED) && queue.contains("waits"),
        "{queue}"
    );
    agent.command(&["council", "lift", "1", "--decision", "No 7"])?;
    ensure!(see(REPORTED)? == Seen::Answer, "the council lifted it");
    Ok(())
}

#[test]
fn a_door_by_hand_ends_while_the_agent_is_dead() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let servers = Servers::start(&lab.server, &[OPEN])?;
    let mut agent = Agent::start(&lab, POLICY)?;
    let begin = Instant::now();
    agent.command(&["room", "close", "lab-1", "--for", "6s", "--reason", "exam"])?;
    agent.kill()?;
    ensure!(
        sees(&lab, &servers, OPEN)? == Seen::Refused,
        "it is not closed"
    );
    ensure!(
        begin.elapsed() < Duration::from_secs(5),
        "too slow to see it"
    );
    sleep(Duration::from_secs(7).saturating_sub(begin.elapsed()));
    ensure!(
        sees(&lab, &servers, OPEN)? == Seen::Answer,
        "it is closed still"
    );
    Ok(())
}

#[test]
fn a_lease_holds_while_the_agent_is_dead_and_after_it_comes_back() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let servers = Servers::start(&lab.server, &[OPEN])?;
    let supervised = "name = \"lab-1\"\nsupervised = true\n\
                      open = [\"Mon-Sun 00:00-24:00\"]\nfollows_calendar = false";
    let policy = POLICY.replace("name = \"lab-1\"", supervised);
    let mut agent = Agent::start(&lab, &policy)?;
    let see = || sees(&lab, &servers, OPEN);
    ensure!(see()? == Seen::Refused, "open without a teacher");
    agent.command(&["lease", "take", "lab-1"])?;
    ensure!(see()? == Seen::Answer, "closed though a teacher holds it");
    agent.kill()?;
    ensure!(see()? == Seen::Answer, "the lease died with the agent");
    agent.restart()?;
    ensure!(see()? == Seen::Answer, "the lease was forgotten");
    let rooms = agent.command(&["room", "list"])?;
    ensure!(rooms.contains("held by root"), "{rooms}");
    agent.command(&["lease", "release", "lab-1"])?;
    ensure!(see()? == Seen::Refused, "open after the teacher left");
    Ok(())
}
