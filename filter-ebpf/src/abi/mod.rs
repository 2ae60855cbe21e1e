//! The contract between kernel and user space: map keys and values.
//!
//! Plain old data, explicit integers, no padding that is not named. A change
//! of any layout must raise [`VERSION`]; `layout_is_locked` in this module's
//! tests sees to it. Maps that outlive an image (flows, hellos, overrides,
//! events, the secret) are reused only when the version is the same.

mod access;
mod config;
mod counters;
mod event;
mod flow;
mod overrides;
mod tail;
mod verdict;

pub use access::{Access, Mode, SPANS, Span};
pub use config::{
    Config, Group, GroupFlags, MAX_CATEGORIES, MAX_GROUPS, MAX_LINKS, MAX_PROVIDERS, NO_ROOM, Room,
    RoomFlags, SafeAddress, Secret, Subnet4, Subnet6,
};
pub use counters::{Count, counter_index};
pub use event::{Event, EventBudget, Trace};
pub use flow::{
    CONTENT, CONTENT_SLOTS, CONTENT_STEP, Content, Flow, FlowFlags, FlowKey, Hello, NAME_MAX,
    Protocol, SUFFIXES, Ticket,
};
pub use overrides::{Override, OverrideHeader, OverrideKey, RangeKey, Scope};
pub use tail::Tail;
pub use verdict::{Reason, Verdict};

/// Raised with every change of a layout or of the meaning of a field.
pub const VERSION: u32 = 4;

/// A value that may be copied byte for byte between kernel and user space.
///
/// # Safety
/// The type is `repr(C)` or `repr(transparent)`, holds only integers and
/// arrays of such types, has no padding, and every bit pattern is valid.
pub unsafe trait Pod: Copy + 'static {
    /// The value as the bytes that lie in a map.
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: a Pod has no padding, so every byte is initialised.
        unsafe { core::slice::from_raw_parts((&raw const *self).cast(), size_of::<Self>()) }
    }

    /// Reads a value from the front of `bytes`; `None` when they are too few.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < size_of::<Self>() {
            return None;
        }
        // SAFETY: there are enough bytes and every bit pattern is a value.
        Some(unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
    }
}

macro_rules! pod {
    ($($t:ty),+ $(,)?) => {$(
        // SAFETY: repr(C), integers only, no padding (`layout_is_locked`).
        unsafe impl $crate::abi::Pod for $t {}
    )+};
}
pub(crate) use pod;

// SAFETY: integers.
unsafe impl Pod for u32 {}
// SAFETY: an array of integers.
unsafe impl Pod for [u64; 8] {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::dns::Bucket;
    use crate::inspect::quic::QuicHello;
    use crate::tables::Line;

    /// Sizes of everything that crosses the border. When one moves, raise
    /// `VERSION` and write the new figure here.
    #[test]
    fn layout_is_locked() {
        assert_eq!(VERSION, 4);
        let sizes = [
            ("Access", size_of::<Access>()),
            ("Config", size_of::<Config>()),
            ("Group", size_of::<Group>()),
            ("Room", size_of::<Room>()),
            ("Count", size_of::<Count>()),
            ("Content", size_of::<Content>()),
            ("Event", size_of::<Event>()),
            ("EventBudget", size_of::<EventBudget>()),
            ("Flow", size_of::<Flow>()),
            ("FlowKey", size_of::<FlowKey>()),
            ("Hello", size_of::<Hello>()),
            ("Override", size_of::<Override>()),
            ("OverrideKey", size_of::<OverrideKey>()),
            ("RangeKey", size_of::<RangeKey>()),
            ("SafeAddress", size_of::<SafeAddress>()),
            ("Secret", size_of::<Secret>()),
            ("Trace", size_of::<Trace>()),
            ("Line", size_of::<Line>()),
            ("Bucket", size_of::<Bucket>()),
            ("QuicHello", size_of::<QuicHello>()),
        ];
        let want = [
            ("Access", 4168),
            ("Config", 120),
            ("Group", 48),
            ("Room", 192),
            ("Count", 16),
            ("Content", 10248),
            ("Event", 352),
            ("EventBudget", 40),
            ("Flow", 168),
            ("FlowKey", 44),
            ("Hello", 448),
            ("Override", 24),
            ("OverrideKey", 16),
            ("RangeKey", 28),
            ("SafeAddress", 24),
            ("Secret", 64),
            ("Trace", 360),
            ("Line", 64),
            ("Bucket", 16),
            ("QuicHello", 5056),
        ];
        assert_eq!(sizes, want);
    }
}
