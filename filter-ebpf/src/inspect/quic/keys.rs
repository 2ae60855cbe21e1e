//! Initial keys from the destination connection ID (RFC 9001 §5.2, RFC 9369
//! §3.3): HKDF-SHA-256 in fourteen compressions.
//!
//! Everything that does not depend on the connection ID is computed when this
//! is compiled: the HMAC pads of the two salts and the padded blocks of the
//! labels.

use core::ops::ControlFlow;

use super::{
    Version,
    aes::{self, RoundKeys},
    buffer::{copy, fill},
    sha256::{self, Compression},
};
use crate::bpf::{Step, repeat};

/// Longest connection ID of versions 1 and 2 (RFC 9000 §17.2).
pub const CID_MAX: usize = 20;

/// Whose packets the keys protect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// What protects the Initial packets of one side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Keys {
    pub(crate) packet: RoundKeys,
    pub(crate) header: RoundKeys,
    /// Big-endian words.
    /// Three words and one that means nothing.
    pub(crate) iv: [u32; 4],
}

impl Keys {
    #[inline(always)]
    pub(super) fn set(&mut self, from: &Self) {
        copy(&from.packet, &mut self.packet);
        copy(&from.header, &mut self.header);
        copy(&from.iv, &mut self.iv);
    }
}

/// Working memory of [`derive`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Derivation {
    /// Next compression, `0..STEPS`, times its turns, plus the turn.
    at: u32,
    /// 0: version 1, 1: version 2.
    version: u32,
    /// 0: the client's keys, 1: the server's.
    side: u32,
    /// The connection ID as a padded message block.
    message: [u32; 16],
    hash: Compression,
    /// The states behind the two pads of the present HMAC key.
    inner: [u32; 8],
    outer: [u32; 8],
    /// The pseudorandom key, then client_initial_secret or
    /// server_initial_secret.
    secret: [u32; 8],
    /// key, iv, hp.
    out: [[u32; 4]; 3],
}

/// Two for HKDF-Extract, four for the side's initial secret, two for the pads
/// of that secret, two for each of key, iv and hp.
const STEPS: u32 = 14;

const IPAD: u32 = 0x3636_3636;
const OPAD: u32 = 0x5c5c_5c5c;

const SALTS: [[u32; 5]; 2] = [
    // RFC 9001 §5.2.
    [0x38762cf7, 0xf55934b3, 0x4d179ae6, 0xa4c80cad, 0xccbb7f0a],
    // RFC 9369 §3.3.1.
    [0x0dede3de, 0xf700a6db, 0x819381be, 0x6e269dcb, 0xf9bd2ed9],
];

/// The state behind a salt's inner and outer pad, per version.
static SALT_INNER: [[u32; 8]; 2] = [salt_pad(SALTS[0], IPAD), salt_pad(SALTS[1], IPAD)];
static SALT_OUTER: [[u32; 8]; 2] = [salt_pad(SALTS[0], OPAD), salt_pad(SALTS[1], OPAD)];

/// The blocks that HKDF-Expand-Label hashes behind the inner pad: for a side's
/// secret, and for its key, iv and hp by version.
static SIDES: [[u32; 16]; 2] = [label(b"tls13 client in", 32), label(b"tls13 server in", 32)];
static LABELS: [[[u32; 16]; 3]; 2] = [
    [
        label(b"tls13 quic key", 16),
        label(b"tls13 quic iv", 12),
        label(b"tls13 quic hp", 16),
    ],
    [
        label(b"tls13 quicv2 key", 16),
        label(b"tls13 quicv2 iv", 12),
        label(b"tls13 quicv2 hp", 16),
    ],
];

const fn salt_pad(salt: [u32; 5], pad: u32) -> [u32; 8] {
    let mut block = [pad; 16];
    let mut i = 0;
    while i < 5 {
        block[i] ^= salt[i];
        i += 1;
    }
    sha256::first(block)
}

/// HkdfLabel (RFC 8446 §7.1) with an empty context, the counter byte of
/// HKDF-Expand, and SHA-256's padding for a message behind one pad block.
const fn label(name: &[u8], length: u8) -> [u32; 16] {
    let mut bytes = [0; 64];
    bytes[1] = length;
    bytes[2] = name.len() as u8;
    let mut i = 0;
    while i < name.len() {
        bytes[3 + i] = name[i];
        i += 1;
    }
    // bytes[3 + i] is the empty context's length.
    bytes[4 + i] = 1;
    bytes[5 + i] = 0x80;
    let mut block = [0; 16];
    let mut word = 0;
    while word < 15 {
        let at = 4 * word;
        block[word] = u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        word += 1;
    }
    block[15] = (64 + 5 + i as u32) * 8;
    block
}

impl Derivation {
    /// Lays out `dcid`'s first `len` bytes for `version` and `side`; `len` is
    /// at most [`CID_MAX`], more is cut.
    #[inline(always)]
    pub fn start(&mut self, version: Version, side: Side, dcid: &[u8; CID_MAX], len: u32) {
        self.at = 0;
        self.side = match side {
            Side::Client => 0,
            Side::Server => 1,
        };
        self.version = match version {
            Version::V1 => 0,
            Version::V2 => 1,
        };
        fill(&mut self.message, 0);
        let mut word = 0_u32;
        for i in 0..=CID_MAX {
            let byte = match (i as u32).cmp(&len) {
                core::cmp::Ordering::Less => dcid.get(i).copied().unwrap_or(0x80),
                core::cmp::Ordering::Equal => 0x80,
                core::cmp::Ordering::Greater => 0,
            };
            word = word << 8 | u32::from(byte);
            if i % 4 == 3 {
                self.message[i / 4] = word;
                word = 0;
            }
        }
        self.message[CID_MAX / 4] = word << 24;
        self.message[15] =
            (64 + if len > CID_MAX as u32 {
                CID_MAX as u32
            } else {
                len
            }) * 8;
    }

    /// The digest so far as the second block of an HMAC's outer hash.
    #[inline(always)]
    fn digest_as_block(&mut self) {
        fill(&mut self.hash.block, 0);
        for (to, from) in self.hash.block.iter_mut().zip(&self.hash.state) {
            *to = *from;
        }
        self.hash.block[8] = 0x8000_0000;
        self.hash.block[15] = (64 + 32) * 8;
    }

    /// `secret` under a pad, as the first block of a hash.
    #[inline(always)]
    fn secret_as_pad(&mut self, pad: u32) {
        fill(&mut self.hash.block, pad);
        for (to, from) in self.hash.block.iter_mut().zip(&self.secret) {
            *to ^= *from;
        }
        copy(&sha256::IV, &mut self.hash.state);
    }

    #[inline(always)]
    fn before(&mut self, step: u32) {
        let version = (self.version & 1) as usize;
        match step {
            0 => {
                copy(&SALT_INNER[version], &mut self.hash.state);
                copy(&self.message, &mut self.hash.block);
            }
            1 => {
                self.digest_as_block();
                copy(&SALT_OUTER[version], &mut self.hash.state);
            }
            2 | 6 => self.secret_as_pad(IPAD),
            3 | 7 => self.secret_as_pad(OPAD),
            4 | 8 | 10 | 12 => {
                let label = match step {
                    4 => &SIDES[(self.side & 1) as usize],
                    8 => &LABELS[version][0],
                    10 => &LABELS[version][1],
                    _ => &LABELS[version][2],
                };
                copy(label, &mut self.hash.block);
                copy(&self.inner, &mut self.hash.state);
            }
            _ => {
                self.digest_as_block();
                copy(&self.outer, &mut self.hash.state);
            }
        }
    }

    #[inline(always)]
    fn after(&mut self, step: u32) {
        match step {
            1 | 5 => copy(&self.hash.state, &mut self.secret),
            2 | 6 => copy(&self.hash.state, &mut self.inner),
            3 | 7 => copy(&self.hash.state, &mut self.outer),
            9 | 11 | 13 => {
                let out = match step {
                    9 => &mut self.out[0],
                    11 => &mut self.out[1],
                    _ => &mut self.out[2],
                };
                out[0] = self.hash.state[0];
                out[1] = self.hash.state[1];
                out[2] = self.hash.state[2];
                out[3] = self.hash.state[3];
            }
            _ => {}
        }
    }
}

struct Turn<'a>(&'a mut Derivation);

impl Step for Turn<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        let derivation = &mut *self.0;
        let at = derivation.at;
        derivation.at = at.wrapping_add(1);
        let turn = at % sha256::TURNS;
        if turn == 0 {
            derivation.before(at / sha256::TURNS);
        }
        derivation.hash.turn(turn);
        if turn == sha256::TURNS - 1 {
            derivation.after(at / sha256::TURNS);
        }
        ControlFlow::Continue(())
    }
}

/// Fills `keys` from what [`Derivation::start`] laid out.
#[inline(always)]
pub(crate) fn derive(derivation: &mut Derivation, keys: &mut Keys) {
    repeat(STEPS * sha256::TURNS, &mut Turn(derivation));
    aes::expand(&derivation.out[0], &mut keys.packet);
    aes::expand(&derivation.out[2], &mut keys.header);
    copy(&derivation.out[1], &mut keys.iv);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn keys_of(version: Version, side: Side, dcid: &[u8]) -> Keys {
        let mut cid = [0; CID_MAX];
        cid[..dcid.len()].copy_from_slice(dcid);
        let mut derivation: Derivation = crate::inspect::quic::zeroed();
        let mut keys: Keys = crate::inspect::quic::zeroed();
        derivation.start(version, side, &cid, dcid.len() as u32);
        derive(&mut derivation, &mut keys);
        keys
    }

    const DCID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

    fn check(version: Version, side: Side, key: [u32; 4], iv: [u32; 3], hp: [u32; 4]) {
        let keys = keys_of(version, side, &DCID);
        assert_eq!(keys.packet[..4], key);
        assert_eq!(keys.iv[..3], iv);
        assert_eq!(keys.header[..4], hp);
    }

    /// RFC 9001 appendix A.1.
    #[test]
    fn version_1_vectors() {
        check(
            Version::V1,
            Side::Client,
            [0x1f369613, 0xdd76d546, 0x7730efcb, 0xe3b1a22d],
            [0xfa044b2f, 0x42a3fd3b, 0x46fb255c],
            [0x9f50449e, 0x04a0e810, 0x283a1e99, 0x33adedd2],
        );
        check(
            Version::V1,
            Side::Server,
            [0xcf3a5331, 0x653c364c, 0x88f0f379, 0xb6067e37],
            [0x0ac1493c, 0xa1905853, 0xb0bba03e],
            [0xc206b8d9, 0xb9f0f376, 0x44430b49, 0x0eeaa314],
        );
    }

    /// RFC 9369 appendix A.1.
    #[test]
    fn version_2_vectors() {
        check(
            Version::V2,
            Side::Client,
            [0x8b1a0bc1, 0x21284290, 0xa29e0971, 0xb5cd045d],
            [0x91f73e23, 0x51d8fa91, 0x660e909f],
            [0x45b95e15, 0x235d6f45, 0xa6b19cbc, 0xb0294ba9],
        );
        check(
            Version::V2,
            Side::Server,
            [0x82db6378, 0x61d55e1d, 0x011f19ea, 0x71d5d2a7],
            [0xdd13c276, 0x499c0249, 0xd3310652],
            [0xedf6d05c, 0x83121201, 0xb436e168, 0x77593c3a],
        );
    }
}
