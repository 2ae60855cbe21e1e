//! What the inspectors share: their state's place in a hello.

/// The bytes of [`crate::abi::Hello::state`].
pub(crate) const STATE: usize = 21 * 8;

/// Sees a hello's state as `T`.
///
/// `T` is repr(C), holds only integers, and all zero is its start.
#[inline(always)]
pub(crate) fn state_of<T: Copy>(state: &mut [u64; STATE / 8]) -> &mut T {
    const { assert!(size_of::<T>() <= STATE && align_of::<T>() <= 8) };
    // SAFETY: large and aligned enough, and every bit pattern is a value, as
    // all types given are repr(C) structs of integers.
    unsafe { &mut *state.as_mut_ptr().cast::<T>() }
}

/// Sees the end of a hello's state as `T`, likewise.
#[inline(always)]
pub(crate) fn tail_of<T: Copy>(state: &mut [u64; STATE / 8]) -> &mut T {
    const { assert!(size_of::<T>() <= STATE && size_of::<T>().is_multiple_of(8)) };
    const { assert!(align_of::<T>() <= 8) };
    let start = (STATE - size_of::<T>()) / 8;
    // SAFETY: it ends where the state ends, is aligned, and every bit
    // pattern is a value, as all types given are repr(C) structs of integers.
    unsafe { &mut *state.as_mut_ptr().add(start).cast::<T>() }
}

/// Makes a state, or a part of it, all zero: a new inspection begins.
#[inline(always)]
pub fn clear<const N: usize>(words: &mut [u64; N]) {
    for word in words {
        // Volatile, or LLVM makes one call of memset, which BPF has not.
        // SAFETY: the reference is valid.
        unsafe { core::ptr::write_volatile(word, 0) };
    }
}
