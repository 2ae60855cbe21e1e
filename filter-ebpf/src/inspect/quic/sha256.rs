//! SHA-256's compression function (FIPS 180-4 §6.2.2).
//!
//! Only the compression: every message hashed here is one padded block behind
//! an HMAC pad, so padding is done by whoever lays the block.

/// The initial hash value (FIPS 180-4 §5.3.3).
pub(super) const IV: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// FIPS 180-4 §4.2.2. A row for each turn.
static K: [[u32; 16]; 4] = [
    [
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174,
    ],
    [
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc,
        0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
        0x06ca6351, 0x14292967,
    ],
    [
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e,
        0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624,
        0xf40e3585, 0x106aa070,
    ],
    [
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
        0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb,
        0xbef9a3f7, 0xc67178f2,
    ],
];

/// A word beside itself: shifted to the right, its lower half is the word
/// rotated. BPF cannot rotate, so this saves two of three instructions.
#[inline(always)]
const fn twice(word: u32) -> u64 {
    (word as u64) << 32 | word as u64
}

/// Three rotations of a word, added without carry (FIPS 180-4 §4.1.2).
#[inline(always)]
const fn rotations(twice: u64, a: u32, b: u32, c: u32) -> u32 {
    (twice >> a ^ twice >> b ^ twice >> c) as u32
}

macro_rules! round {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $k:expr, $w:expr) => {
        let t1 = $h
            .wrapping_add(rotations(twice($e), 6, 11, 25))
            .wrapping_add($g ^ ($e & ($f ^ $g)))
            .wrapping_add($k)
            .wrapping_add($w);
        $d = $d.wrapping_add(t1);
        $h = t1
            .wrapping_add(rotations(twice($a), 2, 13, 22))
            .wrapping_add(($a & $b) | ($c & ($a | $b)));
    };
}

/// Sixteen rounds, the schedule's next words made in place after each turn
/// but the last (FIPS 180-4 §6.2.2 step 1, as a ring of sixteen words).
macro_rules! sixteen {
    ($k:ident, $w:ident, $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident) => {
        round!($a $b $c $d $e $f $g $h, $k[0], $w[0]);
        round!($h $a $b $c $d $e $f $g, $k[1], $w[1]);
        round!($g $h $a $b $c $d $e $f, $k[2], $w[2]);
        round!($f $g $h $a $b $c $d $e, $k[3], $w[3]);
        round!($e $f $g $h $a $b $c $d, $k[4], $w[4]);
        round!($d $e $f $g $h $a $b $c, $k[5], $w[5]);
        round!($c $d $e $f $g $h $a $b, $k[6], $w[6]);
        round!($b $c $d $e $f $g $h $a, $k[7], $w[7]);
        round!($a $b $c $d $e $f $g $h, $k[8], $w[8]);
        round!($h $a $b $c $d $e $f $g, $k[9], $w[9]);
        round!($g $h $a $b $c $d $e $f, $k[10], $w[10]);
        round!($f $g $h $a $b $c $d $e, $k[11], $w[11]);
        round!($e $f $g $h $a $b $c $d, $k[12], $w[12]);
        round!($d $e $f $g $h $a $b $c, $k[13], $w[13]);
        round!($c $d $e $f $g $h $a $b, $k[14], $w[14]);
        round!($b $c $d $e $f $g $h $a, $k[15], $w[15]);
    };
}

macro_rules! schedule {
    ($w:ident: $($i:literal $i1:literal $i9:literal $i14:literal),+) => {$(
        $w[$i] = $w[$i]
            .wrapping_add((twice($w[$i1]) >> 7 ^ twice($w[$i1]) >> 18) as u32 ^ ($w[$i1] >> 3))
            .wrapping_add($w[$i9])
            .wrapping_add((twice($w[$i14]) >> 17 ^ twice($w[$i14]) >> 19) as u32 ^ ($w[$i14] >> 10));
    )+};
}

macro_rules! next_sixteen {
    ($w:ident) => {
        schedule!($w: 0 1 9 14, 1 2 10 15, 2 3 11 0, 3 4 12 1, 4 5 13 2, 5 6 14 3, 6 7 15 4, 7 8 0 5,
                  8 9 1 6, 9 10 2 7, 10 11 3 8, 11 12 4 9, 12 13 5 10, 13 14 6 11, 14 15 7 12, 15 0 8 13)
    };
}

/// A compression in four turns of sixteen rounds, so that the kernel half
/// keeps no more on its stack than one turn needs.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Compression {
    /// The chaining value.
    pub(super) state: [u32; 8],
    /// The working variables.
    work: [u32; 8],
    /// The message block as big-endian words, used up by the rounds.
    pub(super) block: [u32; 16],
}

/// Turns of one compression.
pub(super) const TURNS: u32 = 4;

impl Compression {
    #[inline(always)]
    pub(super) const fn turn(&mut self, turn: u32) {
        let start = if turn == 0 { &self.state } else { &self.work };
        let k = &K[(turn & 3) as usize];
        let w = &mut self.block;
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *start;
        sixteen!(k, w, a b c d e f g h);
        self.work = [a, b, c, d, e, f, g, h];
        if turn != TURNS - 1 {
            next_sixteen!(w);
        } else {
            self.state[0] = self.state[0].wrapping_add(a);
            self.state[1] = self.state[1].wrapping_add(b);
            self.state[2] = self.state[2].wrapping_add(c);
            self.state[3] = self.state[3].wrapping_add(d);
            self.state[4] = self.state[4].wrapping_add(e);
            self.state[5] = self.state[5].wrapping_add(f);
            self.state[6] = self.state[6].wrapping_add(g);
            self.state[7] = self.state[7].wrapping_add(h);
        }
    }
}

/// The state after `block` from the initial hash value.
pub(super) const fn first(block: [u32; 16]) -> [u32; 8] {
    let mut compression = Compression {
        state: IV,
        work: IV,
        block,
    };
    let mut turn = 0;
    while turn < TURNS {
        compression.turn(turn);
        turn += 1;
    }
    compression.state
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's example: "abc" in one padded block.
    #[test]
    fn abc() {
        let mut block = [0; 16];
        block[0] = u32::from_be_bytes(*b"abc\x80");
        block[15] = 24;
        let want = [
            0xba78_16bf_u32,
            0x8f01_cfea,
            0x4141_40de,
            0x5dae_2223,
            0xb003_61a3,
            0x9617_7a9c,
            0xb410_ff61,
            0xf200_15ad,
        ];
        assert_eq!(first(block), want);
    }
}
