//! Where the benchmark's random prefixes lie. The sender works them out anew
//! for each frame: to read them from a table would cost more than all that is
//! measured, and push what is measured out of the cache.
#![no_std]

/// From 1.0.0.0 to 223.255.255.255: multicast is never dropped.
const FIRST: u64 = 0x0100_0000;
const SPAN: u64 = 0xdf00_0000;

/// Addresses from one prefix's part to the next one's, of `count` prefixes.
#[must_use]
pub const fn step(count: u32) -> u32 {
    let count = if count == 0 { 1 } else { count as u64 };
    (SPAN / count) as u32
}

/// First address and mask of an IPv4 prefix of 24 to 32 bits, alone in its
/// part.
#[inline(always)]
#[must_use]
pub const fn prefix(number: u32, step: u32) -> (u32, u32) {
    let random = mix(number as u64 + 1);
    let shift = ((random >> 48) * 9) >> 16;
    let mask = u32::MAX << shift;
    let room = (step as u64).saturating_sub(256);
    let inside = ((random & 0xffff_ffff) * room) >> 32;
    let first = FIRST + number as u64 * step as u64 + 128 + inside;
    (first as u32 & mask, mask)
}

/// Mixes a number's bits (SplitMix64, Steele 2014).
#[inline(always)]
#[must_use]
pub const fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
