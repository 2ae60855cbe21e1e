//! Gathering and reading host names.

use core::ops::ControlFlow;

use crate::abi::{Hello, NAME_MAX};
use crate::bpf::{Step, equal, is_zero, less, load, opaque, repeat, store};
use crate::inspect::scan::{clear, tail_of};

/// Gathers a name by up to eight bytes at once and holds every later name
/// against the first: a hello that names two hosts is judged by neither (T17).
///
/// All of it is arithmetic on whole words without a branch: the verifier would
/// follow both sides of each.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Gather {
    /// Bytes of the present name so far.
    at: u32,
    /// 1: a name is complete.
    names: u32,
    /// 1: the byte before was a dot, or there is none; to see empty labels.
    dot: u32,
    /// 1: the name has a colon, so it must be an IPv6 address.
    colon: u32,
}

impl Gather {
    /// A name begins.
    #[inline(always)]
    pub(crate) fn begin(&mut self) {
        self.at = 0;
        self.dot = 1;
    }

    /// Whether at least one name is complete.
    #[inline(always)]
    pub(crate) fn is_named(&self) -> bool {
        self.names != 0
    }

    /// Whether the present name has no byte yet.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.at == 0
    }

    #[inline(always)]
    pub(crate) fn has_colon(&self) -> bool {
        self.colon != 0
    }

    /// Takes the name's next bytes, the first `count` (1 to 8) of `word`, whose
    /// first one is the lowest; 1, or 0 when no host's name has one of them
    /// there, or when they differ from the name before.
    ///
    /// Letters, digits, `-`, `.`, and `_`, which hosts in use do have; `:`
    /// for addresses. What else is sent (spaces, NUL, raw UTF-8) would match
    /// no list entry and might mean another host to the server (T16).
    #[inline(always)]
    pub(crate) fn push(
        &mut self,
        name: &mut [u8; NAME_MAX],
        len: u8,
        word: u64,
        count: u32,
    ) -> u32 {
        let at = self.at;
        let taken = low_bytes(count);
        let word = lower(word) & taken;
        let dots = equal_bytes(word, b'.');
        // A word that starts at one of the last bytes lies in the word of them.
        let past = at.wrapping_sub(LAST_WORD) & less(LAST_WORD, at).wrapping_neg();
        let place = u64::from(at.wrapping_sub(past));
        let place = opaque(place) & (NAME_MAX as u64 - 1);
        let shift = u64::from(at).wrapping_sub(place).wrapping_mul(8) & 63;
        // SAFETY: `place` is at most LAST_WORD, eight bytes from the end.
        let (to, kept) = unsafe {
            let to = name.as_mut_ptr().add(place as usize);
            (to, load(to))
        };

        let doubled = dots & (dots << 8 | u64::from(self.dot) << 7);
        let as_first = is_zero(doubled);

        // The name before has so many bytes left here, and perhaps a dot at
        // its end that was stripped.
        let len = u32::from(len);
        let left = len.wrapping_sub(at) & less(at, len).wrapping_neg();
        let left = left & less(left, 8).wrapping_neg() | 8 & less(7, left).wrapping_neg();
        let differs = (kept >> shift ^ word) & taken & low_bytes(left);
        let dot_behind = (dots >> (left.wrapping_mul(8).wrapping_add(7) & 63)) as u32
            & equal(count, left.wrapping_add(1))
            & equal(at.wrapping_add(left), len);
        let repeats = is_zero(differs) & (less(count, left.wrapping_add(1)) | dot_behind);

        let first = 1 ^ self.names;
        let fine = (first & as_first | self.names & repeats)
            & is_zero(!name_bytes(word) & taken & HIGH)
            & less(at.wrapping_add(count), NAME_MAX as u32 + 1);
        let colons = equal_bytes(word, b':') & taken;
        self.at = at.wrapping_add(count);
        self.dot = (dots >> (count.wrapping_mul(8).wrapping_sub(1) & 63)) as u32 & 1;
        self.colon |= first & (1 ^ is_zero(colons));
        let written = kept & (1u64 << shift).wrapping_sub(1) | word << shift;
        // SAFETY: as above.
        unsafe {
            store(
                to,
                kept ^ (kept ^ written) & u64::from(first).wrapping_neg(),
            )
        };
        fine
    }

    /// The name is complete; one trailing dot is stripped. `false` when
    /// nothing is left, or when it is shorter than the name before.
    #[inline(always)]
    pub(crate) fn end(&mut self, name: &mut [u8; NAME_MAX], len: &mut u8) -> bool {
        let at = self.at;
        if self.names != 0 {
            return at >= u32::from(*len);
        }
        let mut kept = at;
        if self.dot != 0 && at != 0 {
            kept = at.wrapping_sub(1);
            *slot(name, kept) = 0;
        }
        if kept == 0 || kept >= NAME_MAX as u32 {
            return false;
        }
        *len = kept as u8;
        self.names = 1;
        true
    }
}

/// An address written as a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal {
    /// Host byte order.
    V4(u32),
    /// Upper and lower 64 bits, host byte order.
    V6(u64, u64),
}

/// Reads the name of a finished hello as an address: IPv4 as `inet_aton(3)`
/// takes it (`1.2.3.4`, `0x7f.1`, `3232235777`: a proxy may do so too), IPv6
/// as in RFC 4291 §2.2.
///
/// The end of `Hello::state` is the loop's memory; a finished hello needs it
/// no more, nor does an HTTP head that is fed on.
#[inline(always)]
pub fn literal(hello: &mut Hello) -> Option<Literal> {
    let last = *slot(&mut hello.name, u32::from(hello.name_len).wrapping_sub(1));
    // `g` to `z` end no address; `x` ends `0x`, which nobody sends.
    if hello.name_len == 0 || !(last.is_ascii_hexdigit() || last == b':') {
        return None;
    }
    read_literal(hello)
}

#[inline(never)]
fn read_literal(hello: &mut Hello) -> Option<Literal> {
    let len = u32::from(hello.name_len);
    clear(tail_of::<[u64; LITERAL_STATE / 8]>(&mut hello.state));
    let state = tail_of::<Reader>(&mut hello.state);
    repeat(
        NAME_MAX as u32 + 1,
        &mut Read {
            state,
            name: &mut hello.name,
            len,
        },
    );
    let state = tail_of::<Reader>(&mut hello.state);
    match state.kind {
        Reader::IS_V4 => Some(Literal::V4(state.v4 as u32)),
        Reader::IS_V6 => Some(Literal::V6(state.upper, state.lower)),
        _ => None,
    }
}

/// The memory of [`literal`].
#[derive(Clone, Copy)]
#[repr(C)]
struct Reader {
    /// The part so far, as decimal, octal or hexadecimal number.
    part: u64,
    /// IPv4 parts so far, in the lower bits.
    v4: u64,
    /// The part so far as hexadecimal number (groups of IPv6). Not beside
    /// `part`: LLVM makes a call of memset from clearing two neighbours.
    hex: u64,
    upper: u64,
    lower: u64,
    /// What follows `::`, at the lower end.
    tail_upper: u64,
    tail_lower: u64,
    at: u16,
    /// Digits of this part.
    digits: u16,
    base: u8,
    /// IPv4 parts complete.
    parts: u8,
    /// IPv6 groups complete, before and after `::`.
    head: u8,
    tail: u8,
    /// 1: `::` was seen.
    gap: u8,
    /// The byte before; 0 at the start.
    before: u8,
    kind: u8,
    /// 1: a colon was seen.
    is_v6: u8,
    reserved: u32,
}

/// Bytes at the end of `Hello::state` that [`literal`] overwrites.
pub(crate) const LITERAL_STATE: usize = size_of::<Reader>();

impl Reader {
    const IS_V4: u8 = 1;
    const IS_V6: u8 = 2;

    /// Takes a byte; `None` when this is no address.
    #[inline(always)]
    fn take(&mut self, byte: u8) -> Option<()> {
        match byte {
            b':' => self.colon()?,
            b'.' => self.dot()?,
            _ => self.digit(byte)?,
        }
        self.before = byte;
        Some(())
    }

    #[inline(always)]
    fn digit(&mut self, byte: u8) -> Option<()> {
        let digit = u64::from(match byte {
            b'0'..=b'9' => byte.wrapping_sub(b'0'),
            b'a'..=b'f' => byte.wrapping_sub(b'a' - 10),
            b'x' if self.is_v6 == 0 && self.digits == 1 && self.part == 0 && self.base == 10 => {
                self.base = 16;
                return Some(());
            }
            _ => return None,
        });
        if self.before == b':' && self.head == 0 && self.gap == 0 {
            // A colon at the start must be the first of two.
            return None;
        }
        if self.digits == 0 {
            self.base = 10;
        } else if self.digits == 1 && self.part == 0 && self.base == 10 && self.is_v6 == 0 {
            self.base = 8;
        }
        self.hex = (self.hex << 4) | digit;
        // A part that is no number of its base may still be a group of IPv6.
        self.part = if digit < u64::from(self.base) && self.part <= u64::from(u32::MAX) {
            self.part
                .wrapping_mul(u64::from(self.base))
                .wrapping_add(digit)
        } else {
            u64::MAX
        };
        self.digits = self.digits.wrapping_add(1);
        if self.is_v6 != 0 && self.digits > 4 {
            return None;
        }
        Some(())
    }

    #[inline(always)]
    fn dot(&mut self) -> Option<()> {
        if self.digits == 0 || self.part > 255 || self.parts >= 3 {
            return None;
        }
        self.v4 = (self.v4 << 8) | self.part;
        self.parts = self.parts.wrapping_add(1);
        self.next_part();
        Some(())
    }

    #[inline(always)]
    fn colon(&mut self) -> Option<()> {
        if self.parts != 0 {
            return None;
        }
        self.is_v6 = 1;
        if self.before == b':' {
            if self.gap != 0 {
                return None;
            }
            self.gap = 1;
            return Some(());
        }
        if self.digits == 0 {
            return if self.before == 0 { Some(()) } else { None };
        }
        if self.digits > 4 {
            return None;
        }
        let group = self.hex;
        self.next_part();
        self.group(group)
    }

    #[inline(always)]
    fn next_part(&mut self) {
        self.part = 0;
        self.hex = 0;
        self.digits = 0;
        self.base = 10;
    }

    #[inline(always)]
    fn group(&mut self, group: u64) -> Option<()> {
        if self.head.wrapping_add(self.tail) >= 8 {
            return None;
        }
        if self.gap != 0 {
            self.tail_upper = (self.tail_upper << 16) | (self.tail_lower >> 48);
            self.tail_lower = (self.tail_lower << 16) | group;
            self.tail = self.tail.wrapping_add(1);
            return Some(());
        }
        let shift = 48u32.wrapping_sub(u32::from(self.head & 3) << 4) & 63;
        if self.head < 4 {
            self.upper |= group << shift;
        } else {
            self.lower |= group << shift;
        }
        self.head = self.head.wrapping_add(1);
        Some(())
    }

    #[inline(always)]
    fn end(&mut self) -> Option<()> {
        if self.is_v6 == 0 {
            // The last part fills the bytes that are left.
            let bits = 32u32.wrapping_sub(u32::from(self.parts).wrapping_mul(8)) & 63;
            if self.digits == 0 || self.parts > 3 || (self.part >> bits) != 0 {
                return None;
            }
            self.v4 = (self.v4 << bits) | self.part;
            self.kind = Self::IS_V4;
            return Some(());
        }
        if self.parts != 0 {
            if self.parts != 3 || self.digits == 0 || self.part > 255 {
                return None;
            }
            let v4 = (self.v4 << 8) | self.part;
            self.group((v4 >> 16) & 0xffff)?;
            self.group(v4 & 0xffff)?;
        } else if self.digits != 0 {
            self.group(self.hex)?;
        } else if self.before == b':' && !self.ends_in_gap() {
            return None;
        }
        let groups = self.head.wrapping_add(self.tail);
        if (self.gap == 0 && groups != 8) || (self.gap != 0 && groups > 7) {
            return None;
        }
        self.upper |= self.tail_upper;
        self.lower |= self.tail_lower;
        self.kind = Self::IS_V6;
        Some(())
    }

    /// A colon at the end must be the second of two.
    #[inline(always)]
    fn ends_in_gap(&self) -> bool {
        self.gap != 0 && self.tail == 0
    }
}

struct Read<'a> {
    state: &'a mut Reader,
    name: &'a mut [u8; NAME_MAX],
    len: u32,
}

impl Step for Read<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        let at = self.state.at;
        if u32::from(at) >= self.len {
            let _ = self.state.end();
            return ControlFlow::Break(());
        }
        self.state.at = at.wrapping_add(1);
        match self.state.take(*slot(self.name, u32::from(at))) {
            Some(()) => ControlFlow::Continue(()),
            None => ControlFlow::Break(()),
        }
    }
}

/// The byte of a name at `at`, taken modulo the name's size.
#[inline(always)]
fn slot(name: &mut [u8; NAME_MAX], at: u32) -> &mut u8 {
    let at = opaque(u64::from(at)) as usize & (NAME_MAX - 1);
    // SAFETY: the mask keeps the index below NAME_MAX, the array's length.
    unsafe { &mut *name.as_mut_ptr().add(at) }
}

/// Where the last whole word of a name lies.
const LAST_WORD: u32 = NAME_MAX as u32 - 8;
/// The lowest and the highest bit of each of eight bytes.
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = LOW << 7;

/// All bits of the first `count` bytes, at most 8.
#[inline(always)]
fn low_bytes(count: u32) -> u64 {
    let half = count.wrapping_mul(4) & 63;
    !(u64::MAX << half << half)
}

/// In the highest bit of each byte whether its lower seven are at least
/// `least`; the other bits mean nothing.
#[inline(always)]
fn at_least(word: u64, least: u8) -> u64 {
    (word & !HIGH).wrapping_add(LOW.wrapping_mul(0x80 - u64::from(least)))
}

/// The highest bit of each byte that lies in one of the ranges from an element
/// of `edges` up to the next one, without it. They ascend: a byte in a range
/// has passed an odd number of them.
#[inline(always)]
fn within<const N: usize>(word: u64, edges: [u8; N]) -> u64 {
    let mut passed = 0;
    for edge in edges {
        passed ^= at_least(word, edge);
    }
    passed & !word & HIGH
}

#[inline(always)]
fn equal_bytes(word: u64, byte: u8) -> u64 {
    within(word, [byte, byte + 1])
}

/// Capitals of ASCII as small letters.
#[inline(always)]
fn lower(word: u64) -> u64 {
    word | within(word, [b'A', b'Z' + 1]) >> 2
}

/// The highest bit of each byte that names have: `-` `.` `0`–`9` `:` `_`
/// `a`–`z`.
#[inline(always)]
fn name_bytes(word: u64) -> u64 {
    within(
        word,
        [
            b'-',
            b'.' + 1,
            b'0',
            b':' + 1,
            b'_',
            b'_' + 1,
            b'a',
            b'z' + 1,
        ],
    )
}
