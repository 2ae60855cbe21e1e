//! The next generation: blocks, several interfaces, options.

use std::io::Read;

use super::source::{Order, Source};
use super::{CaptureError, MAX_FRAME, Record};

/// Type of a section header block; reads the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

const BLOCK: &str = "a block";
const NANOS: u128 = 1_000_000_000;
/// Interfaces of one section.
const MAX_INTERFACES: usize = 4096;
/// Bytes of an interface block, with its options.
const MAX_INTERFACE_BLOCK: u64 = 1 << 20;

pub(super) struct PcapNg<R> {
    source: Source<R>,
    order: Order,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u32,
    snap_len: u32,
    /// Units of time stamps in a second.
    per_second: u128,
    /// Seconds to add to every time stamp.
    offset: i64,
}

impl<R: Read> PcapNg<R> {
    /// Reads the first section header behind its type.
    pub(super) fn new(source: Source<R>) -> Result<Self, CaptureError> {
        let mut file = Self {
            source,
            order: Order::Little,
            interfaces: Vec::new(),
        };
        file.section(0)?;
        Ok(file)
    }

    pub(super) fn next(&mut self, record: &mut Record) -> Result<bool, CaptureError> {
        loop {
            let start = self.source.offset();
            let mut kind = [0; 4];
            match self.source.read_up_to(&mut kind)? {
                0 => return Ok(false),
                4 => {}
                _ => {
                    return Err(CaptureError::Cut {
                        offset: start,
                        what: BLOCK,
                    });
                }
            }
            if kind == SECTION_HEADER {
                self.section(start)?;
                continue;
            }
            let len = self.order.u32(self.source.array(start, BLOCK)?);
            // Type, length, and the length again behind the body.
            let Some(body) = len.checked_sub(12).filter(|_| len.is_multiple_of(4)) else {
                return Err(corrupt(start, format!("a block claims {len} bytes")));
            };
            let mut body = u64::from(body);
            let found = match self.order.u32(kind) {
                INTERFACE => {
                    self.interface(&mut body, start)?;
                    false
                }
                ENHANCED_PACKET => self.enhanced(record, &mut body, start)?,
                SIMPLE_PACKET => self.simple(record, &mut body, start)?,
                OLD_PACKET => self.old(record, &mut body, start)?,
                _ => false,
            };
            self.source.skip(body, start, BLOCK)?;
            let again = self.order.u32(self.source.array(start, BLOCK)?);
            if again != len {
                return Err(corrupt(
                    start,
                    format!("a block has {len} bytes by its start and {again} by its end"),
                ));
            }
            if found {
                return Ok(true);
            }
        }
    }

    /// A section header behind its type: everything starts anew.
    fn section(&mut self, start: u64) -> Result<(), CaptureError> {
        let raw_len = self.source.array(start, BLOCK)?;
        let magic: [u8; 4] = self.source.array(start, BLOCK)?;
        self.order = match u32::from_le_bytes(magic) {
            0x1a2b_3c4d => Order::Little,
            0x4d3c_2b1a => Order::Big,
            _ => {
                return Err(corrupt(
                    start,
                    format!("a section starts with {magic:02x?} in the place of its byte order"),
                ));
            }
        };
        self.interfaces.clear();
        let len = self.order.u32(raw_len);
        let Some(rest) = len.checked_sub(16).filter(|_| len.is_multiple_of(4)) else {
            return Err(corrupt(
                start,
                format!("a section header claims {len} bytes"),
            ));
        };
        self.source.skip(u64::from(rest), start, BLOCK)?;
        let again = self.order.u32(self.source.array(start, BLOCK)?);
        if again != len {
            return Err(corrupt(
                start,
                format!("a section header has {len} bytes by its start and {again} by its end"),
            ));
        }
        Ok(())
    }

    fn interface(&mut self, body: &mut u64, start: u64) -> Result<(), CaptureError> {
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(corrupt(
                start,
                format!("more than {MAX_INTERFACES} interfaces"),
            ));
        }
        if *body < 8 || *body > MAX_INTERFACE_BLOCK {
            return Err(corrupt(
                start,
                format!("an interface block has a body of {body} bytes"),
            ));
        }
        let mut bytes = Vec::new();
        self.source.vec(&mut bytes, *body as usize, start, BLOCK)?;
        *body = 0;
        let mut fields = Fields {
            order: self.order,
            bytes: &bytes,
        };
        let link_type = fields.u16().unwrap_or_default();
        fields.u16();
        let snap_len = fields.u32().unwrap_or_default();
        let mut interface = Interface {
            link_type: u32::from(link_type),
            snap_len,
            per_second: 1_000_000,
            offset: 0,
        };
        while let (Some(code), Some(len)) = (fields.u16(), fields.u16()) {
            let Some(value) = fields.take(usize::from(len)) else {
                break;
            };
            fields.take(usize::from(len).next_multiple_of(4) - usize::from(len));
            match (code, value) {
                (0, _) => break,
                (OPTION_RESOLUTION, [exponent]) => {
                    interface.per_second = resolution(*exponent);
                }
                (OPTION_OFFSET, [a, b, c, d, e, f, g, h]) => {
                    let bytes = [*a, *b, *c, *d, *e, *f, *g, *h];
                    interface.offset = match self.order {
                        Order::Little => i64::from_le_bytes(bytes),
                        Order::Big => i64::from_be_bytes(bytes),
                    };
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(())
    }

    fn enhanced(
        &mut self,
        record: &mut Record,
        body: &mut u64,
        start: u64,
    ) -> Result<bool, CaptureError> {
        let [interface, high, low, len, original] = self.words(body, start)?;
        self.packet(record, body, start, interface, (high, low), (len, original))
    }

    /// The packet block that the enhanced one replaced.
    fn old(
        &mut self,
        record: &mut Record,
        body: &mut u64,
        start: u64,
    ) -> Result<bool, CaptureError> {
        let [first, high, low, len, original] = self.words(body, start)?;
        // An interface of 16 bits, then a drop count of 16 bits.
        let interface = match self.order {
            Order::Little => first & 0xffff,
            Order::Big => first >> 16,
        };
        self.packet(record, body, start, interface, (high, low), (len, original))
    }

    fn simple(
        &mut self,
        record: &mut Record,
        body: &mut u64,
        start: u64,
    ) -> Result<bool, CaptureError> {
        let [original] = self.words(body, start)?;
        let snap_len = self
            .interfaces
            .first()
            .map_or(0, |interface| interface.snap_len);
        let limit = if snap_len == 0 { u32::MAX } else { snap_len };
        let len = original
            .min(limit)
            .min((*body).min(u64::from(u32::MAX)) as u32);
        let found = self.packet(record, body, start, 0, (0, 0), (len, original))?;
        record.time = 0;
        Ok(found)
    }

    fn packet(
        &mut self,
        record: &mut Record,
        body: &mut u64,
        start: u64,
        interface: u32,
        (high, low): (u32, u32),
        (len, original): (u32, u32),
    ) -> Result<bool, CaptureError> {
        let Some(interface) = self.interfaces.get(interface as usize).copied() else {
            return Err(corrupt(
                start,
                format!("a packet of interface {interface}, which nothing describes"),
            ));
        };
        if u64::from(len) > *body || len as usize > MAX_FRAME {
            return Err(corrupt(
                start,
                format!("a packet claims {len} bytes in a block with {body}"),
            ));
        }
        self.source
            .vec(&mut record.data, len as usize, start, BLOCK)?;
        *body -= u64::from(len);
        record.time = interface.nanoseconds(u64::from(high) << 32 | u64::from(low));
        record.link_type = interface.link_type;
        record.original_len = original.max(len);
        Ok(true)
    }

    /// `N` numbers from the front of a body.
    fn words<const N: usize>(
        &mut self,
        body: &mut u64,
        start: u64,
    ) -> Result<[u32; N], CaptureError> {
        let Some(rest) = body.checked_sub(N as u64 * 4) else {
            return Err(corrupt(
                start,
                "a block is too short for its type".to_owned(),
            ));
        };
        *body = rest;
        let mut words = [0; N];
        for word in &mut words {
            *word = self.order.u32(self.source.array(start, BLOCK)?);
        }
        Ok(words)
    }
}

impl Interface {
    fn nanoseconds(self, stamp: u64) -> u64 {
        let unix = u128::from(stamp) * NANOS / self.per_second;
        let shifted = (unix as i128) + i128::from(self.offset) * NANOS as i128;
        shifted.clamp(0, i128::from(u64::MAX)) as u64
    }
}

/// Units a second of option `if_tsresol`: a power of ten, or of two with the
/// top bit set.
fn resolution(exponent: u8) -> u128 {
    let (base, exponent) = if exponent & 0x80 == 0 {
        (10_u128, exponent)
    } else {
        (2, exponent & 0x7f)
    };
    base.checked_pow(u32::from(exponent)).unwrap_or(u128::MAX)
}

fn corrupt(offset: u64, problem: String) -> CaptureError {
    CaptureError::Corrupt { offset, problem }
}

/// Numbers from the front of some bytes.
struct Fields<'a> {
    order: Order,
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(head)
    }

    fn u16(&mut self) -> Option<u16> {
        let (head, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(self.order.u16(*head))
    }

    fn u32(&mut self) -> Option<u32> {
        let (head, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(self.order.u32(*head))
    }
}
