//! The clock on the wall is set across a bell: rooms follow at once. Only a
//! machine of its own may have its clock set.

use std::io::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use filter_tests::agent::Agent;
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::probe::Probe;
use filter_tests::skip::skip;
use filter_tests::switch::Tags;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};

const POLICY: &str = r#"
timezone = "UTC"

[network]
lan = ["lan0"]
wan = ["wan0"]

[[group]]
name = "pupils"
default = "open"

[[room]]
name = "class"
vlan = 11
group = "pupils"
open = ["Mon-Sun 08:00-08:45"]
follows_calendar = false
"#;

/// How soon a room follows.
const AT_ONCE: Duration = Duration::from_secs(1);
/// A room in which nothing arrives for so long is closed; datagrams are sent
/// far more often.
const SILENCE: Duration = Duration::from_millis(300);
/// Monday, 2026-09-07, midnight (UTC).
const MONDAY: u64 = 1_788_739_200;
const HOUR: u64 = 3600;

/// The clock as it was, going on; put back when dropped.
struct Clock {
    wall: Duration,
    since: Instant,
}

impl Clock {
    fn keep() -> Result<Self> {
        Ok(Self {
            wall: SystemTime::now().duration_since(UNIX_EPOCH)?,
            since: Instant::now(),
        })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        // The machine goes down soon anyway.
        let _ = set(self.wall + self.since.elapsed());
    }
}

fn set(wall: Duration) -> Result<()> {
    clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::from_duration(wall))
        .context("setting the clock")
}

#[test]
fn a_room_follows_the_clock_at_once_when_it_is_set() -> Result<()> {
    if std::env::var_os("FILTER_TESTS_MACHINE").is_none() {
        skip(
            "a_room_follows_the_clock_at_once_when_it_is_set",
            "it sets the clock, which only `cargo xtask vm` has one of its own for",
        );
        return Ok(());
    }
    let _clock = Clock::keep()?;
    let tags = Tags {
        outer: 11,
        inner: 0,
    };
    let lab = Lab::new(&[("class", tags)])?;
    set(Duration::from_secs(MONDAY + 7 * HOUR))?;
    let _agent = Agent::start(&lab, POLICY)?;
    let server = SocketAddr::new(SERVERS[0], 9000);
    let gap = Duration::from_millis(5);
    let probe = Probe::start(&lab, lab.room("class")?, server, gap, u64::MAX)?;
    ensure!(silent(&probe), "it is open before its time");
    for (what, after, open) in [
        ("forward into the lesson", 8 * HOUR + 600, true),
        ("forward past its end", 9 * HOUR, false),
        ("back into the lesson", 8 * HOUR + 1200, true),
        ("back before its beginning", 6 * HOUR, false),
        ("a day forward, into the lesson", 32 * HOUR + 600, true),
    ] {
        set(Duration::from_secs(MONDAY + after))?;
        let took = follows(&probe, open).with_context(|| what.to_owned())?;
        // Past the test runner's capture: a figure of every kernel.
        writeln!(std::io::stderr(), "{what}: {} ms", took.as_millis())?;
    }
    Ok(())
}

/// How long after this call the room was open, or closed.
fn follows(probe: &Probe, open: bool) -> Result<Duration> {
    let start = Instant::now();
    let (mut seen, mut last) = (probe.arrived(), Duration::ZERO);
    let limit = AT_ONCE + if open { Duration::ZERO } else { SILENCE };
    loop {
        thread::sleep(Duration::from_millis(5));
        let (now, took) = (probe.arrived(), start.elapsed());
        if now > seen {
            // A few were on their way to the server when it closed.
            if open {
                return Ok(took);
            }
            (seen, last) = (now, took);
        }
        if !open && took >= last + SILENCE {
            return Ok(last);
        }
        ensure!(took < limit, "not within {AT_ONCE:?}");
    }
}

fn silent(probe: &Probe) -> bool {
    let before = probe.arrived();
    thread::sleep(SILENCE);
    probe.arrived() == before
}
