//! The most recent entries by connection, in sets of eight.
//!
//! A keyed hash of the connection chooses the set. One cache line holds its
//! tags: a fingerprint of each entry's connection in the upper 32 bits, a
//! stamp in the lower ones that grows with time, 0 for a free place. A new
//! entry takes a free place, or that of the oldest stamp. So memory is
//! bounded, nothing is linked and nothing locked, a look-up reads two places
//! in memory, and to push a given entry out takes as many newer ones as the
//! table has places, about: nobody who does not know the secret can aim.
//!
//! A hash that keeps the order of use exactly (the kernel's LRU map) reads
//! four places for a look-up and some more for an insertion.

use super::Line;
use crate::abi::FlowKey;

/// Entries of a set.
pub const WAYS: u32 = 8;

/// Hash of a connection under two secret words.
///
/// Words of 32 bits are mixed into the lower half only: a difference in the
/// uppermost bits of a 64-bit one would pass the multiplication unmixed,
/// whatever the secret is, and another word could take it out again.
#[inline(always)]
pub fn hash(key: &FlowKey, secret: [u64; 2]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    const L: u64 = 0xd134_2543_de82_ef95;
    let words = words(key);
    // Two chains, which a processor works on at the same time.
    let [mut a, mut b] = secret;
    let mut i = 0;
    while i < 5 {
        a = (a ^ u64::from(words[2 * i])).wrapping_mul(K);
        b = (b ^ u64::from(words[2 * i + 1])).wrapping_mul(L);
        a ^= a >> 29;
        b ^= b >> 31;
        i += 1;
    }
    a = (a ^ u64::from(words[10])).wrapping_mul(K);
    let mixed = (a ^ a >> 32 ^ b.rotate_left(32)).wrapping_mul(L);
    mixed ^ mixed >> 32
}

/// Whether two keys are the same, without a branch for each of their words.
#[inline(always)]
pub fn same(a: &FlowKey, b: &FlowKey) -> bool {
    let (a, b) = (words(a), words(b));
    let mut difference = 0;
    let mut i = 0;
    while i < 11 {
        difference |= a[i] ^ b[i];
        i += 1;
    }
    difference == 0
}

#[inline(always)]
fn words(key: &FlowKey) -> &[u32; 11] {
    const { assert!(size_of::<FlowKey>() == 44 && align_of::<FlowKey>() == 4) };
    // SAFETY: a FlowKey is 44 bytes without padding, aligned to 4.
    unsafe { &*(&raw const *key).cast() }
}

/// What tells the connections of a set apart; never 0.
#[inline(always)]
pub fn fingerprint(hash: u64) -> u32 {
    hash as u32 | 1
}

/// The tag of an entry.
#[inline(always)]
pub fn tag(fingerprint: u32, stamp: u32) -> u64 {
    u64::from(fingerprint) << 32 | u64::from(stamp)
}

/// Where the entry with this fingerprint may lie, [`WAYS`] where it does not.
#[inline(always)]
pub fn find(tags: &Line, fingerprint: u32) -> u32 {
    let mut found = WAYS;
    let mut way = 0;
    while way < WAYS {
        if (tags[way as usize] >> 32) as u32 == fingerprint {
            found = way;
        }
        way += 1;
    }
    found
}

/// Where a new entry goes: to the place of the same fingerprint (two of them
/// could not be told apart), to a free one, or to the oldest; among equally
/// old ones the hash chooses.
#[inline(always)]
pub fn place(tags: &Line, hash: u64, stamp: u32) -> u32 {
    let print = fingerprint(hash);
    let mut best = 0;
    let mut found = 0;
    let mut way = 0;
    while way < WAYS {
        let tag = tags[way as usize];
        let age = if (tag >> 32) as u32 == print {
            2 << 32
        } else if tag == 0 {
            1 << 32
        } else {
            // Stamps may run over.
            u64::from(stamp.wrapping_sub(tag as u32))
        };
        let turn = (hash >> 1) as u32;
        let rank = age << 3 | u64::from(way.wrapping_add(turn) & 7);
        if rank >= best {
            best = rank;
            found = way;
        }
        way += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    fn key(number: u32) -> FlowKey {
        FlowKey {
            client_port: number as u16,
            link: number >> 16,
            protocol: 6,
            ..FlowKey::default()
        }
    }

    /// A set beside a list that is kept in order of use, also where stamps
    /// run over.
    #[test]
    fn the_oldest_goes_first() {
        for start in [0u32, u32::MAX - 9_000] {
            let mut tags = Line::default();
            let mut kept: Vec<u32> = Vec::new();
            let mut state = 1u32;
            for turn in 0..20_000u32 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let hash = u64::from((state >> 16) % 24 * 2 + 1);
                let (print, stamp) = (fingerprint(hash), turn.wrapping_add(start));
                let found = find(&tags, print);
                assert_eq!(found < WAYS, kept.contains(&print), "turn {turn}");
                let way = place(&tags, hash, stamp);
                if found < WAYS {
                    assert_eq!(way, found, "no second one of the same fingerprint");
                }
                tags[way as usize] = tag(print, stamp);
                kept.retain(|other| *other != print);
                if kept.len() == WAYS as usize {
                    kept.remove(0);
                }
                kept.push(print);
            }
        }
    }

    #[test]
    fn a_free_place_goes_before_the_oldest() {
        for stamp in [0, 1, u32::MAX] {
            let mut tags = [tag(3, 0); 8];
            tags[5] = 0;
            assert_eq!(place(&tags, 9, stamp), 5);
        }
    }

    /// Of equally old ones none is safe, and none the only one to go.
    #[test]
    fn equally_old_ones_go_by_chance() {
        let tags: Line = core::array::from_fn(|way| tag(way as u32 * 2 + 101, 7));
        let mut gone = [0; 8];
        for number in 0..8_000 {
            gone[place(&tags, hash(&key(number), [3, 4]), 7) as usize] += 1;
        }
        assert!(
            gone.iter().all(|count| (800..1200).contains(count)),
            "{gone:?}"
        );
    }

    /// Neighbouring ports and addresses spread over sets like chance.
    #[test]
    fn connections_spread() {
        const SETS: usize = 1 << 12;
        for bits in [52, 32] {
            let mut load = vec![0u32; SETS];
            for number in 0..SETS as u32 * 4 {
                let hash = hash(&key(number), [5, 77]);
                load[(hash >> bits) as usize & (SETS - 1)] += 1;
            }
            // Poisson with a mean of 4: more than 17 of 4,096 sets have a
            // chance of one in a thousand.
            let most = load.iter().max().copied().unwrap_or_default();
            assert!(most < 18, "{most} in one set");
            let empty = load.iter().filter(|load| **load == 0).count();
            assert!((30..130).contains(&empty), "{empty} empty sets");
        }
    }

    /// Each of a key's bits changes about half of the hash's.
    #[test]
    fn every_bit_counts() {
        let base = hash(&key(7), [1, 2]);
        for word in 0..11 {
            for bit in 0..32 {
                let mut words = *words(&key(7));
                words[word] ^= 1 << bit;
                // SAFETY: eleven words are a key.
                let other = unsafe { core::mem::transmute::<[u32; 11], FlowKey>(words) };
                assert!(!same(&other, &key(7)));
                let changed = (hash(&other, [1, 2]) ^ base).count_ones();
                assert!((12..52).contains(&changed), "{word}.{bit}: {changed}");
            }
        }
        assert!(same(&key(7), &key(7)));
    }
}
