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

/// Makes a state all zero, ready for another inspector.
#[inline(always)]
pub fn clear(state: &mut [u64; STATE / 8]) {
    for word in state {
        // Volatile, or LLVM makes one call of memset, which BPF has not.
        // SAFETY: the reference is valid.
        unsafe { core::ptr::write_volatile(word, 0) };
    }
}
