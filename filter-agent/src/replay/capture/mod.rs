//! Captures, frame by frame: pcap and pcapng, either byte order, any size.
//!
//! Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

mod pcap;
mod pcapng;
mod source;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use pcap::Pcap;
use pcapng::PcapNg;
use source::Source;

/// Longest frame that is read, the largest snap length that tools write.
const MAX_FRAME: usize = 262_144;

/// A frame as it lies in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// From 1, over all interfaces.
    pub number: u64,
    /// Nanoseconds of UNIX time; 0 where the file has no time.
    pub time: u64,
    /// LINKTYPE_ number.
    pub link_type: u32,
    /// Bytes of the frame before the recorder cut it.
    pub original_len: u32,
    pub data: Vec<u8>,
}

/// What is wrong with a capture, and where.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("cannot read {path}: {source}")]
    Open {
        path: String,
        source: std::io::Error,
    },
    #[error("byte {offset}: cannot read on: {source}")]
    Read { offset: u64, source: std::io::Error },
    #[error("no capture: it starts with {found}, not with a pcap or pcapng header")]
    Unknown { found: String },
    #[error("byte {offset}: {what} ends in the middle; the file was cut off")]
    Cut { offset: u64, what: &'static str },
    #[error("byte {offset}: {problem}; what follows cannot be read")]
    Corrupt { offset: u64, problem: String },
}

/// A capture being read. Holds one frame at a time.
pub struct Capture<R> {
    format: Format<R>,
    number: u64,
}

enum Format<R> {
    Pcap(Pcap<R>),
    PcapNg(PcapNg<R>),
}

impl Capture<BufReader<File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be read or is no capture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let open = |source| CaptureError::Open {
            path: path.display().to_string(),
            source,
        };
        let file = File::open(path).map_err(open)?;
        Self::new(BufReader::with_capacity(1 << 18, file))
    }
}

impl<R: Read> Capture<R> {
    /// Reads a capture's header.
    ///
    /// # Errors
    /// When it is no capture.
    pub fn new(reader: R) -> Result<Self, CaptureError> {
        let mut source = Source::new(reader);
        let mut magic = [0; 4];
        let got = source.read_up_to(&mut magic)?;
        let format = match magic {
            _ if got < 4 => None,
            pcapng::SECTION_HEADER => Some(Format::PcapNg(PcapNg::new(source)?)),
            _ => pcap::Layout::from_magic(magic)
                .map(|layout| Pcap::new(source, layout).map(Format::Pcap))
                .transpose()?,
        };
        let Some(format) = format else {
            return Err(unknown(&magic[..got]));
        };
        Ok(Self { format, number: 0 })
    }

    /// Reads the next frame into `record`; false at the end of the file.
    ///
    /// # Errors
    /// When the file is cut off or corrupt here. There is nothing behind it.
    pub fn next(&mut self, record: &mut Record) -> Result<bool, CaptureError> {
        let more = match &mut self.format {
            Format::Pcap(file) => file.next(record)?,
            Format::PcapNg(file) => file.next(record)?,
        };
        if more {
            self.number += 1;
            record.number = self.number;
        }
        Ok(more)
    }
}

fn unknown(start: &[u8]) -> CaptureError {
    let found = match start {
        [] => "nothing (the file is empty)".to_owned(),
        [0x1f, 0x8b, ..] => "a gzip header (unpack it first)".to_owned(),
        [0x28, 0xb5, 0x2f, 0xfd] => "a zstd header (unpack it first)".to_owned(),
        [0xfd, b'7', b'z', b'X'] => "an xz header (unpack it first)".to_owned(),
        bytes => format!("{bytes:02x?}"),
    };
    CaptureError::Unknown { found }
}

#[cfg(test)]
mod tests;
