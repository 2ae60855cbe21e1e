//! AES-128, encryption only (FIPS 197), by tables of 32-bit words.
//!
//! Tables leak their indices through the cache. That is no loss here: the
//! keys of an Initial packet follow from bytes that everybody on the path can
//! read (RFC 9001 §5.2).

/// An expanded key: eleven round keys of four big-endian words.
pub(crate) type RoundKeys = [u32; 44];

static SBOX: [u8; 256] = sbox();

/// SubBytes, ShiftRows and MixColumns in one look-up for each of the four
/// bytes of a column; each table is the one before, turned by a byte.
static TE0: [u32; 256] = columns(0);
static TE1: [u32; 256] = columns(8);
static TE2: [u32; 256] = columns(16);
static TE3: [u32; 256] = columns(24);

/// Multiplies by x in GF(2^8) (FIPS 197 §4.2.1).
const fn xtime(byte: u8) -> u8 {
    (byte << 1) ^ (((byte >> 7) & 1) * 0x1b)
}

const fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        a = xtime(a);
        b >>= 1;
    }
    product
}

/// FIPS 197 §5.1.1: the inverse in GF(2^8), then an affine map.
const fn sbox() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        // The inverse is the 254th power: 254 = 2 + 4 + … + 128.
        let mut power = i as u8;
        let mut inverse = 1;
        let mut n = 0;
        while n < 7 {
            power = multiply(power, power);
            inverse = multiply(inverse, power);
            n += 1;
        }
        table[i] = inverse
            ^ inverse.rotate_left(1)
            ^ inverse.rotate_left(2)
            ^ inverse.rotate_left(3)
            ^ inverse.rotate_left(4)
            ^ 0x63;
        i += 1;
    }
    table
}

const fn columns(turn: u32) -> [u32; 256] {
    let sbox = sbox();
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let s = sbox[i];
        let column = u32::from_be_bytes([xtime(s), s, s, xtime(s) ^ s]);
        table[i] = column.rotate_right(turn);
        i += 1;
    }
    table
}

#[inline(always)]
fn byte(word: u32, index: u32) -> usize {
    ((word >> (24 - 8 * index)) & 0xff) as usize
}

#[inline(always)]
fn sub_word(word: u32) -> u32 {
    u32::from(SBOX[byte(word, 0)]) << 24
        | u32::from(SBOX[byte(word, 1)]) << 16
        | u32::from(SBOX[byte(word, 2)]) << 8
        | u32::from(SBOX[byte(word, 3)])
}

#[inline(always)]
fn mixed(a: u32, b: u32, c: u32, d: u32, key: u32) -> u32 {
    TE0[byte(a, 0)] ^ TE1[byte(b, 1)] ^ TE2[byte(c, 2)] ^ TE3[byte(d, 3)] ^ key
}

#[inline(always)]
fn last(a: u32, b: u32, c: u32, d: u32, key: u32) -> u32 {
    (u32::from(SBOX[byte(a, 0)]) << 24
        | u32::from(SBOX[byte(b, 1)]) << 16
        | u32::from(SBOX[byte(c, 2)]) << 8
        | u32::from(SBOX[byte(d, 3)]))
        ^ key
}

macro_rules! expand {
    ($keys:ident: $($at:literal $constant:literal),+) => {$(
        $keys[$at] = $keys[$at - 4] ^ sub_word($keys[$at - 1].rotate_left(8)) ^ ($constant << 24);
        $keys[$at + 1] = $keys[$at - 3] ^ $keys[$at];
        $keys[$at + 2] = $keys[$at - 2] ^ $keys[$at + 1];
        $keys[$at + 3] = $keys[$at - 1] ^ $keys[$at + 2];
    )+};
}

/// FIPS 197 §5.2. The key is four big-endian words.
#[inline(never)]
pub(super) fn expand(key: &[u32; 4], keys: &mut RoundKeys) {
    keys[0] = key[0];
    keys[1] = key[1];
    keys[2] = key[2];
    keys[3] = key[3];
    expand!(keys: 4 0x01, 8 0x02, 12 0x04, 16 0x08, 20 0x10, 24 0x20, 28 0x40, 32 0x80, 36 0x1b, 40 0x36);
}

macro_rules! rounds {
    ($keys:ident, $a:ident $b:ident $c:ident $d:ident: $($at:literal),+) => {$(
        let (p, q, r, s) = (
            mixed($a, $b, $c, $d, $keys[$at]),
            mixed($b, $c, $d, $a, $keys[$at + 1]),
            mixed($c, $d, $a, $b, $keys[$at + 2]),
            mixed($d, $a, $b, $c, $keys[$at + 3]),
        );
        ($a, $b, $c, $d) = (p, q, r, s);
    )+};
}

/// What the first two rounds make of a block whose last byte is still
/// missing: of a column of the first round everything but that byte, then the
/// second round's columns without that column.
///
/// Blocks of a counter differ in their last byte only, 255 times out of 256,
/// and that byte reaches one column in the first round (D. J. Bernstein,
/// P. Schwabe, "New AES Software Speed Records", 2008): 27 of 160 look-ups
/// are the same for all of them.
pub(super) type Ahead = [u32; 5];

/// Prepares the blocks that begin like `block`, four big-endian words.
#[inline(always)]
pub(super) fn ahead(keys: &RoundKeys, block: [u32; 4]) -> Ahead {
    let a = block[0] ^ keys[0];
    let b = block[1] ^ keys[1];
    let c = block[2] ^ keys[2];
    let d = block[3] ^ keys[3];
    let q = mixed(b, c, d, a, keys[5]);
    let r = mixed(c, d, a, b, keys[6]);
    let s = mixed(d, a, b, c, keys[7]);
    [
        TE0[byte(a, 0)] ^ TE1[byte(b, 1)] ^ TE2[byte(c, 2)] ^ keys[4],
        TE1[byte(q, 1)] ^ TE2[byte(r, 2)] ^ TE3[byte(s, 3)] ^ keys[8],
        TE0[byte(q, 0)] ^ TE1[byte(r, 1)] ^ TE2[byte(s, 2)] ^ keys[9],
        TE0[byte(r, 0)] ^ TE1[byte(s, 1)] ^ TE3[byte(q, 3)] ^ keys[10],
        TE0[byte(s, 0)] ^ TE2[byte(q, 2)] ^ TE3[byte(r, 3)] ^ keys[11],
    ]
}

/// Encrypts the block that begins as `ahead` says and ends with the lowest
/// byte of `end` (FIPS 197 §5.1).
#[inline(always)]
pub(super) fn finish(keys: &RoundKeys, ahead: &Ahead, end: u32) -> [u32; 4] {
    let p = ahead[0] ^ TE3[byte(end ^ keys[3], 3)];
    let mut a = ahead[1] ^ TE0[byte(p, 0)];
    let mut b = ahead[2] ^ TE3[byte(p, 3)];
    let mut c = ahead[3] ^ TE2[byte(p, 2)];
    let mut d = ahead[4] ^ TE1[byte(p, 1)];
    rounds!(keys, a b c d: 12, 16, 20, 24, 28, 32, 36);
    [
        last(a, b, c, d, keys[40]),
        last(b, c, d, a, keys[41]),
        last(c, d, a, b, keys[42]),
        last(d, a, b, c, keys[43]),
    ]
}

/// Encrypts one block of four big-endian words.
#[inline(always)]
pub(crate) fn encrypt(keys: &RoundKeys, block: [u32; 4]) -> [u32; 4] {
    finish(keys, &ahead(keys, block), block[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(hex: u128) -> [u32; 4] {
        [
            (hex >> 96) as u32,
            (hex >> 64) as u32,
            (hex >> 32) as u32,
            hex as u32,
        ]
    }

    /// FIPS 197 appendices A.1 and B.
    #[test]
    fn published_example() {
        let mut keys = [0; 44];
        expand(&words(0x2b7e1516_28aed2a6_abf71588_09cf4f3c), &mut keys);
        assert_eq!(keys[43], 0xb663_0ca6);
        // The last byte does not matter yet.
        let block = words(0x3243f6a8_885a308d_313198a2_e0370734);
        let other = words(0x3243f6a8_885a308d_313198a2_e03707ff);
        let prepared = ahead(&keys, block);
        assert_eq!(prepared, ahead(&keys, other));
        assert_eq!(
            finish(&keys, &prepared, block[3]),
            words(0x3925841d_02dc09fb_dc118597_196a0b32)
        );
    }
}
