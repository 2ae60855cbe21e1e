//! Bytes that are read and written eight at a time at any offset.

use crate::{
    bpf::{load, opaque, store},
    inspect::{CHUNK, CHUNK_ROOM, Chunk},
};

/// [`CHUNK`] bytes and room for a word that starts at the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Buffer {
    pub bytes: [u8; CHUNK_ROOM],
}

impl Buffer {
    /// The first `len` bytes.
    #[inline(always)]
    pub fn chunk(&self, len: u32) -> Chunk<'_> {
        Chunk::new(&self.bytes, len)
    }

    /// Eight bytes from `at` (cut to the buffer by a mask), the first lowest.
    #[inline(always)]
    pub fn load(&self, at: u32) -> u64 {
        let at = opaque(u64::from(at)) as usize & (CHUNK - 1);
        // SAFETY: the mask leaves eight bytes of the buffer behind `at`.
        unsafe { load(core::ptr::from_ref(self).cast::<u8>().add(at)) }
    }

    /// Writes eight bytes at `at`, likewise.
    #[inline(always)]
    pub fn store(&mut self, at: u32, value: u64) {
        let at = opaque(u64::from(at)) as usize & (CHUNK - 1);
        // SAFETY: the mask leaves eight bytes of the buffer behind `at`.
        unsafe { store(core::ptr::from_mut(self).cast::<u8>().add(at), value) }
    }
}

/// Writes `value` to all of `to`. Element by element and volatile, or LLVM
/// makes one call of memset, which BPF has not.
#[inline(always)]
pub(crate) fn fill<T: Copy, const N: usize>(to: &mut [T; N], value: T) {
    for element in to {
        // SAFETY: the reference is valid.
        unsafe { core::ptr::write_volatile(element, value) };
    }
}

/// Writes one field, for neighbours that are cleared together, likewise.
#[inline(always)]
pub(crate) fn put<T: Copy>(to: &mut T, value: T) {
    // SAFETY: the reference is valid.
    unsafe { core::ptr::write_volatile(to, value) };
}

/// Copies all of `from`, likewise without memcpy.
#[inline(always)]
pub(crate) fn copy<T: Copy, const N: usize>(from: &[T; N], to: &mut [T; N]) {
    for (from, to) in from.iter().zip(to) {
        // SAFETY: the reference is valid.
        unsafe { core::ptr::write_volatile(to, *from) };
    }
}
