//! Per-CPU counters, updated in place.

use super::{Reason, Verdict, pod};

/// Packets and bytes (of the whole frame, without FCS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Count {
    pub packets: u64,
    pub bytes: u64,
}

/// Position of a room's counter for a verdict and reason.
///
/// `room` may be one past the last room: frames that belong to no room.
pub const fn counter_index(room: u32, verdict: Verdict, reason: Reason) -> u32 {
    (room * 3 + verdict as u32) * Reason::COUNT as u32 + reason as u32
}

pod!(Count);
