//! Long headers (RFC 9000 §17.2) and the packets of one datagram (§12.2).

use super::{
    INITIALS, Next, QuicHello, Scratch, Seen, Stage,
    keys::{CID_MAX, Side},
};
use crate::{abi::Reason, bpf::opaque, inspect::Chunk};

/// A version whose Initial keys are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 9000.
    V1,
    /// RFC 9369.
    V2,
}

/// Version 1 as on the wire.
pub const V1: u32 = 1;
pub(crate) const V2: u32 = 0x6b33_43cf;

impl Version {
    #[inline(always)]
    pub(crate) fn from_wire(wire: u32) -> Option<Self> {
        match wire {
            V1 => Some(Self::V1),
            V2 => Some(Self::V2),
            _ => None,
        }
    }
}

/// What the first five bytes of a UDP payload say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No long header: 1-RTT, or not QUIC.
    Short,
    Initial,
    /// 0-RTT.
    Early,
    /// Handshake or Retry.
    Other,
    /// A long header of a version without published keys, or not QUIC.
    UnknownVersion,
}

/// Reads the form, type and version of a long header. The fixed bit is not
/// asked for: a server may agree to do without it (RFC 9287).
#[inline(always)]
pub fn sniff(first: u8, version: u32) -> Kind {
    if first & 0x80 == 0 {
        return Kind::Short;
    }
    let kind = (first >> 4) & 3;
    // RFC 9369 §3.2 turns the four types by one.
    let kind = match Version::from_wire(version) {
        Some(Version::V1) => kind,
        Some(Version::V2) => kind.wrapping_sub(1) & 3,
        None => return Kind::UnknownVersion,
    };
    match kind {
        0 => Kind::Initial,
        1 => Kind::Early,
        _ => Kind::Other,
    }
}

/// A variable-length integer (RFC 9000 §16) and the bytes it takes.
#[inline(always)]
pub(super) fn varint(word: u64) -> (u64, u32) {
    let word = word.swap_bytes();
    let bytes = 1_u32 << ((word >> 62) as u32 & 3);
    let value = (word << 2 >> 2) >> (64_u32.wrapping_sub(bytes << 3) & 63);
    (value, bytes)
}

/// Looks at the packet at the cursor.
#[inline(always)]
pub(super) fn header(scratch: &mut Scratch, hello: &QuicHello) {
    if let Err(reason) = try_header(scratch, hello) {
        scratch.fail(reason);
    }
}

/// Moves on behind packets without a hello, and finishes at the end.
#[inline(always)]
fn try_header(scratch: &mut Scratch, hello: &QuicHello) -> Result<(), Reason> {
    let len = scratch.len;
    let start = scratch.cursor;
    let datagram = scratch.datagram.chunk(len);
    let first = datagram.get(start).unwrap_or(0);
    // 1-RTT packets and zeroes have no length: they reach to the end.
    if first & 0x80 == 0 || start.saturating_add(7) > len {
        if first != 0 {
            scratch.seen |= Seen::LATER;
        }
        scratch.next = Next::FINISH;
        return Ok(());
    }
    let version = scratch.datagram.load(start.wrapping_add(1)).swap_bytes();
    let version = (version >> 32) as u32;
    let kind = sniff(first, version);
    if kind == Kind::UnknownVersion {
        // Behind another packet a server throws it away (RFC 9000 §12.2).
        if scratch.packets == 0 {
            return Err(Reason::QuicVersion);
        }
        scratch.next = Next::FINISH;
        return Ok(());
    }
    scratch.packets = scratch.packets.wrapping_add(1);

    let dcid_at = start.wrapping_add(6);
    let dcid_len = byte(&datagram, start.wrapping_add(5))?;
    if dcid_len > CID_MAX as u32 {
        return Err(Reason::Malformed);
    }
    let scid_at = dcid_at.wrapping_add(dcid_len);
    let scid_len = byte(&datagram, scid_at)?;
    if scid_len > CID_MAX as u32 {
        return Err(Reason::Malformed);
    }
    let mut at = scid_at.wrapping_add(1).wrapping_add(scid_len);
    if kind == Kind::Initial {
        let (token, bytes) = varint(scratch.datagram.load(at));
        at = at.wrapping_add(bytes);
        if token > u64::from(len) {
            return Err(Reason::Malformed);
        }
        at = at.wrapping_add(token as u32);
        if at >= len {
            return Err(Reason::Malformed);
        }
    }
    // Clients send no Retry; Handshake and 0-RTT have a length next.
    let (length, bytes) = varint(scratch.datagram.load(at));
    at = at.wrapping_add(bytes);
    let end = u64::from(at).wrapping_add(length);
    if length > u64::from(len) || end > u64::from(len) {
        // The rest may lie beyond what was copied, or nowhere: a server
        // throws away what is cut short.
        return Err(Reason::Malformed);
    }
    scratch.cursor = end as u32;
    match kind {
        Kind::Initial => {}
        Kind::Early => {
            scratch.seen |= Seen::EARLY;
            return Ok(());
        }
        _ => {
            scratch.seen |= Seen::LATER;
            return Ok(());
        }
    }

    scratch.initials = scratch.initials.wrapping_add(1);
    if scratch.initials > INITIALS {
        return Err(Reason::QuicRefused);
    }
    // The sample starts four bytes behind the packet number's first byte and
    // takes sixteen (RFC 9001 §5.4.2).
    if length < 20 {
        scratch.seen |= Seen::JUNK;
        return Ok(());
    }
    scratch.first_at = start;
    scratch.number_at = at;
    scratch.end = end as u32;
    scratch.version = version;
    copy_dcid(scratch, dcid_at, dcid_len);
    choose(scratch, hello);
    Ok(())
}

#[inline(always)]
fn byte(datagram: &Chunk<'_>, at: u32) -> Result<u32, Reason> {
    datagram.get(at).map(u32::from).ok_or(Reason::Malformed)
}

/// Copies the ID, zeroes behind it, so that IDs compare as words.
#[inline(always)]
fn copy_dcid(scratch: &mut Scratch, at: u32, len: u32) {
    let words = [
        scratch.datagram.load(at),
        scratch.datagram.load(at.wrapping_add(8)),
        scratch.datagram.load(at.wrapping_add(16)),
    ];
    scratch.dcid_len = len;
    for i in 0..CID_MAX {
        let byte = (words[i / 8] >> (8 * (i % 8))) as u8;
        let inside = opaque(i as u64) < u64::from(len);
        scratch.dcid[i] = if inside { byte } else { 0 };
    }
}

/// Which keys to try first.
#[inline(always)]
fn choose(scratch: &mut Scratch, hello: &QuicHello) {
    let same_id = scratch.dcid_len == hello.dcid_len && same(&scratch.dcid, &hello.dcid);
    if same_id && scratch.version == hello.version {
        scratch.stage = Stage::SAME;
        scratch.keys.set(&hello.keys);
        scratch.next = Next::DECRYPT;
        return;
    }
    scratch.stage = if hello.version == 0 || same_id {
        Stage::ONLY
    } else {
        Stage::OWN
    };
    derive_own(scratch);
}

#[inline(always)]
fn same(a: &[u8; CID_MAX], b: &[u8; CID_MAX]) -> bool {
    let mut difference = 0;
    for i in 0..CID_MAX {
        difference |= a[i] ^ b[i];
    }
    difference == 0
}

#[inline(always)]
pub(super) fn derive_own(scratch: &mut Scratch) {
    let version = Version::from_wire(scratch.version).unwrap_or(Version::V1);
    scratch
        .derivation
        .start(version, Side::Client, &scratch.dcid, scratch.dcid_len);
    scratch.next = Next::DERIVE;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_both_versions() {
        assert_eq!(sniff(0xc3, 1), Kind::Initial);
        assert_eq!(sniff(0xd3, 1), Kind::Early);
        assert_eq!(sniff(0xe3, 1), Kind::Other);
        assert_eq!(sniff(0xd3, V2), Kind::Initial);
        assert_eq!(sniff(0xe3, V2), Kind::Early);
        assert_eq!(sniff(0xc3, V2), Kind::Other);
        assert_eq!(sniff(0x43, 1), Kind::Short);
        assert_eq!(sniff(0xc3, 0xff00_001d), Kind::UnknownVersion);
        // RFC 9287: the fixed bit may be off.
        assert_eq!(sniff(0x83, 1), Kind::Initial);
    }

    /// RFC 9000 appendix A.1.
    #[test]
    fn published_varints() {
        let word = |bytes: [u8; 8]| u64::from_le_bytes(bytes);
        let long = word([0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]);
        assert_eq!(varint(long), (151_288_809_941_952_652, 8));
        let four = word([0x9d, 0x7f, 0x3e, 0x7d, 1, 2, 3, 4]);
        assert_eq!(varint(four), (494_878_333, 4));
        assert_eq!(varint(word([0x7b, 0xbd, 9, 9, 9, 9, 9, 9])), (15_293, 2));
        assert_eq!(varint(word([0x25, 9, 9, 9, 9, 9, 9, 9])), (37, 1));
    }
}
