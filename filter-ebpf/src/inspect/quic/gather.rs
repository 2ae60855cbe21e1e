//! CRYPTO data, gathered by offset (RFC 9000 §19.6).

use core::ops::ControlFlow;

use super::{CHUNK, Next, QuicHello, Scratch, Seen, buffer::put, frames::Crypto};
use crate::{
    abi::Reason,
    bpf::{Step, opaque, repeat},
};

/// Eights that a turn of the copy takes: calls between turns cost as much as
/// an eight.
const EIGHTS: u32 = 4;
/// Turns of the copy: a buffer of eights, and the end of every frame.
const TURNS: u32 = CHUNK as u32 / 8 / EIGHTS + 2 * super::FRAMES as u32;
/// Bytes before a handshake message's body (RFC 8446 §4).
const HANDSHAKE_HEADER: u32 = 4;
const CLIENT_HELLO: u64 = 1;

/// Copies the present packet's CRYPTO data into the hello's buffer.
#[inline(always)]
pub(super) fn gather(scratch: &mut Scratch, hello: &mut QuicHello) {
    scratch.seen |= Seen::INITIAL;
    scratch.next = Next::HEADER;
    put(&mut scratch.frame, 0);
    put(&mut scratch.position, 0);
    if scratch.frames_len == 0 {
        return;
    }
    repeat(
        TURNS,
        &mut Copy {
            scratch: &mut *scratch,
            hello: &mut *hello,
        },
    );
    if scratch.next == Next::FAIL {
        return;
    }
    if scratch.frame < scratch.frames_len {
        scratch.fail(Reason::QuicRefused);
        return;
    }
    repeat((CHUNK / 64) as u32 + 1, &mut Prefix(&mut *hello));
    if let Err(reason) = measure(scratch, hello) {
        scratch.fail(reason);
    }
}

/// Reads the ClientHello's length once it is there, and whether all of it is.
#[inline(always)]
fn measure(scratch: &mut Scratch, hello: &mut QuicHello) -> Result<(), Reason> {
    if hello.complete != 0 && hello.prefix > hello.total {
        hello.begin = hello.total;
        hello.complete = 0;
    }
    if hello.complete != 0 || hello.prefix < hello.begin.wrapping_add(HANDSHAKE_HEADER) {
        return Ok(());
    }
    let header = hello.buffer.load(hello.begin);
    if header & 0xff != CLIENT_HELLO {
        return Err(Reason::Malformed);
    }
    let body = (header.swap_bytes() >> 32) as u32 & 0x00ff_ffff;
    let total = hello
        .begin
        .wrapping_add(HANDSHAKE_HEADER)
        .wrapping_add(body);
    if total > CHUNK as u32 {
        return Err(Reason::HelloTooLong);
    }
    hello.total = total;
    if hello.prefix >= total {
        hello.complete = 1;
        // What follows it answers a server that saw it.
        if hello.prefix > total {
            return Err(Reason::Malformed);
        }
        scratch.seen |= Seen::COMPLETE;
    }
    Ok(())
}

struct Copy<'a> {
    scratch: &'a mut Scratch,
    hello: &'a mut QuicHello,
}

impl Copy<'_> {
    /// Checks the present frame's place before its first byte is copied;
    /// false: nothing of it is.
    #[inline(always)]
    fn place(&mut self, frame: &Crypto) -> bool {
        let end = u64::from(frame.offset).wrapping_add(u64::from(frame.len));
        let complete = self.hello.complete != 0;
        if complete && end > u64::from(self.hello.total) {
            self.hello.pinned = 1;
        }
        if end > CHUNK as u64 {
            self.scratch.fail(Reason::HelloTooLong);
        }
        end <= CHUNK as u64
    }

    /// Up to eight bytes of the present frame; false on other content.
    #[inline(always)]
    fn eight(&mut self, frame: &Crypto) -> bool {
        let position = self.scratch.position;
        let left = frame.len.wrapping_sub(position);
        let count = if left > 8 { 8 } else { left };
        self.scratch.position = position.wrapping_add(count);
        let to = frame.offset.wrapping_add(position);
        let new = self.scratch.plain.load(frame.at.wrapping_add(position));
        let old = self.hello.buffer.load(to);

        let want = (1_u32 << (count & 15)).wrapping_sub(1);
        let bit = to & 7;
        let at = opaque(u64::from(to >> 3)) as usize & (CHUNK / 8 - 1);
        let there = u32::from(self.hello.bitmap[at]) | u32::from(self.hello.bitmap[at + 1]) << 8;
        let both = there >> bit & want;
        if both != 0 && (old ^ new) & spread(both) != 0 {
            return false;
        }
        let there = there | want << bit;
        self.hello.bitmap[at] = there as u8;
        self.hello.bitmap[at + 1] = (there >> 8) as u8;
        let value = if count == 8 {
            new
        } else {
            let mask = (1_u64 << (count << 3 & 63)).wrapping_sub(1);
            old & !mask | new & mask
        };
        self.hello.buffer.store(to, value);
        true
    }
}

/// Eight bits to eight bytes of all ones or zeroes, the lowest first.
#[inline(always)]
fn spread(bits: u32) -> u64 {
    let picked = u64::from(bits & 0xff).wrapping_mul(0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
    let high = (picked & 0x7f7f_7f7f_7f7f_7f7f).wrapping_add(0x7f7f_7f7f_7f7f_7f7f) | picked;
    (high >> 7 & 0x0101_0101_0101_0101).wrapping_mul(0xff)
}

impl Step for Copy<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        let index = self.scratch.frame;
        if index >= self.scratch.frames_len {
            return ControlFlow::Break(());
        }
        let frame = Crypto::of(self.scratch, index);
        let placed = self.scratch.position != 0 || self.place(&frame);
        if !placed || self.scratch.position >= frame.len {
            self.scratch.frame = index.wrapping_add(1);
            self.scratch.position = 0;
            return if self.scratch.next == Next::FAIL {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            };
        }
        for _ in 0..EIGHTS {
            if self.scratch.position < frame.len && !self.eight(&frame) {
                self.scratch.fail(Reason::Conflict);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

/// Moves `prefix` over what is there, up to 64 bytes a turn.
struct Prefix<'a>(&'a mut QuicHello);

impl Step for Prefix<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        let hello = &mut *self.0;
        let prefix = hello.prefix;
        if prefix >= CHUNK as u32 {
            return ControlFlow::Break(());
        }
        let at = opaque(u64::from(prefix >> 3)) as usize & (CHUNK / 8 - 8);
        let mut word = 0_u64;
        for i in 0..8 {
            word |= u64::from(hello.bitmap[at + i]) << (8 * i);
        }
        let missing = !word;
        if missing == 0 {
            hello.prefix = (prefix & !63).wrapping_add(64);
            return ControlFlow::Continue(());
        }
        // Below the lowest missing bit all are there.
        let below = (missing & missing.wrapping_neg()).wrapping_sub(1);
        hello.prefix = (prefix & !63).wrapping_add(below.count_ones());
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_spread_to_bytes() {
        for bits in 0..=255_u32 {
            let mut want = 0;
            for i in 0..8 {
                if bits >> i & 1 == 1 {
                    want |= 0xff << (8 * i);
                }
            }
            assert_eq!(spread(bits), want, "{bits:08b}");
        }
    }
}
