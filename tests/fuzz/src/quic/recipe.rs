//! QUIC datagrams by a recipe.
//!
//! Mutating what is encrypted gives junk only. So an input is the packets'
//! plaintext with a few bytes that say how each is protected, by the
//! cryptography of rustls and ring; any bytes are a recipe.
//!
//! ```text
//! packet = flags  places  number  length(2)  payload[length]  [at(2) xor]
//! ```

use std::borrow::Cow;
use std::sync::LazyLock;

use rustls::Side;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::{Keys, Version};

/// Bits of a packet's first byte.
pub(super) struct Flags;

impl Flags {
    /// The header says version 2.
    pub(super) const V2: u8 = 1;
    /// The keys are of the other version than the header's.
    pub(super) const OTHER_SALT: u8 = 2;
    /// In the datagram of the packet before.
    pub(super) const COALESCED: u8 = 4;
    /// Padded inside to what a client's datagram has at least.
    pub(super) const PADDED: u8 = 8;
    /// The payload is the datagram.
    pub(super) const RAW: u8 = 16;
    /// One byte is changed when everything is sealed.
    pub(super) const PATCHED: u8 = 32;
    /// An empty token becomes one of eleven bytes.
    pub(super) const TOKEN: u8 = 64;
    /// The token is longer by [`LONG_TOKEN`] bytes.
    pub(super) const LONG: u8 = 128;
}

/// Connection IDs of the header and behind the keys.
const IDS: [&[u8]; 4] = [
    &[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08],
    &[7; 20],
    &[9, 8, 7, 6, 5, 4, 3, 2, 1],
    &[],
];
const WIRE: [u32; 2] = [1, 0x6b33_43cf];
const LONG_TOKEN: usize = 300;
/// Packets of one recipe; the rest is not looked at.
const MOST: usize = 12;
/// Bytes of a payload that fill the smallest datagram of a client (RFC 9000
/// §14.1).
const PADDED: usize = 1180;
/// Longest payload.
const PAYLOAD: usize = 4000;

/// A packet before it is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) flags: u8,
    /// Connection ID of the header in bits 0 and 1, behind the keys in 2 and
    /// 3 as a difference; bytes of the packet number less one in 4 and 5.
    pub(super) places: u8,
    pub(super) number: u8,
    pub(super) payload: Vec<u8>,
    pub(super) patch: (u16, u8),
}

impl Packet {
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Version and connection ID of header and keys.
    pub(super) fn context(&self) -> [usize; 4] {
        let version = usize::from(self.flags & Flags::V2);
        let salt = version ^ usize::from(self.has(Flags::OTHER_SALT));
        let id = usize::from(self.places & 3);
        [version, id, salt, id ^ usize::from(self.places >> 2 & 3)]
    }

    /// The payload with its padding.
    pub(super) fn plain(&self) -> Cow<'_, [u8]> {
        // Sampling needs four bytes behind the packet number's first.
        let least = if self.has(Flags::PADDED) { PADDED } else { 4 };
        if self.payload.len() >= least {
            return Cow::Borrowed(&self.payload);
        }
        let mut plain = self.payload.clone();
        plain.resize(least, 0);
        Cow::Owned(plain)
    }

    fn seal(&self, to: &mut Vec<u8>) {
        let [version, id, salt, key_id] = self.context();
        let start = to.len();
        let number_len = 1 + usize::from(self.places >> 4 & 3);
        let kind = if version == 1 { 1 } else { 0 };
        to.push(0xc0 | kind << 4 | (number_len as u8 - 1));
        to.extend(WIRE[version].to_be_bytes());
        to.push(IDS[id].len() as u8);
        to.extend(IDS[id]);
        to.push(0);
        let token = if self.has(Flags::TOKEN) { 11 } else { 0 };
        if self.has(Flags::LONG) {
            to.extend((0x4000 | (token + LONG_TOKEN) as u16).to_be_bytes());
            to.resize(to.len() + token + LONG_TOKEN, 0x77);
        } else {
            to.push(token as u8);
            to.resize(to.len() + token, 0x77);
        }
        let plain = self.plain();
        let length = (number_len + plain.len() + 16) as u16;
        to.extend((0x4000 | length).to_be_bytes());
        let number_at = to.len();
        to.extend(&u32::from(self.number).to_be_bytes()[4 - number_len..]);
        let payload_at = to.len();
        to.extend_from_slice(&plain);
        let Some(keys) = KEYS.get(salt * IDS.len() + key_id) else {
            return;
        };
        let (header, body) = to.split_at_mut(payload_at);
        let header = header.get(start..).unwrap_or_default();
        let sealed = keys
            .local
            .packet
            .encrypt_in_place(u64::from(self.number), header, body);
        if let Ok(tag) = sealed {
            to.extend_from_slice(tag.as_ref());
        }
        let (front, rest) = to.split_at_mut(number_at);
        let (number, rest) = rest.split_at_mut(4);
        if let (Some(first), Some(sample)) = (front.get_mut(start), rest.get(..16)) {
            let number = number.get_mut(..number_len).unwrap_or_default();
            // The sample has the length that the cipher asks for.
            let _ = keys.local.header.encrypt_in_place(sample, first, number);
        }
    }
}

static KEYS: LazyLock<Vec<Keys>> = LazyLock::new(|| {
    let suite = TLS13_AES_128_GCM_SHA256
        .tls13()
        .and_then(|suite| suite.quic_suite());
    let mut keys = Vec::new();
    for version in [Version::V1, Version::V2] {
        for id in IDS {
            keys.extend(suite.map(|suite| suite.keys(id, Side::Client, version)));
        }
    }
    keys
});

/// Reads a recipe.
pub(super) fn read(input: &[u8]) -> Vec<Packet> {
    let mut packets = Vec::new();
    let mut left = input;
    while let Some(([flags, places, number, high, low], rest)) = left.split_first_chunk() {
        if packets.len() == MOST {
            break;
        }
        let len = usize::from(u16::from_be_bytes([*high, *low]))
            .min(rest.len())
            .min(PAYLOAD);
        let (payload, rest) = rest.split_at(len);
        left = rest;
        let mut packet = Packet {
            flags: *flags,
            places: *places,
            number: *number,
            payload: payload.to_vec(),
            patch: (0, 0),
        };
        if packet.has(Flags::PATCHED)
            && let Some(([high, low, xor], rest)) = left.split_first_chunk()
        {
            packet.patch = (u16::from_be_bytes([*high, *low]), *xor);
            left = rest;
        }
        packets.push(packet);
    }
    packets
}

/// Writes a recipe that [`read`] reads.
pub(super) fn write(packets: &[Packet]) -> Vec<u8> {
    let mut output = Vec::new();
    for packet in packets {
        output.extend([packet.flags, packet.places, packet.number]);
        output.extend((packet.payload.len() as u16).to_be_bytes());
        output.extend_from_slice(&packet.payload);
        if packet.has(Flags::PATCHED) {
            output.extend(packet.patch.0.to_be_bytes());
            output.push(packet.patch.1);
        }
    }
    output
}

/// The packets that lie in the first `datagrams` datagrams.
pub(super) fn packets_of(packets: &[Packet], datagrams: usize) -> &[Packet] {
    let begins = |(i, packet): &(usize, &Packet)| *i == 0 || !packet.has(Flags::COALESCED);
    let next = packets.iter().enumerate().filter(begins).nth(datagrams);
    packets
        .get(..next.map_or(packets.len(), |(i, _)| i))
        .unwrap_or_default()
}

/// The datagrams, sealed.
pub(super) fn datagrams(packets: &[Packet]) -> Vec<Vec<u8>> {
    let mut datagrams: Vec<Vec<u8>> = Vec::new();
    for packet in packets {
        let mut datagram = if packet.has(Flags::COALESCED) {
            datagrams.pop().unwrap_or_default()
        } else {
            Vec::with_capacity(1500)
        };
        let start = datagram.len();
        if packet.has(Flags::RAW) {
            datagram.extend_from_slice(&packet.payload);
        } else {
            packet.seal(&mut datagram);
        }
        let sealed = datagram.get_mut(start..).unwrap_or_default();
        if packet.has(Flags::PATCHED) && !sealed.is_empty() {
            let at = usize::from(packet.patch.0) % sealed.len();
            if let Some(byte) = sealed.get_mut(at) {
                *byte ^= packet.patch.1;
            }
        }
        datagrams.push(datagram);
    }
    datagrams
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let packets = vec![
            Packet {
                flags: Flags::PADDED | Flags::PATCHED,
                payload: vec![1, 2, 3],
                patch: (7, 9),
                ..Packet::default()
            },
            Packet {
                flags: Flags::V2,
                places: 0x31,
                number: 4,
                ..Packet::default()
            },
        ];
        assert_eq!(read(&write(&packets)), packets);
        let sealed = datagrams(&packets);
        assert_eq!(sealed.len(), 2);
        assert!(sealed[0].len() >= 1200, "{}", sealed[0].len());
    }
}
