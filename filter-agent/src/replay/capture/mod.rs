//! Captures, frame by frame: pcap and pcapng, either byte order, any size,
//! packed by gzip or not.
//!
//! Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

mod pcap;
mod pcapng;
mod source;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use pcap::Pcap;
use pcapng::PcapNg;
use source::Source;

/// Longest frame that is read, the largest snap length that tools write.
const MAX_FRAME: usize = 262_144;
/// Bytes read from a file at a time.
const BUFFER: usize = 1 << 18;
/// The path that stands for the standard input.
const STANDARD_INPUT: &str = "-";

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

/// How a file packed by gzip starts (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

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
    #[error("{path} is a folder, not a capture; name a pcap or pcapng file")]
    Folder { path: String },
    #[error("no capture: {found}")]
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

impl Capture<Box<dyn Read>> {
    /// Opens a file, packed by gzip or not; `-` is the standard input.
    ///
    /// # Errors
    /// When it cannot be read or is no capture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let open = |source| CaptureError::Open {
            path: path.display().to_string(),
            source,
        };
        let file: Box<dyn Read> = if path == Path::new(STANDARD_INPUT) {
            Box::new(std::io::stdin())
        } else if path.is_dir() {
            return Err(CaptureError::Folder {
                path: path.display().to_string(),
            });
        } else {
            Box::new(File::open(path).map_err(open)?)
        };
        let mut reader = BufReader::with_capacity(BUFFER, file);
        if reader.fill_buf().map_err(open)?.starts_with(&GZIP) {
            let unpacked = MultiGzDecoder::new(reader);
            return Self::new(Box::new(BufReader::with_capacity(BUFFER, unpacked)));
        }
        Self::new(Box::new(reader))
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
        [] => "the file is empty".to_owned(),
        [0x1f, 0x8b, ..] => "it is packed by gzip twice; unpack it first".to_owned(),
        [0x28, 0xb5, 0x2f, 0xfd] => "it is packed by zstd; unpack it first".to_owned(),
        [0xfd, b'7', b'z', b'X'] => "it is packed by xz; unpack it first".to_owned(),
        bytes => format!("it starts with {bytes:02x?}, not with a pcap or pcapng header"),
    };
    CaptureError::Unknown { found }
}

#[cfg(test)]
mod tests;
