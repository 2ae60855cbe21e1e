//! The keyed hash of host names, computed from the right, so that every
//! label boundary on the way gives the hash of a suffix.
//!
//! Each byte is mixed in by a multiplication with a secret odd number and a
//! shift: both are reversible, so two names of which one was chosen to
//! collide would have to cancel a difference that nobody outside knows. The
//! keys must be random: under a multiplier like 1/25 modulo 2^64 two letters
//! are enough. A plain polynomial would not do: modulo 2^64 it collides for
//! Thue-Morse words under every key. What remains is chance: n names collide
//! somewhere with probability n²/2^65, that is 7e-7 for five million.

use core::ops::ControlFlow;

use crate::abi::{NAME_MAX, SUFFIXES, Secret};
use crate::bpf::{self, Step, opaque};

/// The hashes of a name in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameHash {
    /// Of the entry "this host and everything below".
    pub subtree: u64,
    /// Of the entry "this host only".
    pub exact: u64,
    /// Of another, independent hash: tells colliding names apart while a
    /// table is built.
    pub check: u32,
}

/// Hashes a name of a list: lower case, no trailing dot.
pub fn listed(secret: &Secret, name: &[u8]) -> NameHash {
    let mut state = begin(secret);
    let mut check = secret.name[3] | 1;
    for &byte in name.iter().rev() {
        state = absorb(secret, state, byte);
        check = (check ^ u64::from(byte)).wrapping_mul(CHECK);
    }
    NameHash {
        subtree: subtree(secret, state),
        exact: exact(secret, state),
        check: (check >> 32) as u32,
    }
}

/// The hashes of a name in a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Suffixes {
    /// Subtree hashes of the name's suffixes, the shortest first.
    pub subtree: [u64; SUFFIXES],

    /// Hash of the whole name as an exact entry; 0 without a name.
    pub exact: u64,
    /// Suffixes in use; deeper labels than [`SUFFIXES`] are left out.
    pub len: u32,
    /// The walk's state: bytes still to come, and what the others gave. Here
    /// the verifier knows nothing of them; on the stack it would follow each
    /// value of `at` by itself.
    at: u32,
    state: u64,
}

/// Hashes the first `len` bytes of a name: lower case, no trailing dot.
#[inline(always)]
pub fn suffixes(secret: &Secret, name: &[u8; NAME_MAX], len: u32, out: &mut Suffixes) {
    out.len = 0;
    out.exact = 0;
    if len == 0 {
        return;
    }
    let len = len.min(NAME_MAX as u32);
    out.at = len;
    out.state = begin(secret);
    let mut walk = Walk { secret, name, out };
    bpf::repeat(NAME_MAX as u32 / BYTES, &mut walk);
    let state = walk.out.state;
    walk.push(state);
    out.exact = exact(secret, state);
}

/// Bytes that a step takes: a call between steps costs as much as two.
const BYTES: u32 = 4;

struct Walk<'a> {
    secret: &'a Secret,
    name: &'a [u8; NAME_MAX],
    out: &'a mut Suffixes,
}

impl Walk<'_> {
    #[inline(always)]
    fn push(&mut self, state: u64) {
        let slot = opaque(u64::from(self.out.len));
        if slot < SUFFIXES as u64 {
            self.out.subtree[slot as usize] = subtree(self.secret, state);
            self.out.len = slot as u32 + 1;
        }
    }
}

impl Step for Walk<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        let (mut at, mut state) = (self.out.at, self.out.state);
        for _ in 0..BYTES {
            if at == 0 {
                break;
            }
            at = at.wrapping_sub(1);
            let byte = self.name[opaque(u64::from(at)) as usize & (NAME_MAX - 1)];
            if byte == b'.' {
                self.push(state);
            }
            state = absorb(self.secret, state, byte);
        }
        (self.out.at, self.out.state) = (at, state);
        if at == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// An odd number without pattern: the golden ratio's fraction.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Multiplier of the check hash (L'Ecuyer's table of good multipliers).
const CHECK: u64 = 0xd134_2543_de82_ef95;

#[inline(always)]
fn begin(secret: &Secret) -> u64 {
    secret.name[2]
}

#[inline(always)]
fn absorb(secret: &Secret, state: u64, byte: u8) -> u64 {
    let mixed = (state ^ u64::from(byte)).wrapping_mul(secret.name[0]);
    mixed ^ mixed >> 29
}

#[inline(always)]
fn subtree(secret: &Secret, state: u64) -> u64 {
    finish(secret, state ^ secret.name[3])
}

#[inline(always)]
fn exact(secret: &Secret, state: u64) -> u64 {
    finish(secret, state ^ secret.name[3].rotate_left(32) ^ GOLDEN)
}

#[inline(always)]
fn finish(secret: &Secret, state: u64) -> u64 {
    let mixed = (state ^ state >> 32).wrapping_mul(secret.name[1]);
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(GOLDEN);
    mixed ^ mixed >> 32
}
