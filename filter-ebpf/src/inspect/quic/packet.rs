//! Removing header protection (RFC 9001 §5.4) and reading the payload
//! (§5.3): AES-128-GCM is AES-CTR from counter 2 (NIST SP 800-38D §7.1).

use core::ops::ControlFlow;

use super::{Next, QuicHello, Scratch, Seen, Stage, aes};
use crate::bpf::{Step, repeat};

const TAG: u32 = 16;
/// Blocks of the longest payload.
const BLOCKS: u32 = (super::CHUNK / 16) as u32;

/// Reads the present packet under `scratch.keys` into `scratch.plain`.
#[inline(always)]
pub(super) fn decrypt(scratch: &mut Scratch, hello: &QuicHello) {
    let sample_at = scratch.number_at.wrapping_add(4);
    let sample = block(
        scratch.datagram.load(sample_at),
        scratch.datagram.load(sample_at.wrapping_add(8)),
    );
    let mask = aes::encrypt(&scratch.keys.header, sample);
    // The first byte of a long header carries four protected bits.
    let first = scratch.datagram.load(scratch.first_at) as u8 ^ ((mask[0] >> 24) as u8 & 0x0f);
    let number_len = u32::from(first & 3).wrapping_add(1);
    let masked = scratch.datagram.load(scratch.number_at).swap_bytes() >> 32;
    let masked = masked as u32 ^ (mask[0] << 8 | mask[1] >> 24);
    let truncated = masked >> (32_u32.wrapping_sub(number_len << 3) & 31);

    let payload_at = scratch.number_at.wrapping_add(number_len);
    let taken = payload_at.wrapping_add(TAG);
    let reserved_bits = first & 0x0c;
    if reserved_bits != 0 || taken >= scratch.end {
        scratch.plain_len = 0;
        scratch.next = Next::FRAMES;
        return;
    }
    scratch.plain_len = scratch.end.wrapping_sub(taken);
    let expected = if scratch.stage == Stage::SAME || scratch.stage == Stage::KEPT {
        hello.next_number
    } else {
        0
    };
    scratch.number = full_number(truncated, number_len, expected);
    scratch.payload_at = payload_at;
    scratch.block = 0;
    repeat(BLOCKS, &mut Turn(scratch));
    scratch.next = Next::FRAMES;
}

/// RFC 9000 appendix A.3. `expected` is the number after the highest seen.
#[inline(always)]
fn full_number(truncated: u32, bytes: u32, expected: u64) -> u64 {
    let window = 1_u64 << (bytes << 3 & 63);
    let half = window >> 1;
    let candidate = (expected & !window.wrapping_sub(1)) | u64::from(truncated);
    if candidate.wrapping_add(half) <= expected && candidate < (1 << 62) - window {
        candidate.wrapping_add(window)
    } else if candidate > expected.wrapping_add(half) && candidate >= window {
        candidate.wrapping_sub(window)
    } else {
        candidate
    }
}

/// Sixteen bytes in memory order as four big-endian words.
#[inline(always)]
fn block(low: u64, high: u64) -> [u32; 4] {
    let (low, high) = (low.swap_bytes(), high.swap_bytes());
    [
        (low >> 32) as u32,
        low as u32,
        (high >> 32) as u32,
        high as u32,
    ]
}

struct Turn<'a>(&'a mut Scratch);

impl Step for Turn<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        let scratch = &mut *self.0;
        let turn = scratch.block;
        let to = turn << 4;
        if to >= scratch.plain_len {
            return ControlFlow::Break(());
        }
        scratch.block = turn.wrapping_add(1);
        let counter = [
            scratch.keys.iv[0],
            scratch.keys.iv[1] ^ (scratch.number >> 32) as u32,
            scratch.keys.iv[2] ^ scratch.number as u32,
            turn.wrapping_add(2),
        ];
        let stream = aes::encrypt(&scratch.keys.packet, counter);
        let low = (u64::from(stream[0]) << 32 | u64::from(stream[1])).swap_bytes();
        let high = (u64::from(stream[2]) << 32 | u64::from(stream[3])).swap_bytes();
        let from = scratch.payload_at.wrapping_add(to);
        let low = scratch.datagram.load(from) ^ low;
        let high = scratch.datagram.load(from.wrapping_add(8)) ^ high;
        scratch.plain.store(to, low);
        scratch.plain.store(to.wrapping_add(8), high);
        ControlFlow::Continue(())
    }
}

/// Notes that the present packet reads under no keys.
#[inline(always)]
pub(super) fn junk(scratch: &mut Scratch) {
    scratch.seen |= Seen::JUNK;
    scratch.next = Next::HEADER;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9000 appendix A.3's example, and the edges.
    #[test]
    fn packet_numbers() {
        assert_eq!(full_number(0x9b32, 2, 0xa82f_30eb), 0xa82f_9b32);
        assert_eq!(full_number(7, 1, 0), 7);
        assert_eq!(full_number(255, 1, 0), 255);
        assert_eq!(full_number(0, 1, 256), 256);
        assert_eq!(full_number(0xff, 1, 256), 255);
    }
}
