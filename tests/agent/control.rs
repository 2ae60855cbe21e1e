//! Commands and what they answer.

use anyhow::{Result, ensure};
use filter_tests::agent::Agent;
use filter_tests::lab::Lab;
use filter_tests::process::finish;
use filter_tests::reach::ROOMS;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::POLICY;

#[test]
fn what_a_person_asks_for_is_in_force_and_in_the_audit_log() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, POLICY)?;
    let explain =
        |host: &str| agent.command(&["explain", "--room", "lab-1", "--host", host, "--json"]);
    let says = |host: &str, reason: &str| -> Result<()> {
        let answer = explain(host)?;
        ensure!(
            answer.contains(&format!("\"reason\": \"{reason}\"")),
            "{host}: {answer}"
        );
        Ok(())
    };
    says("www.example.net", "name_denied")?;
    says("example.org", "default_open")?;
    agent.command(&["block", "example.org", "--reason", "test"])?;
    says("www.example.org", "blocked")?;
    agent.command(&["unblock", "example.org"])?;
    says("example.org", "default_open")?;
    agent.command(&[
        "grant",
        "add",
        "--category",
        "social",
        "--room",
        "lab-1",
        "--for",
        "45m",
        "--reason",
        "lesson",
    ])?;
    says("www.example.net", "granted")?;
    let locked = agent.try_command(&[
        "grant",
        "add",
        "--category",
        "dangerous",
        "--room",
        "lab-1",
        "--for",
        "45m",
        "--reason",
        "x",
    ])?;
    ensure!(
        locked.code == Some(7) && locked.stderr.contains("locked"),
        "{locked:?}"
    );
    agent.command(&["room", "close", "lab-1", "--for", "10m", "--reason", "exam"])?;
    says("example.org", "room_closed")?;
    agent.command(&["room", "auto", "lab-1"])?;
    agent.command(&["report", "odd.example.org"])?;
    says("odd.example.org", "blocked")?;
    agent.command(&["council", "lift", "2", "--decision", "No 7"])?;
    says("odd.example.org", "default_open")?;
    agent.command(&["lists", "update"])?;
    let audit = agent.command(&["audit", "--json"])?;
    for action in [
        "lists.update",
        "policy.apply",
        "block.add",
        "block.lift",
        "grant.add",
        "room.close",
        "room.auto",
        "report.add",
        "council.lift",
    ] {
        ensure!(
            audit.contains(&format!("\"action\": \"{action}\"")),
            "{action}: {audit}"
        );
    }
    ensure!(audit.contains("\"broken_at\": null"), "{audit}");
    Ok(())
}

#[test]
fn the_schools_own_networks_are_not_blocked() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let own = "wan = [\"wan0\"]\nown = [\"192.168.0.0/16\", \"fd00::/8\"]";
    let agent = Agent::start(&lab, &POLICY.replace("wan = [\"wan0\"]", own))?;
    for target in ["192.168.0.0/16", "192.168.7.1", "fd12::/64"] {
        let told = agent.try_command(&["block", target])?;
        ensure!(
            told.code == Some(7) && told.stderr.contains("own"),
            "{target}: {told:?}"
        );
    }
    let none = agent.command(&["council", "list", "--all", "--json"])?;
    ensure!(none.trim() == "[]", "{none}");
    // Next to it, and all around it: there the rest is meant.
    for target in ["192.169.0.0/16", "192.0.0.0/8"] {
        agent.command(&["block", target])?;
    }
    Ok(())
}

#[test]
fn a_policy_with_an_error_never_replaces_one_that_runs() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, POLICY)?;
    let before = agent.command(&["status", "--json"])?;
    ensure!(before.contains("\"generation\": 1"), "{before}");
    for (broken, word) in [
        ("x = [", "TOML"),
        (
            &*POLICY.replace("group = \"pupils\"", "group = \"puppils\""),
            "puppils",
        ),
        (&*POLICY.replace("\"lan0\"", "\"lan9\""), "lan9"),
        (
            &*POLICY.replace("hosts = [\"example.net\"]", "lists = [\"missing.txt\"]"),
            "missing.txt",
        ),
    ] {
        let file = agent.write_policy(broken)?;
        for dry in [&["--dry-run"][..], &[]] {
            let file = file.display().to_string();
            let done = agent.try_command(&[&["apply", &file], dry].concat())?;
            ensure!(
                done.code == Some(3) && done.stderr.contains(word),
                "{word}: {done:?}"
            );
        }
    }
    let after = agent.command(&["status", "--json"])?;
    ensure!(after.contains("\"generation\": 1"), "{after}");
    let file = agent.write_policy(&POLICY.replace("vlan = 12", "vlan = 14"))?;
    let changes = agent.command(&["apply", &file.display().to_string()])?;
    ensure!(
        changes.contains("~ room lab-2") && changes.contains("generation 2"),
        "{changes}"
    );
    Ok(())
}

#[test]
fn curl_and_promtool_understand_the_agent() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, POLICY)?;
    let curl = |arguments: &[&str]| {
        let socket = "/run/school-filter/control.sock";
        let mut command = lab.router.command("curl");
        command
            .args(["--silent", "--unix-socket", socket])
            .args(arguments);
        finish(&mut command, Duration::from_secs(10))
    };
    let status = curl(&["http://agent/v1/status"])?;
    ensure!(
        status.stdout.contains("\"school\":\"Agent test\""),
        "{status:?}"
    );
    let block = curl(&[
        "http://agent/v1/block",
        "-d",
        "{\"target\":\"192.0.2.0/24\"}",
    ])?;
    ensure!(block.stdout.contains("\"state\":\"active\""), "{block:?}");
    let wrong = curl(&["http://agent/v1/block", "-d", "{\"target\":\"0.0.0.0/0\"}"])?;
    ensure!(
        wrong.stdout.contains("\"code\":\"bad_request\""),
        "{wrong:?}"
    );
    let page = agent.metrics()?;
    for line in [
        "school_filter_blocks 1",
        "school_filter_room_open{room=\"lab-1\"} 1",
    ] {
        ensure!(page.lines().any(|have| have == line), "{line}\n{page}");
    }
    let mut promtool = match Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    {
        Ok(promtool) => promtool,
        Err(error) => {
            eprintln!("skipped: promtool: {error} (package prometheus)");
            return Ok(());
        }
    };
    if let Some(mut input) = promtool.stdin.take() {
        input.write_all(page.as_bytes())?;
    }
    let said = promtool.wait_with_output()?;
    ensure!(said.status.success() && said.stderr.is_empty(), "{said:?}");
    Ok(())
}

/// Answers the first request with a list and the others with a web page.
fn serve_once(listener: &TcpListener) {
    for (number, stream) in listener.incoming().flatten().enumerate() {
        let body = match number {
            0 => "one.example\ntwo.example\n",
            _ => "<!DOCTYPE html><html><body>moved</body></html>",
        };
        let mut reader = BufReader::new(&stream);
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
            line.clear();
        }
        let length = body.len();
        // Whoever hangs up gets no list.
        let _ = write!(
            &stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
    }
}

#[test]
fn a_copy_that_was_not_taken_is_told_beside_its_list() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let listener = lab
        .router
        .run(|| Ok(TcpListener::bind("127.0.0.1:8088")?))?;
    std::thread::spawn(move || serve_once(&listener));
    let listed = "hosts = [\"example.net\"]\nlists = [\"http://127.0.0.1:8088/list\"]";
    let policy = POLICY.replace("hosts = [\"example.net\"]", listed);
    let agent = Agent::start(&lab, POLICY)?;
    agent.write_policy(&policy)?;
    agent.command(&["apply"])?;
    let good = agent.command(&["lists", "list"])?;
    ensure!(good.contains(" 2 ") && !good.contains("web page"), "{good}");
    let refused = agent.try_command(&["lists", "update"])?;
    ensure!(
        refused.code == Some(3) && refused.stderr.contains("is a web page"),
        "{refused:?}"
    );
    for command in [&["lists", "list"][..], &["status"]] {
        let told = agent.command(command)?;
        ensure!(told.contains("is a web page, not a list"), "{told}");
    }
    let kept = agent.command(&["lists", "list"])?;
    ensure!(kept.contains(" 2 "), "the copy before stays: {kept}");
    Ok(())
}
