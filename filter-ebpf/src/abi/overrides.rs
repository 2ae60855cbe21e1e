//! What was blocked or granted just now, beside the image.

use super::pod;

/// One value, raised with every change of an override or an access entry
/// that may turn a verdict: flows judged under another epoch are judged
/// again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct OverrideHeader {
    pub epoch: u32,
    /// Entries in the name table: 0 spares the look-ups.
    pub names: u32,
    /// Entries in the range tables.
    pub ranges: u32,
    /// Until when judged flows that pass are told too, for a policy on trial:
    /// CLOCK_MONOTONIC in units of 2^30 ns, 0 for never. It ends by itself.
    pub trial_until: u32,
}

/// For whom an override holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Everyone,
    /// Index of the room in the image.
    Room(u16),
    /// Index of the group in the image.
    Group(u16),
}

impl Scope {
    /// The number in [`OverrideKey::scope`].
    pub const fn to_u32(self) -> u32 {
        match self {
            Self::Everyone => 0,
            Self::Room(room) => 0x1_0000 | room as u32,
            Self::Group(group) => 0x2_0000 | group as u32,
        }
    }
}

/// A name (hash of the suffix) and for whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct OverrideKey {
    pub hash: u64,
    pub scope: u32,
    pub reserved: u32,
}

/// Key of the LPM trie of ranges: 64 bits of scope, then the address
/// (IPv4-mapped for IPv4), network byte order; `prefix_len` counts both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RangeKey {
    pub prefix_len: u32,
    /// [`Scope::to_u32`] as 64 bits in network byte order.
    pub scope: [u8; 8],
    pub address: [u8; 16],
}

/// An override: a block or a grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Override {
    /// When it ends, CLOCK_MONOTONIC in nanoseconds.
    pub until: u64,
    /// Number of the incident, grant or report in the store.
    pub id: u64,
    /// 1: block, 0: grant.
    pub block: u32,
    pub reserved: u32,
}

pod!(OverrideHeader, OverrideKey, RangeKey, Override);
