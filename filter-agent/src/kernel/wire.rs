//! Values of the contract as aya's typed maps take them.

use filter_ebpf::abi;

/// A value that crosses the border as its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Wire<T>(pub T);

// SAFETY: `abi::Pod` promises what `aya::Pod` asks for: no padding, every
// pattern a value; the wrapper is transparent.
unsafe impl<T: abi::Pod> aya::Pod for Wire<T> {}
