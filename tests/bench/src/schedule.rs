//! `schedule.*`: the timetable of the example with 12 rooms and two shifts.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use filter_agent::calendar::access::{Clock, of_room};
use filter_agent::calendar::windows::windows;
use filter_agent::policy::Policy;
use jiff::civil::date;
use jiff::{Timestamp, ToSpan as _};

use crate::Effort;
use crate::rows::Rows;

pub(crate) fn measure(rows: &mut Rows, effort: &Effort) -> Result<()> {
    let path = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/examples/school-12-rooms.toml"
    ));
    eprintln!("schedule: {}", path.display());
    for _ in 0..effort.rounds {
        let start = Instant::now();
        let policy = Policy::load(path)?;
        let [from, to] = year(&policy)?;
        let windows: usize = (0..policy.rooms.len())
            .map(|room| windows(&policy, room, from, to).len())
            .sum();
        let took = start.elapsed();
        ensure!(windows > 5_000, "only {windows} windows in a year");
        rows.add("schedule.year", "ms", took.as_secs_f64() * 1e3);
    }
    rows.add("schedule.days", "days", days(&Policy::load(path)?)?);
    Ok(())
}

/// The school year with its summer.
fn year(policy: &Policy) -> Result<[Timestamp; 2]> {
    let midnight = |year| {
        let first = date(year, 9, 1).at(0, 0, 0, 0);
        policy.timezone.to_timestamp(first).context("no such day")
    };
    Ok([midnight(2026)?, midnight(2027)?])
}

/// How far ahead the kernel knows the timetable: of all rooms on all days of
/// the year the least.
fn days(policy: &Policy) -> Result<f64> {
    let [mut wall, to] = year(policy)?;
    let mut least = u64::MAX;
    while wall < to {
        for (index, room) in policy.rooms.iter().enumerate() {
            let clock = Clock { wall, monotonic: 0 };
            least = least.min(of_room(policy, index, room.group, clock).known_until);
        }
        wall = wall.checked_add(24.hours())?;
    }
    Ok(least as f64 / 86_400e9)
}
