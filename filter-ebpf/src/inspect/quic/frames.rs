//! The frames of an Initial packet (RFC 9000 §12.4, §19): first a walk to
//! the end, which tells whether the keys were right, then the choice of what
//! to do about the packet.

use core::ops::ControlFlow;

use super::{
    CHUNK, FRAMES, Next, QuicHello, Scratch, Stage,
    buffer::{copy, fill, put},
    header::{Version, varint},
    keys::Side,
    packet::junk,
};
use crate::{
    abi::Reason,
    bpf::{Step, opaque, repeat},
};

/// Turns of the walk: every byte of a datagram of the largest usual MTU.
const TURNS: u32 = 2048;

const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
const ACK: u8 = 0x02;
const ACK_ECN: u8 = 0x03;
const CRYPTO: u8 = 0x06;
const CONNECTION_CLOSE: u8 = 0x1c;

/// A frame's data as kept in [`Scratch::frames`].
pub(super) struct Crypto {
    pub(super) offset: u32,
    pub(super) at: u32,
    pub(super) len: u32,
}

impl Crypto {
    #[inline(always)]
    pub(super) fn of(scratch: &Scratch, index: u32) -> Self {
        let index = opaque(u64::from(index)) as usize & (FRAMES - 1);
        let packed = scratch.frames[index];
        Self {
            offset: (packed >> 32) as u32,
            at: (packed >> 16) as u32 & 0xffff,
            len: packed as u32 & 0xffff,
        }
    }
}

/// Walks the plaintext, then decides.
#[inline(always)]
pub(super) fn frames(scratch: &mut Scratch, hello: &mut QuicHello) {
    put(&mut scratch.at, 0);
    put(&mut scratch.frames_len, 0);
    put(&mut scratch.ranges, 0);
    put(&mut scratch.counts, 0);
    put(&mut scratch.fits, 0);
    if scratch.plain_len != 0 {
        repeat(TURNS, &mut Turn(scratch));
    }
    decide(scratch, hello);
}

struct Turn<'a>(&'a mut Scratch);

impl Turn<'_> {
    /// An integer at `at`, moved behind; `None` past the end.
    #[inline(always)]
    fn integer(&mut self) -> Option<u64> {
        let (value, bytes) = varint(self.0.plain.load(self.0.at));
        self.0.at = self.0.at.wrapping_add(bytes);
        (self.0.at <= self.0.plain_len).then_some(value)
    }

    /// Moves over `count` bytes.
    #[inline(always)]
    fn skip(&mut self, count: u64) -> Option<()> {
        if count > CHUNK as u64 {
            return None;
        }
        self.0.at = self.0.at.wrapping_add(count as u32);
        (self.0.at <= self.0.plain_len).then_some(())
    }

    #[inline(always)]
    fn crypto(&mut self) -> Option<()> {
        let offset = self.integer()?;
        let len = self.integer()?;
        let at = self.0.at;
        self.skip(len)?;
        let index = self.0.frames_len;
        if index >= FRAMES as u32 {
            return None;
        }
        self.0.frames_len = index.wrapping_add(1);
        // An offset beyond the buffer stays beyond it.
        let offset = if offset > u64::from(u32::MAX) {
            u64::from(u32::MAX)
        } else {
            offset
        };
        let index = opaque(u64::from(index)) as usize & (FRAMES - 1);
        self.0.frames[index] = offset << 32 | u64::from(at) << 16 | len;
        Some(())
    }

    /// The frame at `at`, or the next ACK range of one; `None` when it
    /// breaks the format or does not belong into an Initial.
    #[inline(always)]
    fn frame(&mut self) -> Option<()> {
        if self.0.ranges != 0 {
            self.0.ranges = self.0.ranges.wrapping_sub(1);
            self.integer()?;
            self.integer()?;
            return Some(());
        }
        let word = self.0.plain.load(self.0.at);
        if word == 0 && self.0.at.wrapping_add(8) <= self.0.plain_len {
            self.0.at = self.0.at.wrapping_add(8);
            return Some(());
        }
        self.0.at = self.0.at.wrapping_add(1);
        match word as u8 {
            PADDING | PING => Some(()),
            CRYPTO => self.crypto(),
            kind @ (ACK | ACK_ECN) => {
                // Largest, delay, count, first range (§19.3).
                self.integer()?;
                self.integer()?;
                let ranges = self.integer()?;
                self.integer()?;
                self.0.ranges = ranges;
                self.0.counts = u32::from(kind == ACK_ECN);
                Some(())
            }
            CONNECTION_CLOSE => {
                self.integer()?;
                self.integer()?;
                let reason = self.integer()?;
                self.skip(reason)
            }
            _ => None,
        }
    }
}

impl Step for Turn<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        if self.0.ranges == 0 && self.0.counts != 0 {
            self.0.counts = 0;
            let counts = [self.integer(), self.integer(), self.integer()];
            if counts.iter().any(Option::is_none) {
                return ControlFlow::Break(());
            }
        } else if self.frame().is_none() {
            return ControlFlow::Break(());
        }
        if self.0.at >= self.0.plain_len && self.0.ranges == 0 && self.0.counts == 0 {
            self.0.fits = 1;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// What the walk means at the present stage of trying keys.
#[inline(always)]
fn decide(scratch: &mut Scratch, hello: &mut QuicHello) {
    let fits = scratch.fits != 0;
    match scratch.stage {
        Stage::SAME => accept(scratch, hello, fits),
        Stage::ONLY => {
            if fits {
                adopt(scratch, hello, hello.version != 0);
            }
            accept(scratch, hello, fits);
        }
        Stage::OWN => {
            scratch.own_fits = u32::from(fits);
            scratch.own.set(&scratch.keys);
            scratch.stage = Stage::KEPT;
            if scratch.version == hello.version {
                scratch.keys.set(&hello.keys);
                scratch.next = Next::DECRYPT;
            } else {
                // Compatible version negotiation keeps the connection ID
                // behind the keys and takes the new version's salt
                // (RFC 9369 §4.1).
                let version = Version::from_wire(scratch.version).unwrap_or(Version::V1);
                scratch
                    .derivation
                    .start(version, Side::Client, &hello.dcid, hello.dcid_len);
                scratch.next = Next::DERIVE;
            }
        }
        Stage::KEPT => match (scratch.own_fits != 0, fits) {
            (false, false) => junk(scratch),
            (false, true) => {
                hello.version = scratch.version;
                hello.keys.set(&scratch.keys);
                accept(scratch, hello, true);
            }
            (true, true) => scratch.fail(Reason::Conflict),
            (true, false) => {
                scratch.stage = Stage::AGAIN;
                scratch.keys.set(&scratch.own);
                scratch.next = Next::DECRYPT;
            }
        },
        _ => {
            // A Retry, or another connection from the same port. Of a hello
            // that is not complete nothing may be forgotten, or half of it
            // could come before and half after a decoy: what follows must
            // fit the bytes that are there, as it does after a Retry
            // (RFC 9000 §17.2.5.3).
            if hello.pinned != 0 {
                scratch.fail(Reason::Conflict);
                return;
            }
            let incomplete = hello.complete == 0;
            hello.pinned = u8::from(incomplete);
            adopt(scratch, hello, incomplete);
            accept(scratch, hello, true);
        }
    }
}

#[inline(always)]
fn accept(scratch: &mut Scratch, hello: &mut QuicHello, fits: bool) {
    if !fits {
        junk(scratch);
        return;
    }
    let next = scratch.number.wrapping_add(1);
    if next > hello.next_number {
        hello.next_number = next;
    }
    scratch.next = Next::GATHER;
}

/// Makes the present packet's own keys the connection's.
#[inline(always)]
fn adopt(scratch: &Scratch, hello: &mut QuicHello, keep_content: bool) {
    hello.version = scratch.version;
    hello.keys.set(&scratch.keys);
    copy(&scratch.dcid, &mut hello.dcid);
    hello.dcid_len = scratch.dcid_len;
    put(&mut hello.next_number, 0);
    if !keep_content {
        fill(&mut hello.bitmap, 0);
        put(&mut hello.prefix, 0);
        put(&mut hello.total, 0);
        put(&mut hello.complete, 0);
        put(&mut hello.begin, 0);
    }
}
