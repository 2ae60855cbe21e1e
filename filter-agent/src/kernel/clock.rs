//! Between the wall clock and the kernel's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// How far the wall clock is ahead of CLOCK_MONOTONIC, which the kernel half
/// reads. The wall clock may be set; take a new one after every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Nanoseconds of UNIX time at monotonic 0.
    epoch: i128,
}

impl Clock {
    /// A clock whose monotonic time is UNIX time: captures are judged by the
    /// time they were recorded at.
    pub const UNIX: Self = Self { epoch: 0 };

    /// Reads both clocks of this machine.
    pub fn now() -> Self {
        Self {
            epoch: i128::from(read(ClockId::CLOCK_REALTIME))
                - i128::from(read(ClockId::CLOCK_MONOTONIC)),
        }
    }

    /// Nanoseconds of the kernel's clock at a time; 0 before it started.
    pub fn monotonic(self, time: SystemTime) -> u64 {
        let unix = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        };
        (unix - self.epoch).clamp(0, i128::from(u64::MAX)) as u64
    }

    /// The time at which the kernel's clock showed `monotonic` nanoseconds.
    pub fn wall(self, monotonic: u64) -> SystemTime {
        let unix = i128::from(monotonic) + self.epoch;
        let distance = |nanos: i128| {
            Duration::new(
                (nanos / 1_000_000_000) as u64,
                (nanos % 1_000_000_000) as u32,
            )
        };
        if unix >= 0 {
            UNIX_EPOCH.checked_add(distance(unix))
        } else {
            UNIX_EPOCH.checked_sub(distance(-unix))
        }
        .unwrap_or(UNIX_EPOCH)
    }

    /// How far the wall clock was set forth (or, as negative nanoseconds,
    /// back) since `before` was taken.
    pub fn stepped_since(self, before: Self) -> i128 {
        self.epoch - before.epoch
    }
}

/// The kernel's clock now, in nanoseconds.
pub fn monotonic_now() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

fn read(clock: ClockId) -> u64 {
    // Both clocks exist on every Linux, so the call cannot fail.
    clock_gettime(clock).map_or(0, |time| {
        time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_give_the_same_time() {
        let clock = Clock::now();
        for seconds in [1_700_000_000_u64, 4_000_000_000] {
            let time = UNIX_EPOCH + Duration::new(seconds, 123_456_789);
            let monotonic = clock.monotonic(time);
            if monotonic > 0 {
                assert_eq!(clock.wall(monotonic), time);
            }
        }
        assert_eq!(clock.monotonic(UNIX_EPOCH), 0, "before the machine started");
        assert_eq!(
            Clock::UNIX.monotonic(UNIX_EPOCH + Duration::from_nanos(42)),
            42
        );
    }

    #[test]
    fn a_step_of_the_wall_clock_shows() {
        let before = Clock { epoch: 1_000 };
        let after = Clock { epoch: 500 };
        assert_eq!(after.stepped_since(before), -500);
        assert!(Clock::now().stepped_since(Clock::now()).abs() < 50_000_000);
    }
}
