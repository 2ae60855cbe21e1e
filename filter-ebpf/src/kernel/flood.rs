//! Datagrams that are refused by their address again and again.
//!
//! A flood of them finds its flows nowhere, as none are kept of what is
//! refused; but the answer to one client about the same categories stays the
//! same until a door, a grant or an override changes. So each core keeps some
//! answers, with all that they rest on.

use filter_ebpf::{
    abi::{Protocol, Verdict},
    frame::{MetaFlags, halves},
};

use super::{ingress::begin, maps::OVERRIDE_HEADER, scratch::Scratch};

/// Answers that a core keeps; a power of two.
const KEPT: usize = 64;

/// An answer, and what it rests on beside the image: one cache line.
#[repr(C)]
pub(crate) struct Refused {
    client: [u8; 16],
    /// Categories of the destination, of which one at least is denied; 0:
    /// nothing is kept here.
    categories: u64,
    /// Until when the answer holds.
    until: u64,
    link: u32,
    epoch: u32,
    room: u32,
    group: u32,
    verdict: u8,
    reason: u8,
    category: u8,
    reserved: [u8; 13],
}

/// The answers of late.
pub(crate) type Answers = [Refused; KEPT];

/// Keeps the outcome in `s`, which the destination's categories alone gave.
#[inline(always)]
pub(crate) fn keep(s: &mut Scratch) {
    // What is blocked or granted by address just now says nothing about
    // other addresses of the same categories.
    match OVERRIDE_HEADER.get(0) {
        Some(header) if header.ranges == 0 => {}
        _ => return,
    }
    let place = place(s);
    s.refused[place] = Refused {
        client: s.meta.key.client,
        categories: s.range_mask,
        until: s.valid_until,
        link: s.meta.key.link,
        epoch: s.epoch,
        room: s.room,
        group: s.group,
        verdict: s.verdict,
        reason: s.reason,
        category: s.category,
        reserved: [0; 13],
    };
}

/// Gives a datagram the answer that its client got before; `false` where it
/// must be judged.
#[inline(always)]
pub(crate) fn again(s: &mut Scratch) -> bool {
    // Options may hold a source route, and queries are told apart.
    let plain = s.meta.flags & MetaFlags::IPV6 != 0 || s.meta.l4.wrapping_sub(s.meta.l3) == 20;
    if !plain || s.meta.key.server_port == 53 {
        return false;
    }
    let place = place(s);
    let kept = &s.refused[place];
    if kept.categories != s.range_mask
        || halves(&kept.client) != halves(&s.meta.key.client)
        || kept.link != s.meta.key.link
        || kept.epoch != s.epoch
        || s.now >= kept.until
    {
        return false;
    }
    if kept.verdict == Verdict::Reject as u8 {
        // The client is told by a program that starts with all of it.
        begin(s);
    }
    let kept = &s.refused[place];
    s.room = kept.room;
    s.group = kept.group;
    s.verdict = kept.verdict;
    s.reason = kept.reason;
    s.category = kept.category;
    s.protocol = Protocol::Udp as u8;
    s.name_len = 0;
    true
}

/// Where the answer to this client about these categories is kept.
#[inline(always)]
fn place(s: &Scratch) -> usize {
    let (_, client) = halves(&s.meta.key.client);
    // Fibonacci hashing (Knuth, The Art of Computer Programming 3, §6.4).
    let mixed = (client ^ s.range_mask).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 58) as usize & (KEPT - 1)
}
