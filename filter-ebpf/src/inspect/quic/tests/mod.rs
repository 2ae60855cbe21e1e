//! QUIC Initials by the ids of the evasion cases, real clients' captures and
//! the published vectors.

mod captures;
mod evasions;
mod mutated;

use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

use super::*;
use crate::abi::{FlowFlags, Hello};
use crate::inspect::{CHUNK_ROOM, Progress};

pub(super) const V1: u32 = 1;
pub(super) const V2: u32 = 0x6b33_43cf;

/// One connection as the kernel keeps it, with a scratch of its own.
pub(super) struct Connection {
    scratch: Box<Scratch>,
    hello: Box<QuicHello>,
}

impl Connection {
    pub(super) fn new() -> Self {
        Self {
            scratch: Box::new(zeroed()),
            hello: Box::new(zeroed()),
        }
    }

    pub(super) fn datagram(&mut self, payload: &[u8]) -> Outcome {
        // What an earlier datagram left must not matter.
        self.scratch.datagram.bytes = [0xa5; CHUNK_ROOM];
        self.scratch.datagram.bytes[..payload.len()].copy_from_slice(payload);
        self.scratch.start(payload.len() as u32);
        inspect(&mut self.scratch, &mut self.hello)
    }

    pub(super) fn name(&self) -> Option<String> {
        assert_eq!(self.hello.complete, 1);
        let mut hello: Hello = zeroed();
        match walk(&self.hello, &mut hello) {
            Progress::Done(finding) if finding.flags & FlowFlags::NAMED != 0 => {
                Some(String::from_utf8(hello.name[..usize::from(hello.name_len)].to_vec()).unwrap())
            }
            Progress::Done(_) => None,
            other => panic!("{other:?}"),
        }
    }
}

/// A ClientHello for `name`, with `padding` bytes of an unknown extension
/// before the name.
pub(super) fn client_hello(name: &str, padding: usize) -> Vec<u8> {
    let mut extensions = Vec::new();
    extensions.extend([0x7a, 0x7a]);
    extensions.extend((padding as u16).to_be_bytes());
    extensions.extend(std::iter::repeat_n(0x33, padding));
    let len = name.len() as u16;
    extensions.extend([0, 0]);
    extensions.extend((len + 5).to_be_bytes());
    extensions.extend((len + 3).to_be_bytes());
    extensions.push(0);
    extensions.extend(len.to_be_bytes());
    extensions.extend(name.as_bytes());
    let mut body = std::vec![3, 3];
    body.extend([0x11; 32]);
    body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(&extensions);
    let mut message = std::vec![1];
    message.extend(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend(body);
    message
}

fn put_varint(to: &mut Vec<u8>, value: u64) {
    match value {
        0..64 => to.push(value as u8),
        64..16384 => to.extend((value as u16 | 0x4000).to_be_bytes()),
        _ => to.extend((value as u32 | 0x8000_0000).to_be_bytes()),
    }
}

/// A CRYPTO frame.
pub(super) fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    let mut frame = std::vec![6];
    put_varint(&mut frame, offset as u64);
    put_varint(&mut frame, data.len() as u64);
    frame.extend(data);
    frame
}

/// How a packet is built; the tag is always false, as it is never looked at.
#[derive(Clone)]
pub(super) struct Packet {
    pub(super) version: u32,
    /// Connection ID and version behind the keys.
    pub(super) keys: Vec<u8>,
    pub(super) key_version: Version,
    /// Connection ID in the header.
    pub(super) dcid: Vec<u8>,
    pub(super) token: usize,
    pub(super) number: u64,
    pub(super) number_len: usize,
}

impl Packet {
    pub(super) fn v1(dcid: &[u8]) -> Self {
        Self {
            version: V1,
            keys: dcid.to_vec(),
            key_version: Version::V1,
            dcid: dcid.to_vec(),
            token: 0,
            number: 0,
            number_len: 2,
        }
    }

    pub(super) fn number(&self, number: u64) -> Self {
        Self {
            number,
            ..self.clone()
        }
    }

    /// The packet around `payload`, padded inside to 1200 bytes.
    pub(super) fn padded(&self, payload: &[u8]) -> Vec<u8> {
        let mut payload = payload.to_vec();
        payload.resize(payload.len().max(1150), 0);
        self.seal(&payload)
    }

    pub(super) fn seal(&self, payload: &[u8]) -> Vec<u8> {
        let keys = keys::tests::keys_of(self.key_version, Side::Client, &self.keys);
        let kind = if self.version == V2 { 1 } else { 0 };
        let mut packet = std::vec![0xc0 | kind << 4 | (self.number_len as u8 - 1)];
        packet.extend(self.version.to_be_bytes());
        packet.push(self.dcid.len() as u8);
        packet.extend(&self.dcid);
        packet.extend([3, 1, 2, 3]);
        put_varint(&mut packet, self.token as u64);
        packet.extend(std::iter::repeat_n(0x77, self.token));
        put_varint(&mut packet, (self.number_len + payload.len() + 16) as u64);
        let number_at = packet.len();
        packet.extend(&self.number.to_be_bytes()[8 - self.number_len..]);
        for (i, part) in payload.chunks(16).enumerate() {
            let nonce = [
                keys.iv[0],
                keys.iv[1] ^ (self.number >> 32) as u32,
                keys.iv[2] ^ self.number as u32,
                i as u32 + 2,
            ];
            let stream = aes::encrypt(&keys.packet, nonce).map(u32::to_be_bytes);
            packet.extend(part.iter().zip(stream.as_flattened()).map(|(a, b)| a ^ b));
        }
        packet.extend([0; 16]);
        let mut sample = [0; 4];
        for (i, word) in sample.iter_mut().enumerate() {
            let at = number_at + 4 + 4 * i;
            *word = u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
        }
        let mask = aes::encrypt(&keys.header, sample).map(u32::to_be_bytes);
        let mask = mask.as_flattened();
        packet[0] ^= mask[0] & 0x0f;
        for i in 0..self.number_len {
            packet[number_at + i] ^= mask[1 + i];
        }
        packet
    }
}
