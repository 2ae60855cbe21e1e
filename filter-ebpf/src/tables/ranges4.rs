//! IPv4 ranges in two levels, as DXR does (Zec, Rizzo, Mikuc, "DXR: Towards
//! a Billion Routing Lookups per Second in Software", 2012): the upper 16
//! bits of an address lead to a piece of a sorted array, the lower ones are
//! searched there.
//!
//! **Root.** A line serves [`NETWORKS`] networks. The lower 32 bits of word 0
//! are the number of the line's first range, the upper ones a shift. The other
//! words hold, per network, where its ranges end: a 16-bit number to be shifted
//! and counted from the first. The shift is 0 unless the networks of a line
//! hold more than 65,535 ranges.
//!
//! **Ranges.** Sixteen to a line: sixteen first addresses (lower 16 bits), then
//! sixteen kinds. A range that covers several networks is there once per
//! network. Ranges of a network are sorted and disjoint.
//!
//! **Kinds.** What many ranges have in common, their length and set: two
//! halves of 16 bits, the last address counted from the first one and the set.
//! Sixteen kinds to a line. Lists are of few lengths, so this table is small
//! and in the cache.
//!
//! So a range costs 4 bytes, and the root 150 KB: each line is a place in
//! memory that, with many ranges, no cache holds.

use super::{Line, Lines, half, word};
use crate::bpf::touch;

/// Networks that share a line of the root.
pub const NETWORKS: u32 = 28;
/// Lines of the root.
pub const ROOT_LINES: u32 = (1u32 << 16).div_ceil(NETWORKS);
/// Ranges in a line.
pub const PER_LINE: u32 = 16;
/// Most ranges.
pub const MAX_RANGES: u32 = 1 << 30;
/// Most kinds.
pub const MAX_KINDS: u32 = 1 << 16;
/// Kinds in a line.
pub const KINDS_PER_LINE: u32 = 16;

/// The set of the range around `address` (host byte order), 0 for none.
#[inline(always)]
pub fn lookup(
    root: &(impl Lines + ?Sized),
    ranges: &(impl Lines + ?Sized),
    kinds: &(impl Lines + ?Sized),
    address: u32,
) -> u16 {
    let (group, position) = split::<NETWORKS>(address >> 16);
    let Some(head) = root.line(group) else {
        return 0;
    };
    let (mut low, mut count) = piece(head, position);
    if count == 0 {
        return 0;
    }
    // Mostly these are the two lines that the search needs; else it would
    // wait for one and then for the other.
    if let (Some(first), Some(last)) = (
        ranges.line(low / PER_LINE),
        ranges.line(low.wrapping_add(count).wrapping_sub(1) / PER_LINE),
    ) {
        touch(first);
        touch(last);
    }
    let key = u64::from(address & 0xffff);
    // The last range that starts at or before the key, or the first range.
    // A network has at most 2^16 ranges, so 17 turns always suffice.
    let mut turn = 0;
    while turn < 17 && count > 1 {
        let upper = count >> 1;
        let middle = low.wrapping_add(upper);
        let Some(line) = ranges.line(middle / PER_LINE) else {
            return 0;
        };
        let after = key.wrapping_sub(u64::from(half(line, middle % PER_LINE))) >> 63;
        low = low.wrapping_add(upper & (after as u32).wrapping_sub(1));
        count -= upper;
        turn += 1;
    }
    let Some(line) = ranges.line(low / PER_LINE) else {
        return 0;
    };
    let slot = low % PER_LINE;
    let inside = key.wrapping_sub(u64::from(half(line, slot)));
    let kind = u32::from(half(line, slot + PER_LINE));
    let Some(kinds) = kinds.line(kind / KINDS_PER_LINE) else {
        return 0;
    };
    let slot = kind % KINDS_PER_LINE * 2;
    if inside <= u64::from(half(kinds, slot)) {
        half(kinds, slot + 1)
    } else {
        0
    }
}

/// First range and number of ranges of one network of a root line.
#[inline(always)]
fn piece(head: &Line, position: u32) -> (u32, u32) {
    let shift = (word(head, 0) >> 32) as u32 & 31;
    let end = u32::from(half(head, position + 4));
    // In front of the first network lies the shift, which is no end.
    let start = if position == 0 {
        0
    } else {
        u32::from(half(head, position + 3))
    };
    let first = (word(head, 0) as u32).wrapping_add(start << shift);
    (first, end.wrapping_sub(start) << shift)
}

/// Quotient and remainder by a constant.
#[inline(always)]
fn split<const N: u32>(number: u32) -> (u32, u32) {
    // LLVM for BPF would divide. Exact below 2^30.
    let quotient = ((u64::from(number) * u64::from(u32::MAX / N + 1)) >> 32) as u32;
    (quotient, number.wrapping_sub(quotient.wrapping_mul(N)))
}
