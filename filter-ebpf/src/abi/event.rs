//! What the kernel tells user space: one event per flow and reason.

use super::{FlowKey, NAME_MAX, pod};

/// A verdict about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// CLOCK_MONOTONIC in nanoseconds.
    pub time: u64,
    pub key: FlowKey,
    pub generation: u32,
    pub room: u16,
    pub group: u16,
    /// Set that decided, 0 for none.
    pub set: u16,
    pub verdict: u8,
    pub reason: u8,
    /// Deciding category, 255 for none.
    pub category: u8,
    /// [`super::Protocol`].
    pub protocol: u8,
    pub name_len: u8,
    pub reserved: u8,
    pub packet_bytes: u32,
    /// Packets of which this core could not tell since its last event, for
    /// want of budget or of room in the ring.
    pub untold: u32,
    pub reserved2: [u32; 3],
    pub reserved3: u32,
    /// The name as sent, in lower case.
    pub name: [u8; NAME_MAX],
}

/// The one value of `TRACE`: replay writes the clock, the kernel the outcome
/// of the packet. `event.name_len` is not 0 only on the frame that completes
/// a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Trace {
    /// CLOCK_MONOTONIC that the program shall see, in nanoseconds.
    pub now: u64,
    pub event: Event,
}

/// A core's share of events, and what of them nobody will read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct EventBudget {
    /// Start of the present second, CLOCK_MONOTONIC in nanoseconds.
    pub since: u64,
    /// Events sent in it.
    pub sent: u64,
    /// Refused packets that came when the second's share was used up; most
    /// belong to flows that were reported already.
    pub over: u64,
    /// Events for which the ring had no room.
    pub full: u64,
    /// Of both, those since the last event that went out.
    pub untold: u64,
}

pod!(Event, EventBudget, Trace);
