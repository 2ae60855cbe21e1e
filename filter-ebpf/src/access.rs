//! Is a room open now, and until when does the answer hold?

use crate::{
    abi::{Access, Mode, Reason, RoomFlags, SPANS, Span, Verdict},
    bpf::opaque,
    tables::below,
};

/// The state of a room's door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// `Pass`: open. Else how the policy treats it.
    pub verdict: Verdict,
    /// Why it is not open.
    pub reason: Reason,
    /// First moment at which the answer may be another one (CLOCK_MONOTONIC,
    /// nanoseconds).
    pub until: u64,
}

/// Reads a room's door at `now`.
///
/// By hand first, then the timetable (with a lease where the room wants one),
/// and past the last known span `when_stale`.
#[inline(always)]
pub fn door(access: &Access, room_flags: u16, when_stale: Verdict, now: u64) -> Door {
    let by_hand = access.mode != Mode::Auto as u32 && now < access.mode_until;
    let mut until = u64::MAX;
    if by_hand {
        until = access.mode_until;
        if access.mode == Mode::Closed as u32 {
            return closed(until);
        }
        return open(until);
    }
    if room_flags & RoomFlags::TIMETABLE == 0 {
        return open(until);
    }
    // The last span that starts at or before now: `low` counts them.
    let len = if access.spans_len > SPANS as u32 {
        SPANS as u32
    } else {
        access.spans_len
    };
    let mut low = 0u32;
    let mut step = SPANS as u32;
    // Without a branch, of which the verifier would follow every one.
    while step > 0 {
        let next = low.wrapping_add(step);
        let inside = 1 ^ below(u64::from(len), u64::from(next));
        let begun = 1 ^ below(now, start(access, next.wrapping_sub(1)));
        low = low.wrapping_add(step.wrapping_mul(opaque(u64::from(inside & begun)) as u32));
        step >>= 1;
    }
    if low < len {
        until = start(access, low);
    }
    if low > 0 {
        let end = span(access, low.wrapping_sub(1)).end;
        if now < end {
            if room_flags & RoomFlags::SUPERVISED == 0 {
                return open(end);
            }
            if now < access.lease_until {
                return open(if access.lease_until < end {
                    access.lease_until
                } else {
                    end
                });
            }
            return closed(end);
        }
    }
    if now >= access.known_until {
        return Door {
            verdict: when_stale,
            reason: Reason::Stale,
            until: u64::MAX,
        };
    }
    closed(if until < access.known_until {
        until
    } else {
        access.known_until
    })
}

#[inline(always)]
fn start(access: &Access, index: u32) -> u64 {
    span(access, index).start
}

/// The span at `index`, which lies below [`SPANS`].
#[inline(always)]
fn span(access: &Access, index: u32) -> Span {
    // 6.1 loses the bounds of a binary search; the mask gives them back.
    access.spans[opaque(u64::from(index)) as usize & (SPANS - 1)]
}

#[inline(always)]
fn open(until: u64) -> Door {
    Door {
        verdict: Verdict::Pass,
        reason: Reason::Unknown,
        until,
    }
}

#[inline(always)]
fn closed(until: u64) -> Door {
    Door {
        verdict: Verdict::Reject,
        reason: Reason::RoomClosed,
        until,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(spans: &[(u64, u64)]) -> Access {
        let mut access = Access::UNKNOWN;
        for (slot, &(start, end)) in access.spans.iter_mut().zip(spans) {
            *slot = Span { start, end };
        }
        access.spans_len = spans.len() as u32;
        access.known_until = 10_000;
        access
    }

    fn at(access: &Access, flags: u16, now: u64) -> (Verdict, Reason, u64) {
        let door = door(access, flags, Verdict::Drop, now);
        (door.verdict, door.reason, door.until)
    }

    #[test]
    fn windows_open_and_close_by_themselves() {
        let access = access(&[(100, 200), (300, 400)]);
        let flags = RoomFlags::TIMETABLE;
        for (now, open, until) in [
            (0, false, 100),
            (99, false, 100),
            (100, true, 200),
            (199, true, 200),
            (200, false, 300),
            (300, true, 400),
            (400, false, 10_000),
        ] {
            let (verdict, _, end) = at(&access, flags, now);
            assert_eq!((verdict == Verdict::Pass, end), (open, until), "at {now}");
        }
        assert_eq!(at(&access, flags, 10_000).1, Reason::Stale);
    }

    #[test]
    fn a_full_table_is_searched_to_its_ends() {
        let spans: std::vec::Vec<_> = (0..SPANS as u64).map(|i| (i * 10, i * 10 + 5)).collect();
        let access = access(&spans);
        for i in 0..SPANS as u64 {
            let flags = RoomFlags::TIMETABLE;
            assert_eq!(at(&access, flags, i * 10 + 4).0, Verdict::Pass, "span {i}");
            assert_eq!(at(&access, flags, i * 10 + 5).0, Verdict::Reject, "gap {i}");
        }
    }

    #[test]
    fn a_supervised_room_needs_its_teacher() {
        let mut access = access(&[(100, 200)]);
        let flags = RoomFlags::TIMETABLE | RoomFlags::SUPERVISED;
        assert_eq!(at(&access, flags, 150).0, Verdict::Reject);
        access.lease_until = 180;
        assert_eq!(
            at(&access, flags, 150),
            (Verdict::Pass, Reason::Unknown, 180)
        );
        assert_eq!(at(&access, flags, 180).0, Verdict::Reject);
        access.lease_until = 1_000;
        assert_eq!(at(&access, flags, 150).2, 200);
        assert_eq!(at(&access, flags, 250).0, Verdict::Reject);
    }

    #[test]
    fn a_hand_on_the_door_ends_by_itself() {
        let mut access = access(&[(100, 200)]);
        access.mode = Mode::Closed as u32;
        access.mode_until = 150;
        assert_eq!(at(&access, RoomFlags::TIMETABLE, 120).0, Verdict::Reject);
        assert_eq!(at(&access, RoomFlags::TIMETABLE, 150).0, Verdict::Pass);
        access.mode = Mode::Open as u32;
        access.mode_until = u64::MAX;
        assert_eq!(at(&access, RoomFlags::TIMETABLE, 5_000).0, Verdict::Pass);
    }

    #[test]
    fn a_room_without_timetable_is_open() {
        assert_eq!(at(&Access::UNKNOWN, 0, 5).0, Verdict::Pass);
        assert_eq!(
            at(&Access::UNKNOWN, RoomFlags::TIMETABLE, 5).1,
            Reason::Stale
        );
    }
}
