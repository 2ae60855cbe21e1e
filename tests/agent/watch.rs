//! What the agent learns from real traffic: shadows and incidents.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use filter_tests::agent::Agent;
use filter_tests::clients::{Client, Seen, visit};
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::reach::ROOMS;
use filter_tests::servers::Servers;

use super::POLICY;

/// Asks until the answer holds `word`, for five seconds at most.
fn until_told(agent: &Agent<'_>, arguments: &[&str], word: &str) -> Result<String> {
    let mut answer = String::new();
    for _ in 0..50 {
        answer = agent.command(arguments)?;
        if answer.contains(word) {
            return Ok(answer);
        }
        sleep(Duration::from_millis(100));
    }
    anyhow::bail!("{arguments:?} never told {word}: {answer}")
}

#[test]
fn a_shadow_tells_what_it_would_let_pass_and_enforces_nothing() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let servers = Servers::start(&lab.server, &["wiki.example.net"])?;
    let agent = Agent::start(&lab, POLICY)?;
    let lax = POLICY.replace("deny = [\"social\", ", "deny = [");
    let file = agent.write_policy(&lax)?.display().to_string();
    let said = agent.command(&["apply", &file, "--shadow", "45m"])?;
    ensure!(said.contains("~ group pupils"), "{said}");
    let room = lab.room("tagged")?;
    let seen = visit(
        Client::Curl,
        &room.client,
        servers.authority(),
        "wiki.example.net",
        SERVERS[0],
    )?;
    ensure!(seen.seen == Seen::Refused, "{seen:?}");
    let status = until_told(&agent, &["status", "--json"], "wiki.example.net")?;
    ensure!(status.contains("\"then\": \"pass\""), "{status}");
    Ok(())
}

#[test]
fn one_try_is_an_accident_and_many_are_an_incident() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let servers = Servers::start(&lab.server, &["wiki.example.net"])?;
    let policy = format!("{POLICY}\n[incidents]\ntries = 3\nminutes = 10\n");
    let agent = Agent::start(&lab, &policy)?;
    let room = lab.room("tagged")?;
    let try_once = || {
        visit(
            Client::Curl,
            &room.client,
            servers.authority(),
            "wiki.example.net",
            SERVERS[0],
        )
    };
    try_once()?;
    sleep(Duration::from_millis(500));
    let none = agent.command(&["incidents", "list", "--json"])?;
    ensure!(none.trim() == "[]", "one try was stored: {none}");
    for _ in 0..3 {
        try_once()?;
    }
    let list = until_told(
        &agent,
        &["incidents", "list", "--json"],
        "\"category\": \"social\"",
    )?;
    ensure!(
        list.contains("\"room\": \"lab-1\"") && list.contains("wiki.example.net"),
        "{list}"
    );
    let client = room.v4().to_string();
    ensure!(
        !list.contains(&client),
        "the device's address is in the list: {list}"
    );
    let identity = agent.command(&[
        "incidents",
        "identity",
        "1",
        "--reason",
        "talk with the class",
    ])?;
    ensure!(identity.contains(&client), "{identity}");
    let audit = agent.command(&["audit", "--json"])?;
    ensure!(
        audit.contains("incident.identity") && !audit.contains(&client),
        "{audit}"
    );
    ensure!(!agent.metrics()?.contains(&client));
    Ok(())
}
