//! Windows as the kernel reads them: spans on the monotonic clock.

use filter_ebpf::abi;
use jiff::{SignedDuration, Timestamp};

use super::windows::{Window, windows};
use crate::policy::Policy;

/// How far ahead the kernel is told: at least eight days are promised, and
/// the agent may be gone for long before anybody looks.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 14);

/// The same moment on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    pub wall: Timestamp,
    /// CLOCK_MONOTONIC in nanoseconds.
    pub monotonic: u64,
}

impl Clock {
    /// A moment on the monotonic clock; 0 for those before it began.
    pub fn monotonic(&self, at: Timestamp) -> u64 {
        let ahead = at.duration_since(self.wall).as_nanos();
        let total = i128::from(self.monotonic).saturating_add(ahead);
        u64::try_from(total.max(0)).unwrap_or(u64::MAX)
    }
}

/// What the kernel is told of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans {
    /// Sorted, disjoint, not touching; at most [`abi::SPANS`].
    pub spans: Vec<abi::Span>,
    /// Up to when they are all.
    pub known_until: u64,
}

impl Spans {
    /// Writes them into a room's value; the rest of it stays.
    pub fn write(&self, access: &mut abi::Access) {
        access.spans = [abi::Span::default(); abi::SPANS];
        for (to, from) in access.spans.iter_mut().zip(&self.spans) {
            *to = *from;
        }
        access.spans_len = self.spans.len().min(abi::SPANS) as u32;
        access.known_until = self.known_until;
    }
}

/// The spans of a room from now on, for the group that the image has it in;
/// lessons of other groups are closed until the image is built anew.
pub fn of_room(policy: &Policy, room: usize, group: usize, clock: Clock) -> Spans {
    let until = clock.wall.checked_add(HORIZON).unwrap_or(Timestamp::MAX);
    let mut windows = windows(policy, room, clock.wall, until);
    windows.retain(|window| window.group == group);
    spans(&windows, clock, until)
}

/// Windows, complete up to `until`, on the kernel's clock.
pub fn spans(windows: &[Window], clock: Clock, until: Timestamp) -> Spans {
    let mut out = Spans {
        spans: Vec::new(),
        known_until: clock.monotonic(until),
    };
    for window in windows {
        let span = abi::Span {
            start: clock.monotonic(window.start),
            end: clock.monotonic(window.end.min(until)),
        };
        if span.end <= clock.monotonic || span.start >= span.end {
            continue;
        }
        if let Some(last) = out.spans.last_mut().filter(|last| span.start <= last.end) {
            last.end = last.end.max(span.end);
        } else if out.spans.len() == abi::SPANS {
            // Closed up to here is known; from here on it is not.
            out.known_until = span.start;
            break;
        } else {
            out.spans.push(span);
        }
    }
    out
}
