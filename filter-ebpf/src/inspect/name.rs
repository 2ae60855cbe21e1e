//! Gathering and reading host names.

use core::ops::ControlFlow;

use crate::abi::{Hello, NAME_MAX};
use crate::bpf::{Step, opaque, repeat};
use crate::inspect::scan::{clear, tail_of};

/// Gathers a name byte by byte and holds every later name against the first:
/// a hello that names two hosts is judged by neither (T17).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Gather {
    /// Bytes of the present name so far.
    at: u32,
    /// Names completed.
    names: u32,
    /// The byte before, to see empty labels.
    before: u32,
    /// 1: the name has a colon, so it must be an IPv6 address.
    colon: u32,
}

impl Gather {
    /// A name begins.
    #[inline(always)]
    pub(crate) fn begin(&mut self) {
        self.at = 0;
        self.before = u32::from(b'.');
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

    /// Takes the name's next byte; `false` when no host's name has it there,
    /// or when it differs from the name before.
    ///
    /// Letters, digits, `-`, `.`, and `_`, which hosts in use do have; `:`
    /// for addresses. What else is sent (spaces, NUL, raw UTF-8) would match
    /// no list entry and might mean another host to the server (T16).
    #[inline(always)]
    pub(crate) fn push(&mut self, name: &mut [u8; NAME_MAX], len: u8, byte: u8) -> bool {
        let at = self.at;
        let byte = byte.to_ascii_lowercase();
        if at >= NAME_MAX as u32 || !is_name_byte(byte) {
            return false;
        }
        self.at = at.wrapping_add(1);
        let slot = slot(name, at);
        if self.names != 0 {
            return if at < u32::from(len) {
                *slot == byte
            } else {
                at == u32::from(len) && byte == b'.'
            };
        }
        if byte == b'.' && self.before == u32::from(b'.') {
            return false;
        }
        self.before = u32::from(byte);
        self.colon |= u32::from(byte == b':');
        *slot = byte;
        true
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
        if self.before == u32::from(b'.') && at != 0 {
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

#[inline(always)]
fn is_name_byte(byte: u8) -> bool {
    /// One bit per ASCII byte: `-` `.` `0`–`9` `:`.
    const LOW: u64 = (1 << b'-') | (1 << b'.') | (0x7ff << b'0');
    /// `_` `a`–`z`.
    const HIGH: u64 = (1 << (b'_' - 64)) | (0x3ff_ffff << (b'a' - 64));
    let bits = match byte >> 6 {
        0 => LOW,
        1 => HIGH,
        _ => 0,
    };
    (bits >> (byte & 63)) & 1 != 0
}
