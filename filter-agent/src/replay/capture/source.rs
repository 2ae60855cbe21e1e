//! A stream of bytes that knows where it is.

use std::io::Read;

use super::CaptureError;

pub(super) struct Source<R> {
    reader: R,
    offset: u64,
}

/// Byte order of a file's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}

impl<R: Read> Source<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, offset: 0 }
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Fills `buffer` as far as the file goes.
    pub(super) fn read_up_to(&mut self, buffer: &mut [u8]) -> Result<usize, CaptureError> {
        let mut got = 0;
        while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(CaptureError::Read {
                        offset: self.offset,
                        source,
                    });
                }
            }
        }
        self.offset += got as u64;
        Ok(got)
    }

    /// Fills `buffer`; `what` was begun at `start`.
    pub(super) fn fill(
        &mut self,
        buffer: &mut [u8],
        start: u64,
        what: &'static str,
    ) -> Result<(), CaptureError> {
        if self.read_up_to(buffer)? < buffer.len() {
            return Err(CaptureError::Cut {
                offset: start,
                what,
            });
        }
        Ok(())
    }

    /// An array of bytes.
    pub(super) fn array<const N: usize>(
        &mut self,
        start: u64,
        what: &'static str,
    ) -> Result<[u8; N], CaptureError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, start, what)?;
        Ok(bytes)
    }

    /// Fills `to` with exactly `len` bytes.
    pub(super) fn vec(
        &mut self,
        to: &mut Vec<u8>,
        len: usize,
        start: u64,
        what: &'static str,
    ) -> Result<(), CaptureError> {
        to.resize(len, 0);
        self.fill(to, start, what)
    }

    /// Skips `len` bytes.
    pub(super) fn skip(
        &mut self,
        len: u64,
        start: u64,
        what: &'static str,
    ) -> Result<(), CaptureError> {
        let mut left = len;
        let mut buffer = [0; 4096];
        while left > 0 {
            let piece = left.min(buffer.len() as u64) as usize;
            self.fill(&mut buffer[..piece], start, what)?;
            left -= piece as u64;
        }
        Ok(())
    }
}
