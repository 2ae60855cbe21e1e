//! GHASH (NIST SP 800-38D §6.4) over what fits into one short packet.

use core::ops::ControlFlow;

use crate::{
    bpf::{Step, opaque, repeat},
    inspect::quic::buffer::{fill, put},
};

/// Room for the input: a header of 51 bytes in four blocks, two blocks of
/// ciphertext, one of lengths.
pub(super) const INPUT: usize = 128;
const BLOCK: u32 = 16;

/// Input and state; numbers are big-endian halves of 128 bits.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Ghash {
    pub(super) input: [u8; INPUT],
    /// The hash subkey.
    pub(super) subkey: [u64; 2],
    /// The product so far, at last the hash.
    pub(super) state: [u64; 2],
    /// What the present block is added to.
    before: [u64; 2],
    /// Bytes done.
    at: u32,
    len: u32,
}

impl Ghash {
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        fill(&mut self.input, 0);
        fill(&mut self.state, 0);
        put(&mut self.at, 0);
    }

    /// Hashes the first `len` bytes of `input`, whole blocks.
    #[inline(always)]
    pub(super) fn run(&mut self, len: u32) {
        self.len = len;
        repeat(INPUT as u32, &mut Turn(self));
    }
}

/// One byte, from a block's last to its first: Horner's rule over the bits of
/// the block, so that the product needs no second register.
struct Turn<'a>(&'a mut Ghash);

impl Step for Turn<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        let hash = &mut *self.0;
        let at = hash.at;
        if at >= hash.len {
            return ControlFlow::Break(());
        }
        hash.at = at.wrapping_add(1);
        let [mut high, mut low] = hash.state;
        if at.is_multiple_of(BLOCK) {
            hash.before = [high, low];
            (high, low) = (0, 0);
        }
        let index = opaque(u64::from(at ^ (BLOCK - 1))) as usize & (INPUT - 1);
        let mut bits = hash.before[1] ^ u64::from(hash.input[index]);
        hash.before[1] = hash.before[1] >> 8 | hash.before[0] << 56;
        hash.before[0] >>= 8;
        for _ in 0..8 {
            // Times x is a shift to the right here (§6.3).
            let reduce = 0_u64.wrapping_sub(low & 1) & 0xe1 << 56;
            low = low >> 1 | high << 63;
            high = high >> 1 ^ reduce;
            let add = 0_u64.wrapping_sub(bits & 1);
            high ^= hash.subkey[0] & add;
            low ^= hash.subkey[1] & add;
            bits >>= 1;
        }
        hash.state = [high, low];
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test cases 2 and 4 of McGrew and Viega, "The Galois/Counter Mode of
    /// Operation", appendix B.
    #[test]
    fn published_hashes() {
        let run = |subkey: u128, blocks: &[u128]| {
            let mut hash: Ghash = crate::inspect::quic::zeroed();
            hash.state = [7, 7];
            hash.clear();
            hash.subkey = [(subkey >> 64) as u64, subkey as u64];
            for (to, block) in hash.input.chunks_mut(16).zip(blocks) {
                to.copy_from_slice(&block.to_be_bytes());
            }
            hash.run(16 * blocks.len() as u32);
            u128::from(hash.state[0]) << 64 | u128::from(hash.state[1])
        };
        assert_eq!(
            run(
                0x66e94bd4ef8a2c3b884cfa59ca342b2e,
                &[0x0388dace60b6a392f328c2b971b2fe78, 0x80]
            ),
            0xf38cbb1ad69223dcc3457ae5b6b0f885
        );
        assert_eq!(
            run(
                0xb83b533708bf535d0aa6e52980d53b78,
                &[
                    0xfeedfacedeadbeeffeedfacedeadbeef,
                    0xabaddad2000000000000000000000000,
                    0x42831ec2217774244b7221b784d0d49c,
                    0xe3aa212f2c02a4e035c17e2329aca12e,
                    0x21d514b25466931c7d8f6a5aac84aa05,
                    0x1ba30b396a0aac973d58e09100000000,
                    0x00000000000000a000000000000001e0,
                ]
            ),
            0x698e57f70e6ecc7fd9463b7260a9ae5f
        );
    }
}
