//! A view of one payload, or of a part of it.

use crate::bpf::{load, opaque};

/// Most bytes an inspector sees at once.
pub const CHUNK: usize = 4096;

/// Size of a buffer that holds a chunk, and a word that starts at its last
/// byte.
pub const CHUNK_ROOM: usize = CHUNK + 16;

/// Up to [`CHUNK`] bytes of payload.
///
/// The buffer is always whole; only its first `len` bytes mean something.
/// The index is masked after the check, so the verifier sees a bound that
/// LLVM cannot take away.
#[derive(Clone, Copy)]
pub struct Chunk<'a> {
    bytes: &'a [u8; CHUNK_ROOM],
    len: u32,
}

impl<'a> Chunk<'a> {
    /// `len` is cut to [`CHUNK`].
    #[inline(always)]
    pub fn new(bytes: &'a [u8; CHUNK_ROOM], len: u32) -> Self {
        let len = if len > CHUNK as u32 {
            CHUNK as u32
        } else {
            len
        };
        Self { bytes, len }
    }

    /// Bytes that mean something.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is nothing to see.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The byte at `index`, taken modulo [`CHUNK`]: for callers that know it
    /// lies before the end. Past the end it is a byte that means nothing.
    #[inline(always)]
    pub(crate) fn byte(&self, index: u32) -> u64 {
        let index = opaque(u64::from(index)) as usize & (CHUNK - 1);
        // SAFETY: the mask keeps the index inside the buffer.
        u64::from(unsafe { *self.bytes.as_ptr().add(index) })
    }

    /// The eight bytes from `index` on, likewise, the first one lowest.
    #[inline(always)]
    pub(crate) fn word(&self, index: u32) -> u64 {
        let index = opaque(u64::from(index)) as usize & (CHUNK - 1);
        // SAFETY: the mask leaves a word of the buffer behind the index.
        unsafe { load(self.bytes.as_ptr().add(index)) }
    }

    /// The four bytes from `index` on as a number, likewise; a caller that
    /// wants fewer takes the upper ones.
    #[inline(always)]
    pub(crate) fn be32(&self, index: u32) -> u64 {
        self.word(index).swap_bytes() >> 32
    }

    /// The byte at `index`, `None` past the end.
    #[inline(always)]
    pub fn get(&self, index: u32) -> Option<u8> {
        if index >= self.len {
            return None;
        }
        let index = opaque(u64::from(index)) as usize & (CHUNK - 1);
        // SAFETY: the mask keeps the index inside the buffer.
        Some(unsafe { *self.bytes.as_ptr().add(index) })
    }
}
