//! A server's Initial packet that ends the connection (RFC 9000 §17.2.2,
//! §19.19), sealed by AES-128-GCM (RFC 9001 §5.3, §5.4).

use core::ops::ControlFlow;

use super::Refusal;
use crate::{
    bpf::{Step, opaque, repeat},
    inspect::quic::{Side, Version, aes, buffer::put, keys::derive},
};

/// CONNECTION_CLOSE with CONNECTION_REFUSED (§20.1): the connection was to be
/// accepted by nobody. Browsers turn to TCP, libraries show the reason.
const FRAMES: &[u8; 32] = b"\x1c\x02\x00\x1cblocked by the school filter";
const FRAMES_LEN: u32 = FRAMES.len() as u32;
const TAG: u32 = 16;
/// Two bytes, and above all that a server has sent before its handshake.
const NUMBER: u16 = 1000;
const NUMBER_LEN: u32 = 2;
/// What the header says of the bytes behind it, in one byte (RFC 9000 §16).
const LENGTH: u8 = (NUMBER_LEN + FRAMES_LEN + TAG) as u8;
const _: () = assert!(LENGTH < 64 && FRAMES_LEN.is_multiple_of(16));

static PLAIN: [u32; 8] = words();

const fn words() -> [u32; 8] {
    let mut words = [0; 8];
    let mut i = 0;
    while i < 8 {
        let at = 4 * i;
        words[i] = u32::from_be_bytes([FRAMES[at], FRAMES[at + 1], FRAMES[at + 2], FRAMES[at + 3]]);
        i += 1;
    }
    words
}

impl Refusal {
    /// Writes a packet that ends the connection.
    #[inline(always)]
    pub fn close(&mut self) {
        let version = Version::from_wire(self.version).unwrap_or(Version::V1);
        self.derivation
            .start(version, Side::Server, &self.key_id, self.key_len);
        derive(&mut self.derivation, &mut self.keys);

        let kind = match version {
            Version::V1 => 0,
            // RFC 9369 §3.2.
            Version::V2 => 1,
        };
        let at = self.long_header(0xc0 | kind << 4 | (NUMBER_LEN as u8 - 1), self.version);
        // No token.
        self.put8(at, 0);
        self.put8(at.wrapping_add(1), LENGTH);
        let [upper, lower] = NUMBER.to_be_bytes();
        self.put8(at.wrapping_add(2), upper);
        self.put8(at.wrapping_add(3), lower);
        self.header_len = at.wrapping_add(4);
        self.len = self.header_len.wrapping_add(FRAMES_LEN + TAG);

        self.ghash.clear();
        self.hash_header();
        put(&mut self.block, 0);
        repeat(Turn::MASK + 1, &mut Turn(self));
        // Lengths in bits.
        let lengths_at = self.hashed_header().wrapping_add(FRAMES_LEN);
        self.hash32(lengths_at.wrapping_add(4), self.header_len << 3);
        self.hash32(lengths_at.wrapping_add(12), FRAMES_LEN << 3);
        self.ghash.run(lengths_at.wrapping_add(16));
        self.tag();
    }

    /// Bytes of the header with the zeroes that fill its last block.
    #[inline(always)]
    fn hashed_header(&self) -> u32 {
        self.header_len.wrapping_add(15) & !15
    }

    /// Hashes the header as it is before its protection.
    #[inline(always)]
    fn hash_header(&mut self) {
        // Behind the header the packet is still zero.
        for i in 0..64 {
            put(&mut self.ghash.input[i], self.packet[i]);
        }
    }

    #[inline(always)]
    fn hash32(&mut self, at: u32, word: u32) {
        for (i, byte) in word.to_be_bytes().iter().enumerate() {
            let at =
                opaque(u64::from(at.wrapping_add(i as u32))) as usize & (super::ghash::INPUT - 1);
            put(&mut self.ghash.input[at], *byte);
        }
    }

    #[inline(always)]
    fn tag(&mut self) {
        let [high, low] = self.ghash.state;
        let mask = self.tag_mask;
        let at = self.header_len.wrapping_add(FRAMES_LEN);
        self.put32(at, (high >> 32) as u32 ^ mask[0]);
        self.put32(at.wrapping_add(4), high as u32 ^ mask[1]);
        self.put32(at.wrapping_add(8), (low >> 32) as u32 ^ mask[2]);
        self.put32(at.wrapping_add(12), low as u32 ^ mask[3]);
    }
}

/// One block of the cipher: the hash subkey, the tag's mask, the frames, the
/// mask of the header.
struct Turn<'a>(&'a mut Refusal);

impl Turn<'_> {
    const SUBKEY: u32 = 0;
    const TAG: u32 = 1;
    const MASK: u32 = Self::TAG + FRAMES_LEN / 16 + 1;

    /// The block before the cipher.
    #[inline(always)]
    fn input(&self, turn: u32) -> [u32; 4] {
        let refusal = &*self.0;
        if turn == Self::SUBKEY {
            return [0; 4];
        }
        if turn == Self::MASK {
            // The sample starts four bytes behind the number's first.
            let at = refusal.header_len.wrapping_sub(NUMBER_LEN).wrapping_add(4);
            return [
                refusal.word(at),
                refusal.word(at.wrapping_add(4)),
                refusal.word(at.wrapping_add(8)),
                refusal.word(at.wrapping_add(12)),
            ];
        }
        let iv = &refusal.keys.iv;
        // Counter 1 belongs to the tag, the frames follow.
        [iv[0], iv[1], iv[2] ^ u32::from(NUMBER), turn]
    }

    #[inline(always)]
    fn unmask(&mut self, mask: u32) {
        let refusal = &mut *self.0;
        let number_at = refusal.header_len.wrapping_sub(NUMBER_LEN);
        let [first, upper, lower, _] = mask.to_be_bytes();
        let [number_upper, number_lower] = NUMBER.to_be_bytes();
        refusal.put8(0, refusal.packet[0] ^ (first & 0x0f));
        refusal.put8(number_at, number_upper ^ upper);
        refusal.put8(number_at.wrapping_add(1), number_lower ^ lower);
    }
}

impl Step for Turn<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        let turn = self.0.block;
        if turn > Self::MASK {
            return ControlFlow::Break(());
        }
        self.0.block = turn.wrapping_add(1);
        let input = self.input(turn);
        let keys = if turn == Self::MASK {
            &self.0.keys.header
        } else {
            &self.0.keys.packet
        };
        let out = aes::encrypt(keys, input);
        match turn {
            Self::SUBKEY => {
                self.0.ghash.subkey = [
                    u64::from(out[0]) << 32 | u64::from(out[1]),
                    u64::from(out[2]) << 32 | u64::from(out[3]),
                ];
            }
            Self::TAG => self.0.tag_mask = out,
            Self::MASK => self.unmask(out[0]),
            _ => {
                let block = turn.wrapping_sub(Self::TAG + 1);
                let to = block << 4;
                let packet_at = self.0.header_len.wrapping_add(to);
                let hash_at = self.0.hashed_header().wrapping_add(to);
                for (i, word) in out.iter().enumerate() {
                    let at = opaque(u64::from((block << 2).wrapping_add(i as u32))) as usize & 7;
                    let word = word ^ PLAIN[at];
                    let i = 4 * i as u32;
                    self.0.put32(packet_at.wrapping_add(i), word);
                    self.0.hash32(hash_at.wrapping_add(i), word);
                }
            }
        }
        ControlFlow::Continue(())
    }
}
