//! Bytes that are read and written eight at a time at any offset.

use crate::{
    bpf::opaque,
    inspect::{CHUNK, Chunk},
};

/// [`CHUNK`] bytes and room for a word that starts at the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Buffer {
    pub bytes: [u8; CHUNK],
    pub slack: [u8; 16],
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
        // SAFETY: the mask leaves eight bytes of bytes and slack behind `at`.
        unsafe { load(core::ptr::from_ref(self).cast::<u8>().add(at)) }
    }

    /// Writes eight bytes at `at`, likewise.
    #[inline(always)]
    pub fn store(&mut self, at: u32, value: u64) {
        let at = opaque(u64::from(at)) as usize & (CHUNK - 1);
        // SAFETY: the mask leaves eight bytes of bytes and slack behind `at`.
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

/// # Safety
/// Eight bytes behind `from` are readable.
#[inline(always)]
unsafe fn load(from: *const u8) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        // LLVM takes an unaligned word apart into bytes; the verifier allows
        // it on map memory wherever the CPU does.
        let value: u64;
        // SAFETY: by contract readable; map memory.
        unsafe {
            core::arch::asm!("{0} = *(u64 *)({1} + 0)", out(reg) value, in(reg) from, options(pure, readonly, nostack, preserves_flags));
        }
        value
    }
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: by contract readable.
    u64::from_le(unsafe { from.cast::<u64>().read_unaligned() })
}

/// # Safety
/// Eight bytes behind `to` are writable.
#[inline(always)]
unsafe fn store(to: *mut u8, value: u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: by contract writable; map memory.
    unsafe {
        core::arch::asm!("*(u64 *)({0} + 0) = {1}", in(reg) to, in(reg) value, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: by contract writable.
    unsafe {
        to.cast::<u64>().write_unaligned(value.to_le());
    }
}
