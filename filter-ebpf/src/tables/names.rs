//! Host names: buckets of one cache line, eight entries each, two choices
//! (a cuckoo table with partial keys: Fan et al., "Cuckoo Filter:
//! Practically Better Than Bloom", 2014).
//!
//! An entry is `fingerprint << 16 | set`, the fingerprint being the lower 48
//! bits of the hash; 0 is a free entry. The first line follows from the
//! hash's upper 32 bits, and either line from the other and the fingerprint,
//! so that entries can be moved while the table is built.
//!
//! A name that is in no list is taken for one with probability at most
//! 16/2^48 (6e-14) per suffix.

use super::{Line, Lines, scale, word};

/// Entries of a line.
pub const SLOTS: u32 = 8;
const FINGERPRINT: u64 = (1 << 48) - 1;

/// The set of the name with this hash, 0 when it is not listed. `lines` is
/// the length of the table.
#[inline(always)]
pub fn lookup(table: &(impl Lines + ?Sized), lines: u32, hash: u64) -> u16 {
    let first = first(hash, lines);
    let key = entry(hash, 0);
    let found = match table.line(first) {
        Some(line) => find(line, key),
        None => return 0,
    };
    if found != 0 {
        return found;
    }
    match table.line(other(first, hash, lines)) {
        Some(line) => find(line, key),
        None => 0,
    }
}

/// The entry of a name with this hash.
#[inline(always)]
pub const fn entry(hash: u64, set: u16) -> u64 {
    (hash & FINGERPRINT) << 16 | set as u64
}

/// The first line where an entry may lie.
#[inline(always)]
pub fn first(hash: u64, lines: u32) -> u32 {
    scale((hash >> 32) as u32, lines)
}

/// The other line where an entry may lie: `other(other(l)) == l`. Only the
/// fingerprint of `hash` counts.
#[inline(always)]
pub fn other(line: u32, hash: u64, lines: u32) -> u32 {
    let mixed = (hash & FINGERPRINT).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let sum = scale((mixed >> 32) as u32, lines);
    if sum >= line {
        sum - line
    } else {
        sum.wrapping_sub(line).wrapping_add(lines)
    }
}

/// The set of the entry that matches `key`. At most one does, so the line is
/// read without a branch per entry.
#[inline(always)]
fn find(line: &Line, key: u64) -> u16 {
    let mut found = 0;
    let mut slot = 0;
    while slot < SLOTS {
        let difference = word(line, slot) ^ key;
        // All ones when the upper 48 bits agree, else zero.
        let same = (difference >> 16).wrapping_sub(1) >> 63;
        found |= difference & same.wrapping_neg();
        slot += 1;
    }
    found as u16
}
