//! Who is open when, on the kernel's clock.

use super::pod;

/// Spans kept per room: eight days of a school with thirty windows a day. A
/// power of two, so that a mask bounds an index.
pub const SPANS: usize = 256;

/// A span in which a room is open: `[start, end)` in nanoseconds of
/// CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Span {
    pub start: u64,
    pub end: u64,
}

/// One per room. User space writes a whole value; the kernel only reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Access {
    /// [`Mode`] set by hand.
    pub mode: u32,
    /// Spans in use, sorted, disjoint.
    pub spans_len: u32,
    /// Until when `mode` holds; then it is `Auto` again. `u64::MAX`: for good.
    pub mode_until: u64,
    /// Until when a teacher holds the room; 0: nobody does.
    pub lease_until: u64,
    /// Up to when the spans are known; past it `Config::when_stale` rules.
    pub known_until: u64,
    /// Categories opened for this room by grants; each until `grant_until`
    /// of the same position. Locked categories are never opened by them.
    pub grant_mask: [u64; 2],
    /// When the two grant masks end.
    pub grant_until: [u64; 2],
    pub reserved: u64,
    pub spans: [Span; SPANS],
}

/// How a room's door is worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Mode {
    /// By the timetable and leases.
    Auto = 0,
    /// Opened by hand.
    Open = 1,
    /// Switched off by hand.
    Closed = 2,
}

impl Access {
    /// A room about which nothing is known: its timetable has run out.
    pub const UNKNOWN: Self = Self {
        mode: 0,
        spans_len: 0,
        mode_until: 0,
        lease_until: 0,
        known_until: 0,
        grant_mask: [0; 2],
        grant_until: [0; 2],
        reserved: 0,
        spans: [Span { start: 0, end: 0 }; SPANS],
    };
}

pod!(Access, Span);
