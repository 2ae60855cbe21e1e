//! Removing header protection (RFC 9001 §5.4) and reading the payload
//! (§5.3): AES-128-GCM is AES-CTR from counter 2 (NIST SP 800-38D §7.1).

use core::ops::ControlFlow;

use super::{Next, QuicHello, Scratch, Seen, Stage, aes, buffer::put};
use crate::bpf::{Step, repeat};

const TAG: u32 = 16;
/// Blocks of the longest payload.
const BLOCKS: u32 = (super::CHUNK / 16) as u32;

/// Reads the present packet under `scratch.keys` into `scratch.plain`; an
/// empty one says that it cannot be read.
#[inline(always)]
pub(super) fn decrypt(scratch: &mut Scratch, hello: &QuicHello) {
    put(&mut scratch.plain_len, 0);
    put(&mut scratch.block, 0);
    scratch.expected = if scratch.stage == Stage::SAME || scratch.stage == Stage::KEPT {
        hello.next_number
    } else {
        0
    };
    repeat(BLOCKS + 1, &mut Turn(scratch));
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

/// One block of the cipher: first the mask of the header, then the payload.
struct Turn<'a>(&'a mut Scratch);

impl Turn<'_> {
    #[inline(always)]
    fn sample(&self) -> [u32; 4] {
        let at = self.0.number_at.wrapping_add(4);
        block(
            self.0.datagram.load(at),
            self.0.datagram.load(at.wrapping_add(8)),
        )
    }

    #[inline(always)]
    fn counter(&self) -> [u32; 4] {
        let keys = &self.0.keys;
        [
            keys.iv[0],
            keys.iv[1] ^ (self.0.number >> 32) as u32,
            keys.iv[2] ^ self.0.number as u32,
            // The payload's first block has number 1 here, counter 2 there.
            self.0.block.wrapping_add(1),
        ]
    }

    /// Reads the packet number and where the payload starts and ends.
    #[inline(always)]
    fn unmask(&mut self, mask: [u32; 4]) {
        let scratch = &mut *self.0;
        // The first byte of a long header has four protected bits.
        let first = scratch.datagram.load(scratch.first_at) as u8 ^ ((mask[0] >> 24) as u8 & 0x0f);
        let number_len = u32::from(first & 3).wrapping_add(1);
        let number = (scratch.datagram.load(scratch.number_at).swap_bytes() >> 32) as u32;
        let number = number ^ (mask[0] << 8 | mask[1] >> 24);
        let number = number >> (32_u32.wrapping_sub(number_len << 3) & 31);
        scratch.number = full_number(number, number_len, scratch.expected);
        scratch.payload_at = scratch.number_at.wrapping_add(number_len);
        let taken = scratch.payload_at.wrapping_add(TAG);
        let reserved_bits = first & 0x0c;
        if reserved_bits == 0 && taken < scratch.end {
            scratch.plain_len = scratch.end.wrapping_sub(taken);
        }
    }
}

impl Step for Turn<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        let turn = self.0.block;
        let to = turn.wrapping_sub(1) << 4;
        if turn != 0 && to >= self.0.plain_len {
            return ControlFlow::Break(());
        }
        let (keys, input) = if turn == 0 {
            (&self.0.keys.header, self.sample())
        } else {
            (&self.0.keys.packet, self.counter())
        };
        // A new key, or a counter that differs in more than its last byte.
        if turn <= 1 || input[3] & 0xff == 0 {
            self.0.ahead = aes::ahead(keys, input);
        }
        let stream = aes::finish(keys, &self.0.ahead, input[3]);
        self.0.block = turn.wrapping_add(1);
        if turn == 0 {
            self.unmask(stream);
            return ControlFlow::Continue(());
        }
        let scratch = &mut *self.0;
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
