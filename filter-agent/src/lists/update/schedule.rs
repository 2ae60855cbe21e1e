//! When to look for a new copy.

use std::time::Duration;

/// After a failure the first new try comes after about this long.
const RETRY: u64 = 300;

/// The moment of the next update, in seconds since 1970.
///
/// `checked_at` is the last time the source answered (`None`: never),
/// `failed_at` the last of `failures` tries in a row that went wrong. An
/// interval is shortened or stretched by up to a tenth, by `seed`, so that a
/// thousand schools do not ask one server in the same second. After failures
/// the pause doubles from five minutes up to the interval. A moment that is
/// past means now; one too far ahead (the clock was set back) is brought
/// near.
pub fn next_update(
    checked_at: Option<u64>,
    failed_at: Option<u64>,
    failures: u32,
    now: u64,
    interval: Duration,
    seed: u64,
) -> u64 {
    let interval = interval.as_secs().max(60);
    let (base, pause) = match (checked_at, failed_at) {
        (_, Some(failed)) if failures > 0 => {
            let doubled = RETRY
                .checked_shl((failures - 1).min(32))
                .unwrap_or(u64::MAX);
            (failed, doubled.min(interval))
        }
        (Some(checked), _) => (checked, interval),
        (None, _) => return now,
    };
    // Jitter must differ from time to time, too, or two schools that met
    // once would meet for ever.
    let random = scramble(seed ^ base) % (pause / 5 + 1);
    let at = base.saturating_add(pause - pause / 10 + random);
    at.min(now.saturating_add(pause + pause / 10))
}

/// The finalizer of SplitMix64.
fn scramble(value: u64) -> u64 {
    let mut x = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn jitter_spreads_schools_over_a_fifth_of_the_interval() {
        let at: Vec<u64> = (0..1000)
            .map(|seed| next_update(Some(1_000_000), None, 0, 1_000_000, DAY, seed))
            .collect();
        let (low, high) = (1_000_000 + 77_760, 1_000_000 + 95_040);
        assert!(at.iter().all(|at| (low..=high).contains(at)));
        let early = at.iter().filter(|&&at| at < 1_000_000 + 86_400).count();
        assert!((400..600).contains(&early), "{early}");
    }

    #[test]
    fn failures_are_tried_again_sooner_but_not_for_ever_soon() {
        let pause = |failures| next_update(Some(0), Some(5_000), failures, 5_000, DAY, 7) - 5_000;
        assert!((270..=330).contains(&pause(1)));
        assert!((540..=660).contains(&pause(2)));
        for failures in [10, 33, 64, u32::MAX] {
            assert!((77_760..=95_040).contains(&pause(failures)), "{failures}");
        }
    }

    #[test]
    fn a_new_list_is_fetched_at_once_and_a_clock_set_back_delays_little() {
        assert_eq!(next_update(None, None, 0, 77, DAY, 1), 77);
        assert!(next_update(Some(1_000_000_000), None, 0, 1000, DAY, 1) <= 1000 + 95_040);
    }
}
