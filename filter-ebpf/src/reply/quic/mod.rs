//! What a QUIC client needs to give up at once, or to come again in a version
//! that can be read.
//!
//! ICMP errors do not do: most QUIC stacks ignore them, and wait for seconds.
//! What clients obey is
//!
//! - a Version Negotiation packet without a version that they know
//!   ([`Refusal::negotiate`], RFC 9000 §6.2): they abandon the connection and
//!   tell so at once. It needs no keys, but a client that has heard from the
//!   server already ignores it;
//! - a server's Initial packet with a CONNECTION_CLOSE in it
//!   ([`Refusal::close`], §10.2.3), sealed with keys that follow from the
//!   connection ID, which anybody on the path can read. Some tell their user
//!   only when their draining period is over (§10.2.2: aioquic, 0.6 s), and
//!   curl tries again until its time is up.

mod ghash;
mod seal;
#[cfg(test)]
mod tests;

use super::{BUFFER, ip, put16, transport_sum};
use crate::{
    abi::pod,
    bpf::opaque,
    frame::{Meta, MetaFlags},
    inspect::quic::{
        CID_MAX, Derivation, Keys, Kind,
        buffer::{copy, fill, put},
        sniff,
    },
};
use ghash::Ghash;

/// Bytes of the client's datagram that are read: flags, version and both IDs.
pub const HEAD: usize = 64;
/// Room for the longest answer: 51 bytes of header, 32 of frames, a tag.
pub const PACKET: usize = 128;
/// A version that nobody speaks (RFC 9000 §15): offered alone it sends a
/// client away.
pub const RESERVED_VERSION: u32 = 0x1a2a_3a4a;

/// Working memory for one answer, per CPU.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Refusal {
    /// The first bytes of the client's datagram, written by the caller; what
    /// lies behind its end does not matter.
    pub head: [u8; HEAD],
    version: u32,
    /// The client's IDs, zeroes behind them.
    dcid_len: u32,
    scid_len: u32,
    dcid: [u8; CID_MAX],
    scid: [u8; CID_MAX],
    /// The ID behind the keys; the client's at first.
    key_len: u32,
    key_id: [u8; CID_MAX],
    /// The answer: bytes of its header, and of all of it.
    header_len: u32,
    len: u32,
    packet: [u8; PACKET],
    derivation: Derivation,
    keys: Keys,
    /// Next block of the cipher, and what hides the tag.
    block: u32,
    tag_mask: [u32; 4],
    reserved: u32,
    ghash: Ghash,
}

// repr(C), and holds integers only.
pod!(Refusal, Ghash);

impl Refusal {
    /// Reads the long header in `head`, of which `len` bytes are the
    /// client's; `None` where nothing of it can be answered.
    #[inline(always)]
    pub fn read(&mut self, len: u32) -> Option<Kind> {
        let first = self.head[0];
        self.version = u32::from_be_bytes([self.head[1], self.head[2], self.head[3], self.head[4]]);
        let kind = sniff(first, self.version);
        let answered = match kind {
            Kind::Initial | Kind::Early => true,
            // Version 0 is a negotiation itself (RFC 9000 §6.1).
            Kind::UnknownVersion => self.version != 0,
            Kind::Short | Kind::Other => false,
        };
        let dcid_len = u32::from(self.head[5]);
        if !answered || dcid_len > CID_MAX as u32 {
            return None;
        }
        let scid_len = self.head_at(6_u32.wrapping_add(dcid_len));
        let scid_len = u32::from(scid_len);
        let scid_at = 7_u32.wrapping_add(dcid_len);
        if scid_len > CID_MAX as u32 || scid_at.wrapping_add(scid_len) > len {
            return None;
        }
        self.dcid_len = dcid_len;
        self.scid_len = scid_len;
        for i in 0..CID_MAX {
            let at = i as u32;
            let dcid = self.head_at(6_u32.wrapping_add(at)) & inside(at, dcid_len);
            let scid = self.head_at(scid_at.wrapping_add(at)) & inside(at, scid_len);
            put(&mut self.dcid[i], dcid);
            put(&mut self.key_id[i], dcid);
            put(&mut self.scid[i], scid);
        }
        self.key_len = dcid_len;
        Some(kind)
    }

    /// Tells the ID that the keys follow from: that of the client's first
    /// Initial, or the one behind a Retry. Returns whether it is another one
    /// than in `head`: then the client has heard from the server.
    #[inline(always)]
    pub fn known(&mut self, id: &[u8; CID_MAX], len: u32) -> bool {
        let mut difference = self.key_len ^ len;
        for (own, known) in self.key_id.iter().zip(id) {
            difference |= u32::from(*own ^ *known);
        }
        copy(id, &mut self.key_id);
        self.key_len = len;
        difference != 0
    }

    /// Writes a Version Negotiation packet (RFC 9000 §17.2.1) that offers one
    /// version.
    #[inline(always)]
    pub fn negotiate(&mut self, version: u32) {
        let at = self.long_header(0xc0, 0);
        self.put32(at, version);
        self.len = at.wrapping_add(4);
    }

    /// Writes flags, a version and the IDs, each side's in the other's place;
    /// returns where it ends. The server's ID is the one that the client uses
    /// for it: another one would be ignored once the server has been heard
    /// (RFC 9000 §7.2).
    #[inline(always)]
    fn long_header(&mut self, first: u8, version: u32) -> u32 {
        fill(&mut self.packet, 0);
        self.put8(0, first);
        self.put32(1, version);
        self.put8(5, self.scid_len as u8);
        // Zeroes behind a shorter ID are written over by what follows it.
        for i in 0..CID_MAX {
            self.put8(6_u32.wrapping_add(i as u32), self.scid[i]);
        }
        let at = 6_u32.wrapping_add(self.scid_len);
        self.put8(at, self.dcid_len as u8);
        for i in 0..CID_MAX {
            self.put8(at.wrapping_add(1).wrapping_add(i as u32), self.dcid[i]);
        }
        at.wrapping_add(1).wrapping_add(self.dcid_len)
    }

    /// The answer, zeroes behind it, and its length.
    #[inline(always)]
    #[must_use]
    pub fn packet(&self) -> (&[u8; PACKET], u32) {
        (&self.packet, self.len)
    }

    #[inline(always)]
    fn head_at(&self, at: u32) -> u8 {
        self.head[opaque(u64::from(at)) as usize & (HEAD - 1)]
    }

    #[inline(always)]
    fn put8(&mut self, at: u32, byte: u8) {
        let at = opaque(u64::from(at)) as usize & (PACKET - 1);
        put(&mut self.packet[at], byte);
    }

    #[inline(always)]
    fn put32(&mut self, at: u32, word: u32) {
        let bytes = word.to_be_bytes();
        for (i, byte) in bytes.iter().enumerate() {
            self.put8(at.wrapping_add(i as u32), *byte);
        }
    }

    /// Four bytes as a big-endian word.
    #[inline(always)]
    fn word(&self, at: u32) -> u32 {
        let mut word = 0;
        for i in 0..4 {
            let at = opaque(u64::from(at.wrapping_add(i))) as usize & (PACKET - 1);
            word = word << 8 | u32::from(self.packet[at]);
        }
        word
    }
}

/// All ones where `at` lies below `len`, else zero; both are small. Without a
/// branch, or the verifier would follow two for every byte; LLVM makes one
/// where it knows the length's bounds.
#[inline(always)]
fn inside(at: u32, len: u32) -> u8 {
    let len = opaque(u64::from(len)) as u32;
    (at.wrapping_sub(len) as i32 >> 31) as u8
}

/// The answer as a datagram from the server, from its IP header on.
#[inline(always)]
pub fn datagram(
    meta: &Meta,
    refusal: &Refusal,
    out: &mut [u8; BUFFER],
    sum: impl Fn(&[u8], u32, u32) -> u32,
) -> Option<u32> {
    const UDP: u32 = 8;
    let l4 = if meta.flags & MetaFlags::IPV6 != 0 {
        40
    } else {
        20
    };
    let (packet, len) = refusal.packet();
    if len > PACKET as u32 {
        return None;
    }
    let len = UDP + len;
    put16(out, l4, meta.key.server_port);
    put16(out, l4 + 2, meta.key.client_port);
    put16(out, l4 + 4, len as u16);
    put16(out, l4 + 6, 0);
    for (i, byte) in packet.iter().enumerate() {
        put(&mut out[l4 + UDP as usize + i], *byte);
    }
    ip(meta, 17, len, out, &sum);
    let checksum = transport_sum(meta, 17, len, UDP + PACKET as u32, out, &sum);
    // 0 would say that there is none (RFC 768).
    put16(out, l4 + 6, if checksum == 0 { 0xffff } else { checksum });
    Some(l4 as u32 + len)
}
