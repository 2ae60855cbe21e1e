//! Where a client's stream starts.
//!
//! The server's SYN-ACK says which byte it takes as the first one; only that
//! is beyond a client's reach. A start is kept in a direct-mapped table: one
//! store for a SYN-ACK, nothing to insert, so a flood of connections costs
//! neither memory nor the hellos in progress.

use filter_ebpf::bpf::touch;

use super::maps::{STARTS, config};

/// Slots of `STARTS`: 2 MiB.
pub(crate) const SLOTS: u32 = 1 << 18;

/// Set in a slot that the server filled.
const CONFIRMED: u64 = 1 << 32;
/// Set once the stream was judged: its start is over.
const JUDGED: u64 = 1 << 33;
/// Set for good once a SYN with data came for any stream of the slot: what is
/// kept of it may be about another connection than the next SYN's (T07).
const SPOKE: u64 = 1 << 63;
const FINGERPRINT: u64 = !(SPOKE | (1 << 34) - 1);

/// The sequence number of a stream's first byte, if it was seen and its note
/// not overwritten; what only the client said counts where the stream's start
/// may be missing altogether.
#[inline(always)]
pub(crate) fn start(hash: u64) -> Option<u32> {
    let (index, fingerprint) = place(hash);
    let slot = *STARTS.get(index)?;
    if slot & FINGERPRINT != fingerprint {
        return None;
    }
    if slot & CONFIRMED == 0 && config!(unseen_start) == 0 {
        return None;
    }
    Some(slot as u32)
}

/// Brings a stream's note into the cache.
#[inline(always)]
pub(crate) fn expect(hash: u64) {
    if let Some(slot) = STARTS.get(place(hash).0) {
        touch(slot);
    }
}

/// Whether a segment comes too late to begin a stream. A connection that was
/// judged and then forgotten must be refused at once, or it would hang;
/// and data in a SYN means nothing to a server that has taken the stream.
#[inline(always)]
pub(crate) fn is_over(hash: u64, syn: u32) -> bool {
    let (index, fingerprint) = place(hash);
    let Some(slot) = STARTS.get(index) else {
        return false;
    };
    let over = if syn != 0 { CONFIRMED } else { JUDGED };
    *slot & FINGERPRINT == fingerprint && *slot & over != 0
}

/// Notes that the stream was judged.
#[inline(always)]
pub(crate) fn judged(hash: u64) {
    let (index, fingerprint) = place(hash);
    let Some(slot) = STARTS.get_ptr_mut(index) else {
        return;
    };
    // SAFETY: see `syn`.
    unsafe {
        if *slot & FINGERPRINT == fingerprint {
            *slot |= JUDGED;
        }
    }
}

/// Notes a client's SYN, with `data` or without. What a server confirmed for
/// the same flow stays. Says whether a SYN with data may have come before, or
/// is this one.
#[inline(always)]
pub(crate) fn syn(hash: u64, first: u32, data: bool) -> bool {
    let (index, fingerprint) = place(hash);
    let Some(slot) = STARTS.get_ptr_mut(index) else {
        return true;
    };
    // SAFETY: the slot is an aligned u64 in a map; a race loses one note.
    unsafe {
        let mut note = *slot;
        if data {
            note |= SPOKE;
        }
        if note & (FINGERPRINT | CONFIRMED) != fingerprint | CONFIRMED {
            note = note & SPOKE | fingerprint | u64::from(first);
        }
        *slot = note;
        note & SPOKE != 0
    }
}

/// Notes a server's SYN-ACK: `first` is its acknowledgement number.
#[inline(always)]
pub(crate) fn syn_ack(hash: u64, first: u32) {
    let (index, fingerprint) = place(hash);
    let Some(slot) = STARTS.get_ptr_mut(index) else {
        return;
    };
    // SAFETY: as above.
    unsafe { *slot = *slot & SPOKE | fingerprint | CONFIRMED | u64::from(first) };
}

/// A connection's slot, and what tells it there; whoever could aim at a slot
/// could make a connection's start forgotten.
#[inline(always)]
fn place(hash: u64) -> (u32, u64) {
    (
        (hash >> 8) as u32 & (SLOTS - 1),
        hash & FINGERPRINT | 1 << 34,
    )
}
