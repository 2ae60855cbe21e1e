//! The classic format: one header, then records.

use std::io::Read;

use super::source::{Order, Source};
use super::{CaptureError, MAX_FRAME, Record};

const RECORD: &str = "a record";
const NANOS: u64 = 1_000_000_000;

/// What the magic number tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    order: Order,
    /// Nanoseconds in one unit of a fraction.
    unit: u32,
    /// Bytes between a record's header and its frame.
    extra: u64,
}

impl Layout {
    pub(super) fn from_magic(magic: [u8; 4]) -> Option<Self> {
        let (order, number) = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
            (number @ (0xa1b2_c3d4 | 0xa1b2_3c4d | 0xa1b2_cd34), _) => (Order::Little, number),
            (_, number @ (0xa1b2_c3d4 | 0xa1b2_3c4d | 0xa1b2_cd34)) => (Order::Big, number),
            _ => return None,
        };
        Some(Self {
            order,
            unit: if number == 0xa1b2_3c4d { 1 } else { 1000 },
            // The "modified" format of old Linux tools adds an interface
            // index, protocol and packet type.
            extra: if number == 0xa1b2_cd34 { 8 } else { 0 },
        })
    }
}

pub(super) struct Pcap<R> {
    source: Source<R>,
    layout: Layout,
    link_type: u32,
    /// Bytes of frame check sequence behind every frame.
    fcs: usize,
}

impl<R: Read> Pcap<R> {
    /// Reads what follows the magic number.
    pub(super) fn new(mut source: Source<R>, layout: Layout) -> Result<Self, CaptureError> {
        let header: [u8; 20] = source.array(0, "the file's header")?;
        let [.., a, b, c, d] = header;
        let network = layout.order.u32([a, b, c, d]);
        // Bit 26 says that bits 28 to 31 count 16-bit words of FCS.
        let fcs = if network & 1 << 26 != 0 {
            (network >> 28) as usize * 2
        } else {
            0
        };
        Ok(Self {
            source,
            layout,
            link_type: network & 0xffff,
            fcs,
        })
    }

    pub(super) fn next(&mut self, record: &mut Record) -> Result<bool, CaptureError> {
        let start = self.source.offset();
        let mut header = [0; 16];
        match self.source.read_up_to(&mut header)? {
            0 => return Ok(false),
            16 => {}
            _ => {
                return Err(CaptureError::Cut {
                    offset: start,
                    what: RECORD,
                });
            }
        }
        let order = self.layout.order;
        let [seconds, fraction, len, original] = words(&header).map(|word| order.u32(word));
        if len as usize > MAX_FRAME {
            return Err(CaptureError::Corrupt {
                offset: start,
                problem: format!("a record claims {len} bytes, more than the {MAX_FRAME} of any"),
            });
        }
        self.source.skip(self.layout.extra, start, RECORD)?;
        self.source
            .vec(&mut record.data, len as usize, start, RECORD)?;
        record.time = u64::from(seconds) * NANOS
            + u64::from(fraction).saturating_mul(u64::from(self.layout.unit));
        record.link_type = self.link_type;
        record.original_len = original.max(len);
        if self.fcs > 0 && original <= len {
            let rest = record.data.len().saturating_sub(self.fcs);
            record.data.truncate(rest);
            record.original_len = rest as u32;
        }
        Ok(true)
    }
}

fn words(header: &[u8; 16]) -> [[u8; 4]; 4] {
    let mut words = [[0; 4]; 4];
    for (word, bytes) in words.iter_mut().zip(header.as_chunks::<4>().0) {
        *word = *bytes;
    }
    words
}
