//! What the agent learns from real traffic: shadows and incidents.

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// A policy on trial lets pass what is denied and denies what passes; the one in force stays, and nothing about a device is told or kept.
#[test]
fn a_shadow_tells_of_both_directions_and_enforces_nothing() -> Result<()> {
    const OTHER: &str = "play.example.org";
    let lab = Lab::new(&ROOMS)?;
    let servers = Servers::start(&lab.server, &["wiki.example.net", OTHER])?;
    let agent = Agent::start(&lab, POLICY)?;
    let room = lab.room("tagged")?;
    let try_host = |host| {
        visit(
            Client::Curl,
            &room.client,
            servers.authority(),
            host,
            SERVERS[0],
        )
    };
    let judged = || -> Result<()> {
        let seen = [try_host("wiki.example.net")?, try_host(OTHER)?];
        ensure!(
            seen[0].seen == Seen::Refused && seen[1].seen != Seen::Refused,
            "{seen:?}"
        );
        Ok(())
    };
    // Before a policy is on trial nothing is told of what passes.
    judged()?;
    let events = |agent: &Agent<'_>| -> Result<u64> {
        let metrics = agent.metrics()?;
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix("school_filter_events_total "));
        Ok(value.unwrap_or_default().parse()?)
    };
    let before = events(&agent)?;
    judged()?;
    sleep(Duration::from_millis(300));
    ensure!(events(&agent)? == before + 1, "{before}");

    let other = POLICY.replace("hosts = [\"example.net\"]", "hosts = [\"example.org\"]");
    let file = agent.write_policy(&other)?.display().to_string();
    agent.command(&["apply", &file, "--shadow", "45m"])?;
    judged()?;
    judged()?;
    let status = until_told(&agent, &["status", "--json"], "\"would_refuse\": 2")?;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    let shadow = &status["shadow"];
    ensure!(
        shadow["would_pass"] == 2 && shadow["different"] == 4 && shadow["lost"] == 0,
        "{shadow:#}"
    );
    let cause = |refuse: u64, pass: u64| {
        serde_json::json!({
            "room": "lab-1", "reason": "name_denied", "category": "social",
            "would_refuse": refuse, "would_pass": pass,
        })
    };
    ensure!(
        shadow["rooms"] == serde_json::json!([cause(2, 2)]),
        "{shadow:#}"
    );
    let text = agent.command(&["status"])?;
    ensure!(
        text.contains("lab-1: 2 more would be refused, 2 more would pass: social."),
        "{text}"
    );
    for (host, now, then) in [
        ("wiki.example.net", "reject", "pass"),
        (OTHER, "pass", "reject"),
    ] {
        let told = shadow["examples"].as_array().is_some_and(|examples| {
            examples.iter().any(|example| {
                example["host"] == host && example["now"] == now && example["then"] == then
            })
        });
        ensure!(told, "{host}: {shadow:#}");
    }
    let client = room.v4().to_string();
    let kept = agent.command(&["audit", "--json"])? + &shadow.to_string();
    ensure!(
        !kept.contains(&client) && !agent.log().contains(OTHER),
        "{kept}"
    );
    // Another timetable: the room would be closed.
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let today = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 86_400;
    let in_three_days = days[(today as usize + 3) % 7];
    let window = format!("vlan = 20\nopen = [\"{in_three_days} 08:00-08:40\"]");
    let file = agent.write_policy(&POLICY.replace("vlan = 20", &window))?;
    agent.command(&["apply", &file.display().to_string(), "--shadow", "45m"])?;
    judged()?;
    let status = until_told(&agent, &["status", "--json"], "\"would_refuse\": 1")?;
    ensure!(
        status.contains("\"room_closed\"") && status.contains("\"would_pass\": 0"),
        "{status}"
    );
    // It ends by itself: the kernel tells of passing flows no more.
    agent.command(&["apply", &file.display().to_string(), "--shadow", "1s"])?;
    sleep(Duration::from_secs(3));
    let before = events(&agent)?;
    let seen = try_host(OTHER)?;
    ensure!(seen.seen != Seen::Refused, "{seen:?}");
    sleep(Duration::from_millis(300));
    ensure!(events(&agent)? == before, "{before}");
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
