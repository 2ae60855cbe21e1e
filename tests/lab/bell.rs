//! The bell: a room that closes is cut at once, in both directions, by the
//! kernel's own clock, whether or not the agent lives.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use filter_tests::agent::{Agent, eventually};
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::school::WIKI;
use filter_tests::stream::Stream;
use filter_tests::switch::Tags;

/// Issue and design: at the latest this long after the bell.
const CUT: Duration = Duration::from_millis(250);
const ROOMS: [(&str, Tags); 2] = [
    (
        "rings",
        Tags {
            outer: 11,
            inner: 0,
        },
    ),
    (
        "next-door",
        Tags {
            outer: 12,
            inner: 0,
        },
    ),
];

/// Both rooms for one group; the first closes at `bell` (UTC, `HH:MM`).
fn policy(bell: &str) -> String {
    format!(
        r#"
timezone = "UTC"

[network]
lan = ["lan0"]
wan = ["wan0"]

[[category]]
name = "education"
hosts = ["example.org"]

[[group]]
name = "pupils"
default = "listed-only"
allow = ["education"]

[[room]]
name = "rings"
vlan = 11
group = "pupils"
open = ["Mon-Sun 00:00-{bell}"]
follows_calendar = false

[[room]]
name = "next-door"
vlan = 12
group = "pupils"
"#
    )
}

/// A stream per room, all flowing.
fn streams(lab: &Lab) -> Result<[Stream; 2]> {
    let mut streams = Vec::new();
    for (room, port) in lab.rooms().iter().zip(8080..) {
        let server = SocketAddr::new(SERVERS[0], port);
        streams.push(Stream::start(lab, room, server, WIKI)?);
    }
    let span = Duration::from_millis(100);
    eventually(Duration::from_secs(3), || {
        Ok(streams.iter().all(|stream| stream.flows(span)))
    })?;
    // Real flow, not only the first packets.
    thread::sleep(Duration::from_millis(500));
    ensure!(
        streams.iter().all(|stream| stream.flows(span)),
        "{streams:?}"
    );
    <[Stream; 2]>::try_from(streams).map_err(|_| anyhow::anyhow!("two rooms, two streams"))
}

/// A second after `bell` the first room must be silent since the bell, and
/// the second must not have noticed.
fn check(streams: &[Stream; 2], bell: Instant) -> Result<()> {
    thread::sleep((bell + Duration::from_secs(1)).saturating_duration_since(Instant::now()));
    let [rings, next_door] = streams;
    for (way, last) in [("down", rings.last_down()), ("up", rings.last_up())] {
        ensure!(
            last > bell - CUT,
            "{way}: it had stopped {:?} before the bell",
            bell - last
        );
        ensure!(
            last < bell + CUT,
            "{way}: it went on {:?} after the bell",
            last - bell
        );
        eprintln!(
            "{way}: the last byte came {} ms after the bell",
            last.saturating_duration_since(bell).as_millis()
        );
    }
    ensure!(
        next_door.flows(Duration::from_millis(100)),
        "the room next door was cut: {next_door:?}"
    );
    Ok(())
}

/// The next full minute that leaves time to start, as text and as instant.
fn next_minute() -> Result<(String, Instant)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let lead = Duration::from_secs(12);
    let minute = (now + lead).as_secs().div_ceil(60);
    let bell = Instant::now() + Duration::from_secs(minute * 60).saturating_sub(now);
    Ok((format!("{:02}:{:02}", minute / 60 % 24, minute % 60), bell))
}

/// Two schools at once, so that the minute is waited for once.
#[test]
fn a_download_stops_at_the_bell_with_the_agent_alive_or_killed() -> Result<()> {
    let (text, bell) = next_minute()?;
    if text == "00:00" {
        thread::sleep(Duration::from_secs(60));
        return a_download_stops_at_the_bell_with_the_agent_alive_or_killed();
    }
    let (alive, killed) = (Lab::new(&ROOMS)?, Lab::new(&ROOMS)?);
    let _agent = Agent::start(&alive, &policy(&text))?;
    let mut dies = Agent::start(&killed, &policy(&text))?;
    let (first, second) = (streams(&alive)?, streams(&killed)?);
    dies.kill()?;
    ensure!(
        Instant::now() < bell,
        "too slow to be ready before the bell"
    );
    check(&first, bell)?;
    check(&second, bell)
}

#[test]
fn closing_a_room_by_hand_cuts_it_at_once() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, &policy("24:00"))?;
    let streams = streams(&lab)?;
    let bell = Instant::now();
    agent.command(&["room", "close", "rings", "--reason", "test"])?;
    check(&streams, bell)
}
