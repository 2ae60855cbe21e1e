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
    pub reserved2: [u32; 4],
    pub reserved3: u32,
    /// The name as sent, in lower case.
    pub name: [u8; NAME_MAX],
}

pod!(Event);
