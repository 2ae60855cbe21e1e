//! IPv6 ranges: a static search tree over the upper 64 bits; the lower 64
//! bits only where a range begins or ends inside a /64 network.
//!
//! **Tree.** The keys are the upper halves at which the answer changes, the
//! first being 0. A line holds eight sorted keys; the children of line *n*
//! are the lines 9*n* + 1 to 9*n* + 9, the first left of the first key.
//! Free keys at the end are `u64::MAX` and repeat the last value.
//!
//! **Values.** 16 to a line, by the key's position (line * 8 + slot): a set,
//! or [`SPLIT`] and a line of the third table.
//!
//! **Lower.** A split /64 network has one or more lines: words 0 to 5 are
//! sorted lower halves at which the answer changes, the first being 0; words
//! 6 and 7 hold their six sets and, in the first line, the number of lines
//! as two 16-bit halves. Free keys repeat the last key and its set.

use core::ops::ControlFlow;

use super::{Lines, below, half, word};
use crate::bpf::{Step, opaque, repeat};

/// Marks a value that leads to the third table.
pub const SPLIT: u32 = 1 << 31;
/// Keys in a line of the tree.
pub const KEYS: u32 = 8;
/// Keys in a line of the third table.
pub const LOWER_KEYS: u32 = 6;
/// Most lines of the tree: nine levels.
pub const MAX_TREE: u32 = (9u32.pow(9) - 1) / 8;

/// The set of the range around the address, 0 for none. `upper` and `lower`
/// are the halves of the address in host byte order.
#[inline(always)]
pub fn lookup(
    tree: &(impl Lines + ?Sized),
    values: &(impl Lines + ?Sized),
    lowers: &(impl Lines + ?Sized),
    upper: u64,
    lower: u64,
) -> u16 {
    let mut node = 0u32;
    let mut best = 0u32;
    let mut level = 0;
    while level < 9 {
        let Some(line) = tree.line(node) else {
            break;
        };
        let mut count = 0;
        let mut slot = 0;
        while slot < KEYS {
            count += 1 ^ below(upper, word(line, slot));
            slot += 1;
        }
        // Nothing at or before the key: what was found above stays. A factor
        // that LLVM does not know, or it would make a branch of this, and the
        // verifier go both ways on each level.
        let here = node.wrapping_mul(KEYS).wrapping_add(count).wrapping_sub(1);
        let any = opaque(u64::from(count.wrapping_add(KEYS - 1) >> KEYS.ilog2())) as u32;
        best = best.wrapping_add(here.wrapping_sub(best).wrapping_mul(any));
        node = node.wrapping_mul(KEYS + 1).wrapping_add(count + 1);
        level += 1;
    }
    let Some(line) = values.line(best >> 4) else {
        return 0;
    };
    let value = (word(line, (best & 15) >> 1) >> ((best & 1) * 32)) as u32;
    if value & SPLIT == 0 {
        return value as u16;
    }
    split(lowers, value ^ SPLIT, lower)
}

/// The set inside a /64 network that is not of one piece.
#[inline(always)]
fn split(lowers: &(impl Lines + ?Sized), first: u32, lower: u64) -> u16 {
    let Some(head) = lowers.line(first) else {
        return 0;
    };
    let count = u32::from(half(head, 30)) | u32::from(half(head, 31)) << 16;
    let mut search = Search {
        lowers,
        first,
        count,
        lower,
    };
    repeat(32, &mut search);
    let Some(line) = lowers.line(search.first) else {
        return 0;
    };
    let mut slot = 0;
    let mut key = 1;
    while key < LOWER_KEYS {
        slot += 1 ^ below(lower, word(line, key));
        key += 1;
    }
    half(line, 6 * 4 + slot)
}

/// The search for the last line that starts at or before the key.
struct Search<'a, L: ?Sized> {
    lowers: &'a L,
    first: u32,
    count: u32,
    lower: u64,
}

impl<L: Lines + ?Sized> Step for Search<'_, L> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        if self.count <= 1 {
            return ControlFlow::Break(());
        }
        let upper = self.count >> 1;
        let Some(line) = self.lowers.line(self.first.wrapping_add(upper)) else {
            return ControlFlow::Break(());
        };
        let before = 1 ^ below(self.lower, word(line, 0));
        self.first = self.first.wrapping_add(upper & before.wrapping_neg());
        self.count -= upper;
        ControlFlow::Continue(())
    }
}
