//! `cargo xtask demo`: the main job, on real clients, as a table.
//!
//! Everything lives in namespaces without names; when this program ends, by
//! whatever means, the kernel takes them back with links, pins and programs.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use filter_tests::agent::Agent;
use filter_tests::lab::{Lab, Room, SERVERS};
use filter_tests::school::{CASES, Case, NAMES, Outcome, POLICY, ROOMS, WIKI};
use filter_tests::servers::Servers;
use filter_tests::stream::Stream;

/// Lines of metrics to show.
const EXCERPT: usize = 14;

fn main() -> Result<()> {
    let start = Instant::now();
    println!("A school in namespaces: a switch with VLANs, a router with the filter, servers.");
    let lab = Lab::new(&ROOMS)?;
    for room in lab.rooms() {
        println!("  {:<8} {}", room.name, tags(room));
    }
    let servers = Servers::start(&lab.server, &NAMES)?;
    let agent = Agent::start(&lab, POLICY)?;
    agent.command(&["room", "close", "closed", "--reason", "demo"])?;

    let mut table = Table::new();
    for case in CASES {
        let outcome = case.run(&lab, &servers, &agent)?;
        table.visit(case, &outcome);
    }
    bell(&lab, &agent, &mut table)?;
    excerpt(&agent)?;
    println!(
        "\nHow to go on: docs/examples has policies to start from; `filter-agent check FILE` reads one,\n\
         `filter-agent run --policy FILE` puts it in force; README.md tells the rest."
    );
    println!(
        "\n{} rows, {} differ, {} s",
        table.rows,
        table.wrong,
        start.elapsed().as_secs()
    );
    ensure!(table.wrong == 0, "{} rows differ", table.wrong);
    Ok(())
}

fn tags(room: &Room) -> String {
    match (room.tags.outer, room.tags.inner) {
        (0, _) => "untagged".to_owned(),
        (outer, 0) => format!("VLAN {outer}"),
        (outer, inner) => format!("VLAN {outer}, inside it VLAN {inner}"),
    }
}

/// A running download, and a room that closes under it.
fn bell(lab: &Lab, agent: &Agent<'_>, table: &mut Table) -> Result<()> {
    let room = lab.room("lab-1")?;
    let next_door = lab.room("annex")?;
    let stream = Stream::start(lab, room, SocketAddr::new(SERVERS[0], 8080), WIKI)?;
    let other = Stream::start(lab, next_door, SocketAddr::new(SERVERS[0], 8081), WIKI)?;
    thread::sleep(Duration::from_millis(500));
    let flowed = stream.flows(Duration::from_millis(100));
    let close = Instant::now();
    agent.command(&["room", "close", "lab-1", "--reason", "demo"])?;
    thread::sleep(Duration::from_secs(1));
    let last = stream.last_down().max(stream.last_up());
    let took = last.saturating_duration_since(close);
    let cut = took < Duration::from_millis(250);
    table.row(
        [
            "lab-1",
            "download",
            WIKI,
            "cut",
            if cut { "cut" } else { "goes on" },
            "room_closed",
        ],
        took,
        flowed && cut,
    );
    let flows = other.flows(Duration::from_millis(100));
    table.row(
        [
            "annex",
            "download",
            WIKI,
            "goes on",
            if flows { "goes on" } else { "cut" },
            "name_allowed",
        ],
        Duration::ZERO,
        flows,
    );
    Ok(())
}

fn excerpt(agent: &Agent<'_>) -> Result<()> {
    println!("\nWhat Prometheus sees (an excerpt):");
    let metrics = agent.metrics()?;
    let mut shown = 0;
    for line in metrics.lines() {
        let packets = line.starts_with("school_filter_packets_total") && !line.ends_with(" 0");
        let state = line.starts_with("school_filter_policy_generation")
            || line.starts_with("school_filter_room_open");
        if (packets || state) && shown < EXCERPT {
            println!("  {line}");
            shown += 1;
        }
    }
    ensure!(shown > 0, "the metrics say nothing:\n{metrics}");
    Ok(())
}

struct Table {
    rows: usize,
    wrong: usize,
    colour: bool,
}

impl Table {
    fn new() -> Self {
        println!(
            "\n   {:<7} {:<11} {:<17} {:<4} {:<9} {:<9} {:<13} {:>8}",
            "room", "client", "target", "", "expected", "seen", "reason", "answer"
        );
        println!("   {}", "─".repeat(85));
        Self {
            rows: 0,
            wrong: 0,
            colour: std::io::stdout().is_terminal(),
        }
    }

    fn visit(&mut self, case: &Case, outcome: &Outcome) {
        let server = SERVERS[case.server];
        let target = if case.server > 1 {
            server.to_string()
        } else {
            case.name.to_owned()
        };
        let reason = if outcome.counted {
            case.reason.to_owned()
        } else {
            let counted = outcome.counts.reasons().map(|(_, reason)| reason);
            format!(
                "not {}: {}",
                case.reason,
                counted.collect::<Vec<_>>().join(", ")
            )
        };
        let family = if server.is_ipv4() { "v4" } else { "v6" };
        let holds = case.holds(outcome);
        self.line(
            [
                case.room,
                case.client.name(),
                &target,
                family,
                case.expected.name(),
                outcome.visit.seen.name(),
                &reason,
            ],
            outcome.visit.took,
            holds,
        );
        if !holds {
            println!("     {}", outcome.visit.detail.replace('\n', "\n     "));
        }
    }

    fn row(
        &mut self,
        [room, client, target, expected, seen, reason]: [&str; 6],
        took: Duration,
        holds: bool,
    ) {
        self.line(
            [room, client, target, "v4", expected, seen, reason],
            took,
            holds,
        );
    }

    fn line(&mut self, cells: [&str; 7], took: Duration, holds: bool) {
        self.rows += 1;
        self.wrong += usize::from(!holds);
        let mark = match (holds, self.colour) {
            (true, true) => "\x1b[32m✓\x1b[0m",
            (true, false) => "✓",
            (false, true) => "\x1b[31m✗\x1b[0m",
            (false, false) => "✗",
        };
        let [room, client, target, family, expected, seen, reason] = cells;
        println!(
            " {mark} {room:<7} {client:<11} {target:<17} {family:<4} {expected:<9} {seen:<9} {reason:<13} {:>5} ms",
            took.as_millis()
        );
        // A reader watches the rows come; where stdout is gone nobody does.
        let _ = std::io::stdout().flush();
    }
}
