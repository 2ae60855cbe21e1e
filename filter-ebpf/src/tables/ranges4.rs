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
//! **Ranges.** Ten to a line: ten first addresses (lower 16 bits), ten last
//! ones, ten sets. A range that covers several networks is there once per
//! network. Ranges of a network are sorted and disjoint.
//!
//! So a range costs 6.4 bytes, and the root 150 KB. With many ranges the
//! networks are smaller, /18 instead of /16, and the root 600 KB: a search then
//! seldom leaves the line that it begins in, and each line is a place in memory
//! that no cache holds.

use super::{Line, Lines, half, word};

/// Networks that share a line of the root.
pub const NETWORKS: u32 = 28;
/// Ranges in a line.
pub const PER_LINE: u32 = 10;
/// Most ranges: up to here the division by a multiplication is exact.
pub const MAX_RANGES: u32 = 1 << 30;

/// Upper bits of an address that tell its network, for so many ranges: fewer
/// of them or more must not make the root a large part of the table.
pub const fn bits(ranges: usize) -> u32 {
    if ranges < 1 << 18 { FEW } else { MANY }
}

const FEW: u32 = 16;
const MANY: u32 = 18;

/// Lines of the root of a table with such networks.
pub const fn root_lines(bits: u32) -> u32 {
    (1u32 << bits).div_ceil(NETWORKS)
}

/// The set of the range around `address` (host byte order), 0 for none.
/// `lines` is the length of the root.
#[inline(always)]
pub fn lookup(
    root: &(impl Lines + ?Sized),
    lines: u32,
    ranges: &(impl Lines + ?Sized),
    address: u32,
) -> u16 {
    let bits = if lines > root_lines(FEW) { MANY } else { FEW };
    let (group, position) = split::<NETWORKS>(address >> (32 - bits));
    let Some(head) = root.line(group) else {
        return 0;
    };
    let (mut low, mut count) = piece(head, position);
    if count == 0 {
        return 0;
    }
    let key = u64::from(address & 0xffff);
    // The last range that starts at or before the key, or the first range.
    // A network has at most 2^16 ranges, so 17 turns always suffice.
    let mut turn = 0;
    while turn < 17 && count > 1 {
        let upper = count >> 1;
        let Some((line, slot)) = range(ranges, low.wrapping_add(upper)) else {
            return 0;
        };
        let after = key.wrapping_sub(u64::from(half(line, slot))) >> 63;
        low = low.wrapping_add(upper & (after as u32).wrapping_sub(1));
        count -= upper;
        turn += 1;
    }
    let Some((line, slot)) = range(ranges, low) else {
        return 0;
    };
    let inside =
        u64::from(half(line, slot)) <= key && key <= u64::from(half(line, slot + PER_LINE));
    if inside {
        half(line, slot + 2 * PER_LINE)
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

#[inline(always)]
fn range(ranges: &(impl Lines + ?Sized), number: u32) -> Option<(&Line, u32)> {
    let (line, slot) = split::<PER_LINE>(number);
    Some((ranges.line(line)?, slot))
}

/// Quotient and remainder by a constant.
#[inline(always)]
fn split<const N: u32>(number: u32) -> (u32, u32) {
    // LLVM for BPF would divide. Exact below 2^30 for the two divisors.
    let quotient = ((u64::from(number) * u64::from(u32::MAX / N + 1)) >> 32) as u32;
    (quotient, number.wrapping_sub(quotient.wrapping_mul(N)))
}
