//! Telling the class teacher: a webhook and a mail command, at a bounded rate.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use filter_tests::agent::{Agent, eventually};
use filter_tests::clients::{Client, visit};
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::reach::ROOMS;
use filter_tests::servers::Servers;

use super::POLICY;

/// Categories that are denied, a host of each.
const DENIED: [(&str, &str); 4] = [
    ("games", "a.example.org"),
    ("films", "b.example.org"),
    ("music", "c.example.org"),
    ("chats", "d.example.org"),
];
const PER_HOUR: usize = 2;

/// Bodies that a web server on the router's loopback got.
type Posts = Arc<Mutex<Vec<String>>>;

fn policy(port: u16, letters: &str) -> String {
    let mut policy = String::new();
    for (name, host) in DENIED {
        policy += &format!("[[category]]\nname = \"{name}\"\nhosts = [\"{host}\"]\n\n");
    }
    let names = DENIED.map(|(name, _)| format!("\"{name}\", ")).concat();
    let head = POLICY
        .replace("deny = [", &format!("deny = [{names}"))
        .replace(
            "name = \"lab-1\"",
            "name = \"lab-1\"\nclass_teacher = \"A. Asanova\"",
        );
    format!(
        "{head}\n{policy}[incidents]\ntries = 3\nminutes = 10\n\n[notify]\n\
         webhook = \"http://127.0.0.1:{port}/incident\"\n\
         mail_command = [\"/bin/sh\", \"-c\", \"cat >> {letters}; echo ---- >> {letters}\"]\n\
         per_hour = {PER_HOUR}\n"
    )
}

/// A web server that says yes to every POST.
fn listen(lab: &Lab) -> Result<(u16, Posts)> {
    let listener = lab.router.run(|| Ok(TcpListener::bind("127.0.0.1:0")?))?;
    let port = listener.local_addr()?.port();
    let posts = Posts::default();
    let kept = Arc::clone(&posts);
    // It ends with the test program.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Ok(body) = post(stream) {
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(body);
            }
        }
    });
    Ok((port, posts))
}

fn post(mut stream: TcpStream) -> Result<String> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    let mut head = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        head += &line;
    }
    ensure!(head.starts_with("POST /incident "), "{head}");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
    Ok(String::from_utf8(body)?)
}

fn metric(agent: &Agent<'_>, name: &str) -> Result<u64> {
    let page = agent.metrics()?;
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .with_context(|| format!("no {name}"))?;
    Ok(line.parse::<f64>()? as u64)
}

#[test]
fn incidents_are_told_by_webhook_and_mail_at_a_bounded_rate() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let servers = Servers::start(&lab.server, &DENIED.map(|(_, host)| host))?;
    let (port, posts) = listen(&lab)?;
    let letters = "/run/letters";
    let agent = Agent::start(&lab, &policy(port, letters))?;
    let room = lab.room("tagged")?;
    for (_, host) in DENIED {
        for _ in 0..3 {
            visit(
                Client::Curl,
                &room.client,
                servers.authority(),
                host,
                SERVERS[0],
            )?;
        }
    }
    // Four incidents, two of them told, the others counted.
    let untold = DENIED.len() - PER_HOUR;
    eventually(Duration::from_secs(10), || {
        Ok(
            metric(&agent, "school_filter_incidents_total")? == DENIED.len() as u64
                && metric(&agent, "school_filter_notifications_dropped_total")? >= untold as u64,
        )
    })?;
    let posts = posts.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure!(posts.len() == PER_HOUR, "{posts:?}");
    let client = room.v4().to_string();
    let first: serde_json::Value = serde_json::from_str(&posts[0])?;
    ensure!(
        first["room"] == "lab-1" && first["category"] == "games" && first["tries"] == 3,
        "{first}"
    );
    ensure!(first["class_teacher"] == "A. Asanova", "{first}");
    let letters = lab.router.run(|| Ok(std::fs::read_to_string(letters)?))?;
    ensure!(letters.matches("----\n").count() == PER_HOUR, "{letters}");
    ensure!(
        letters.starts_with("Subject: Incident 1 in room lab-1\n"),
        "{letters}"
    );
    ensure!(letters.contains("class teacher: A. Asanova\n"), "{letters}");
    for text in posts.iter().chain([&letters]) {
        ensure!(
            !text.contains(&client),
            "the device's address is told: {text}"
        );
    }
    Ok(())
}

/// A webhook that nobody serves and a mail command that fails hold up nothing.
#[test]
fn what_cannot_be_told_is_counted_and_the_filter_goes_on() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let servers = Servers::start(&lab.server, &DENIED.map(|(_, host)| host))?;
    let policy = policy(9, "/nowhere/letters");
    let agent = Agent::start(&lab, &policy)?;
    let room = lab.room("tagged")?;
    for _ in 0..4 {
        visit(
            Client::Curl,
            &room.client,
            servers.authority(),
            DENIED[0].1,
            SERVERS[0],
        )?;
    }
    eventually(Duration::from_secs(10), || {
        Ok(metric(&agent, "school_filter_notifications_dropped_total")? >= 2)
    })?;
    let list = agent.command(&["incidents", "list"])?;
    ensure!(list.contains("games"), "{list}");
    let report = agent.command(&["report", "--room", "lab-1", "--from", "2020-01-01", "--csv"])?;
    let lines: Vec<&str> = report.lines().collect();
    ensure!(
        lines.len() == 2 && lines[0].starts_with("number,opened,") && lines[1].contains(",lab-1,"),
        "{report}"
    );
    let json = agent.command(&["report", "--to", "2020-01-01", "--json"])?;
    ensure!(json.trim() == "[]", "{json}");
    Ok(())
}
