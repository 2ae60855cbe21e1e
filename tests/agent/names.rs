//! Names of rooms as schools write them, wherever a name is told; and weeks
//! for programs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use filter_tests::agent::{Agent, program};
use filter_tests::lab::Lab;
use filter_tests::process::finish;
use filter_tests::reach::ROOMS;
use serde_json::Value;

use super::POLICY;

/// Blanks, Cyrillic, and 64 characters of two bytes: the longest there may be.
fn names() -> [String; 3] {
    [
        "computer class".to_owned(),
        "кабинет 7-А".to_owned(),
        "ы".repeat(64),
    ]
}

fn policy() -> String {
    let rooms = (40..).zip(names()).map(|(vlan, name)| {
        format!("\n[[room]]\nname = \"{name}\"\nvlan = {vlan}\ngroup = \"pupils\"\n")
    });
    POLICY.to_owned() + &rooms.collect::<String>()
}

fn json(text: &str) -> Result<Value> {
    Ok(serde_json::from_str(text)?)
}

#[test]
fn a_room_is_called_alike_everywhere() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, &policy())?;
    for name in names() {
        let closed = agent.command(&["room", "close", &name, "--for", "10m", "--json"])?;
        let closed = json(&closed)?;
        ensure!(
            closed["name"] == *name && closed["open"] == false,
            "{closed}"
        );
        let listed = agent.command(&["room", "list"])?;
        let line = listed.lines().find(|line| line.starts_with(&name));
        ensure!(line.is_some_and(|line| line.contains("closed")), "{listed}");
        let answer =
            agent.command(&["explain", "--room", &name, "--host", "a.example", "--json"])?;
        let answer = json(&answer)?;
        ensure!(
            answer["room"] == *name && answer["reason"] == "room_closed",
            "{answer}"
        );
        let metrics = agent.metrics()?;
        let open = format!("school_filter_room_open{{room=\"{name}\"}} 0");
        ensure!(metrics.lines().any(|line| line == open), "{metrics}");
        let audit = agent.command(&["audit", "--action", "room.close", "--json"])?;
        ensure!(json(&audit)?["entries"][0]["target"] == *name, "{audit}");
    }
    // Whoever types a part of it is shown what to type.
    let refused = agent.try_command(&["room", "close", "computer"])?;
    ensure!(
        refused.code == Some(6) && refused.stderr.contains("\"computer class\""),
        "{refused:?}"
    );
    Ok(())
}

#[test]
fn a_week_for_programs_is_the_week_for_people() -> Result<()> {
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/school-12-rooms.toml");
    let show = |arguments: &[&str]| -> Result<String> {
        let mut command = Command::new(program());
        command
            .env("LC_ALL", "C")
            .args(["schedule", "show", "--week", "2026-11-11"])
            .arg(&example)
            .args(arguments);
        let done = finish(&mut command, Duration::from_secs(30))?;
        ensure!(done.code == Some(0) && done.stderr.is_empty(), "{done:?}");
        Ok(done.stdout)
    };
    let all = json(&show(&["--json"])?)?;
    let rooms = all.as_array().context("no array")?;
    ensure!(rooms.len() == 12, "{} rooms", rooms.len());
    let one = json(&show(&["--json", "--room", "101"])?)?;
    ensure!(one[0] == rooms[0] && rooms[0]["room"] == "101", "{one}");
    let windows = one[0]["windows"].as_array().context("no windows")?;
    // Monday and Tuesday are the autumn break's last days, and the first
    // lesson of Wednesday begins at 8 in Bishkek.
    let first = serde_json::json!({
        "from": "2026-11-11T02:00:00Z", "until": "2026-11-11T02:45:00Z",
        "group": "students", "shift": "first", "lesson": 1, "class": "8-A",
    });
    ensure!(windows.first() == Some(&first), "{windows:?}");
    // A cell of the table is a window.
    let table = show(&["--room", "101"])?;
    let cells = |line: &str| {
        let cells = line
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty());
        cells.skip(1).count()
    };
    let lessons = table
        .lines()
        .filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    let shown: usize = lessons.map(cells).sum();
    ensure!(
        shown == windows.len(),
        "{shown} and {}\n{table}",
        windows.len()
    );
    Ok(())
}
