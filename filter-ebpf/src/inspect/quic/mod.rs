//! QUIC: from a client's Initial packets to the ClientHello in them
//! (RFC 9000, RFC 9001, RFC 9369).
//!
//! A datagram goes through phases; [`advance`] takes one and tells the next,
//! until [`Next::Finish`]. Everything lies in [`Scratch`] (one per CPU) and
//! [`QuicHello`] (one per connection), so the kernel's loop needs no stack.
//!
//! **The tag of AES-GCM is not checked.** Its keys follow from the connection
//! ID, which anybody can read, so a tag proves nothing about who sent a
//! packet. A packet with a false tag, which the server will throw away, is
//! read like any other: the filter then judges more than the server sees,
//! never less. Two such packets with different content for one place of the
//! hello are a conflict, and the connection is denied.
//!
//! **Which keys?** The connection ID of the client's first Initial decides
//! them; the client keeps them when the server's answer changes the ID, and
//! leaves them after a Retry. Without a tag, what tells right from wrong keys
//! is whether the plaintext is a sequence of frames to its end: for keys that
//! are wrong this has a chance of less than 1 in 10,000. Both candidates are
//! always tried. A packet that reads well under both was made to: denied. One
//! that reads under neither is junk ([`Outcome::Hold`]), and dropped: the
//! server cannot read it either, unless by state that this filter has lost.

pub(crate) mod aes;
pub(crate) mod buffer;
mod frames;
mod gather;
pub(crate) mod header;
pub(crate) mod keys;
mod packet;
mod sha256;
#[cfg(test)]
mod tests;
mod walk;

pub use buffer::Buffer;
pub use header::{Kind, V1, Version, sniff};
pub use keys::{CID_MAX, Derivation, Keys, Side};
pub use walk::walk;

use super::CHUNK;
use crate::abi::{Reason, pod};

/// CRYPTO frames of one packet that are looked at.
pub const FRAMES: usize = 512;
/// Phases of one datagram before it is denied: more than four Initials that
/// each try every candidate.
pub const PHASES: u32 = 48;
/// Initial packets in one datagram; clients send one.
const INITIALS: u32 = 4;

/// What is kept of a connection's Initial packets: the value of
/// `QUIC_HELLOS`. All zero at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct QuicHello {
    pub keys: Keys,
    /// Version of `keys` as on the wire; 0: no keys yet.
    pub version: u32,
    /// Connection ID behind `keys`.
    pub dcid_len: u32,
    pub dcid: [u8; CID_MAX],
    /// Bytes of the hello that are there without a gap from the front.
    pub prefix: u32,
    /// Where the ClientHello ends, 0: not known yet.
    pub total: u32,
    /// 1: `prefix` has reached `total`.
    pub complete: u8,
    /// 1: other keys must not make this content forgotten, because bytes went
    /// to the server that belong to no hello judged so far.
    pub pinned: u8,
    /// [`Reason`] for which the connection is denied for good; 0: none.
    pub failed: u8,
    pub reserved: u8,
    /// Where the ClientHello begins: behind the first one, if a server asked
    /// for another (HelloRetryRequest, RFC 8446 §4.1.4).
    pub begin: u32,
    /// The packet number after the highest seen (RFC 9000 appendix A.3).
    pub next_number: u64,
    /// A bit per byte of `buffer` that is there; eight bytes of slack.
    pub bitmap: [u8; CHUNK / 8 + 8],
    /// The CRYPTO stream from offset 0.
    pub buffer: Buffer,
}

/// Working memory for one datagram, per CPU.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Scratch {
    /// The UDP payload, written by the caller.
    pub datagram: Buffer,
    /// Its length, at most [`CHUNK`].
    pub len: u32,
    /// Where the next packet of the datagram starts.
    cursor: u32,
    /// The present packet: first byte, packet number, payload, end.
    first_at: u32,
    number_at: u32,
    payload_at: u32,
    end: u32,
    version: u32,
    dcid_len: u32,
    dcid: [u8; CID_MAX],
    /// Long-header packets of the datagram that were looked at.
    packets: u32,
    initials: u32,
    /// [`Stage`] of trying keys.
    stage: u32,
    /// 1: the own keys of the present packet read well.
    own_fits: u32,
    /// Bits of [`Seen`].
    seen: u32,
    /// [`Next`] as a number; `reason` goes with `Next::Fail`.
    next: u32,
    reason: u32,
    plain_len: u32,
    /// Walk over `plain`: position; CRYPTO frames; ACK ranges and ECN counts
    /// to skip; 1: it came to the end.
    at: u32,
    frames_len: u32,
    ranges: u64,
    counts: u32,
    fits: u32,
    /// Copy of CRYPTO data: frame and position in it. Block of the cipher.
    frame: u32,
    position: u32,
    block: u32,
    /// The cipher's blocks as far as they are the same.
    ahead: aes::Ahead,
    number: u64,
    /// What the packet number is measured against.
    expected: u64,
    derivation: Derivation,
    own: Keys,
    keys: Keys,
    plain: Buffer,
    /// `offset << 32 | position in plain << 16 | length`.
    frames: [u64; FRAMES],
}

// Both are repr(C) and hold integers only.
pod!(QuicHello, Scratch, Keys, Derivation, Buffer);

/// What a datagram told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No Initial and no 0-RTT in it: the flow's verdict holds, if any.
    Other,
    /// Part of a hello: it may pass.
    Pending,
    /// Nothing that could be judged or that may pass before the verdict
    /// (junk, 0-RTT): drop it without a verdict about the flow.
    Hold,
    /// The hello is complete with this datagram: walk it by [`walk`].
    Complete,
    /// A hello that was complete before, said again or acknowledged: the
    /// flow's verdict holds. Without a flow, [`walk`] tells the name again.
    Settled,
    /// Denied for good, and why.
    Failed(Reason),
}

/// Bits of [`Scratch::seen`].
struct Seen;

impl Seen {
    /// A 0-RTT packet.
    const EARLY: u32 = 1;
    /// An Initial that reads under no keys.
    const JUNK: u32 = 2;
    /// An Initial that reads.
    const INITIAL: u32 = 4;
    /// The hello became complete.
    const COMPLETE: u32 = 8;
    /// A packet whose keys a client has only from the server's answer to its
    /// whole hello.
    const LATER: u32 = 16;
}

/// The next phase, as kept in [`Scratch::next`].
struct Next;

impl Next {
    const HEADER: u32 = 0;
    const DERIVE: u32 = 1;
    const DECRYPT: u32 = 2;
    const FRAMES: u32 = 3;
    const GATHER: u32 = 4;
    const FINISH: u32 = 5;
    const FAIL: u32 = 6;
}

/// Whose keys are being tried on the present packet.
struct Stage;

impl Stage {
    /// Its own connection ID's, with nothing else to try.
    const ONLY: u32 = 0;
    /// Its own, before the connection's.
    const OWN: u32 = 1;
    /// The connection's.
    const KEPT: u32 = 2;
    /// Its own once more, because only they fit.
    const AGAIN: u32 = 3;
    /// The connection's, as the connection ID says.
    const SAME: u32 = 4;
}

impl Scratch {
    /// Makes ready for the datagram in `datagram[..len]`.
    #[inline(always)]
    pub fn start(&mut self, len: u32) {
        self.len = if len > CHUNK as u32 {
            CHUNK as u32
        } else {
            len
        };
        buffer::put(&mut self.cursor, 0);
        buffer::put(&mut self.packets, 0);
        buffer::put(&mut self.initials, 0);
        buffer::put(&mut self.seen, 0);
        self.next = Next::HEADER;
        buffer::put(&mut self.reason, 0);
    }

    #[inline(always)]
    fn fail(&mut self, reason: Reason) {
        self.reason = reason as u32;
        self.next = Next::FAIL;
    }
}

struct Phases<'a> {
    scratch: &'a mut Scratch,
    hello: &'a mut QuicHello,
}

impl crate::bpf::Step for Phases<'_> {
    #[inline(always)]
    fn step(&mut self) -> core::ops::ControlFlow<()> {
        match self.scratch.next {
            Next::HEADER => header::header(self.scratch, self.hello),
            Next::DERIVE => derive(self.scratch),
            Next::DECRYPT => packet::decrypt(self.scratch, self.hello),
            Next::FRAMES => frames::frames(self.scratch, self.hello),
            Next::GATHER => gather::gather(self.scratch, self.hello),
            _ => return core::ops::ControlFlow::Break(()),
        }
        core::ops::ControlFlow::Continue(())
    }
}

#[inline(always)]
fn derive(scratch: &mut Scratch) {
    keys::derive(&mut scratch.derivation, &mut scratch.keys);
    scratch.next = Next::DECRYPT;
}

/// Reads the datagram that [`Scratch::start`] announced.
#[inline(always)]
pub fn inspect(scratch: &mut Scratch, hello: &mut QuicHello) -> Outcome {
    if hello.failed != 0 {
        return Outcome::Failed(Reason::from_u8(hello.failed));
    }
    crate::bpf::repeat(PHASES, &mut Phases { scratch, hello });
    let scratch_next = scratch.next;
    if scratch_next == Next::FINISH {
        return outcome(scratch, hello);
    }
    let reason = if scratch_next == Next::FAIL {
        Reason::from_u8(scratch.reason as u8)
    } else {
        Reason::QuicRefused
    };
    // A client that is told of other versions comes back from the same port
    // (RFC 9000 §6.2); what it said in this one was read as nothing.
    if reason as u8 != Reason::QuicVersion as u8 {
        hello.failed = reason as u8;
    }
    Outcome::Failed(reason)
}

#[inline(always)]
fn outcome(scratch: &Scratch, hello: &mut QuicHello) -> Outcome {
    let seen = scratch.seen;
    if seen & Seen::JUNK != 0 {
        if seen & Seen::INITIAL == 0 {
            return Outcome::Hold;
        }
        // No client joins what can be read with what cannot.
        hello.failed = Reason::Malformed as u8;
        return Outcome::Failed(Reason::Malformed);
    }
    if seen & Seen::COMPLETE != 0 {
        return Outcome::Complete;
    }
    if hello.complete != 0 {
        return Outcome::Settled;
    }
    // With a later packet the whole hello must have passed: what was known
    // of it is lost.
    if seen & (Seen::EARLY | Seen::LATER) != 0 {
        return Outcome::Hold;
    }
    if seen & Seen::INITIAL != 0 {
        return Outcome::Pending;
    }
    Outcome::Other
}

/// A value of zero bytes, as maps hold at the start.
#[cfg(not(target_arch = "bpf"))]
pub fn zeroed<T: crate::abi::Pod>() -> T {
    // SAFETY: every bit pattern of a Pod is a value.
    unsafe { core::mem::zeroed() }
}
