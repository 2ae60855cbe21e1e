//! Values of the contract as aya's typed maps take them.

use filter_ebpf::abi;

/// A value that crosses the border as its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Wire<T>(pub T);

// SAFETY: `abi::Pod` promises what `aya::Pod` asks for: no padding, every
// pattern a value; the wrapper is transparent.
unsafe impl<T: abi::Pod> aya::Pod for Wire<T> {}

/// Values one behind the other, as their bytes.
pub(crate) fn bytes_of<T: abi::Pod>(values: &[T]) -> &[u8] {
    // SAFETY: a Pod has no padding, so every byte is initialised, and a slice
    // has none between its values.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}
