//! Frames: one bounds-checked accessor and the headers read through it.

mod address;
mod headers;
mod tunnel;

pub use address::{embedded_ipv4, halves, is_multicast4, is_multicast6, mapped, set_halves};
pub use headers::{Meta, MetaFlags, Parsed, parse, tcp_flags};
pub use tunnel::{is_tcp_tunnel, is_udp_tunnel, opens_udp_tunnel};

use crate::bpf::opaque;

/// Headers must begin below this offset; a chain that is longer is denied.
pub const MAX_HEADER_OFFSET: u32 = 1023;

/// The linear part of a frame, from the first byte of the Ethernet header.
///
/// Holds addresses instead of a slice because the verifier wants each bound
/// compared in the register that is then read from.
#[derive(Clone, Copy)]
pub struct View {
    start: u64,
    end: u64,
}

impl View {
    /// A view of `start..end`.
    ///
    /// # Safety
    /// The bytes from `start` up to `end` are readable as long as the view
    /// and everything made from it is used.
    #[inline(always)]
    pub unsafe fn new(start: u64, end: u64) -> Self {
        Self { start, end }
    }

    /// `N` bytes at `offset`, `None` where the frame is shorter.
    #[inline(always)]
    pub fn at<const N: usize>(&self, offset: u32) -> Option<Header<N>> {
        if offset > MAX_HEADER_OFFSET {
            return None;
        }
        let offset = opaque(u64::from(offset)) & MAX_HEADER_OFFSET as u64;
        let address = opaque(self.start.wrapping_add(offset));
        if address.wrapping_add(N as u64) > self.end {
            return None;
        }
        Some(Header { address })
    }
}

/// `N` bytes that are known to lie inside the frame.
#[derive(Clone, Copy)]
pub struct Header<const N: usize> {
    address: u64,
}

macro_rules! reader {
    ($name:ident, $int:ty, $load:literal, $doc:literal) => {
        #[doc = $doc]
        #[inline(always)]
        pub fn $name<const I: usize>(&self) -> $int {
            const { assert!(I + size_of::<$int>() <= N) };
            #[cfg(target_arch = "bpf")]
            {
                let value: u64;
                // BPF loads need no alignment where the verifier takes them.
                // SAFETY: `View::at` compared `address + N` with the end of
                // the frame, and `I` lies inside `N`.
                unsafe {
                    core::arch::asm!(
                        concat!("{0} = *(", $load, " *)({1} + {2})"),
                        out(reg) value,
                        in(reg) self.address,
                        const I,
                        options(pure, readonly, nostack, preserves_flags)
                    );
                }
                <$int>::from_be(value as $int)
            }
            #[cfg(not(target_arch = "bpf"))]
            {
                // SAFETY: as above; `View::new`'s caller keeps the bytes.
                let value = unsafe {
                    ((self.address + I as u64) as *const $int).read_unaligned()
                };
                <$int>::from_be(value)
            }
        }
    };
}

impl<const N: usize> Header<N> {
    reader!(u8, u8, "u8", "The byte at `I`.");
    reader!(
        be16,
        u16,
        "u16",
        "The big-endian number in two bytes at `I`."
    );
    reader!(
        be32,
        u32,
        "u32",
        "The big-endian number in four bytes at `I`."
    );
    reader!(
        be64,
        u64,
        "u64",
        "The big-endian number in eight bytes at `I`."
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_ends_where_the_frame_ends() {
        let bytes: [u8; 6] = [1, 2, 3, 4, 5, 6];
        let start = bytes.as_ptr() as u64;
        // SAFETY: `bytes` outlives the view.
        let view = unsafe { View::new(start, start + 6) };
        assert_eq!(view.at::<4>(2).map(|h| h.be32::<0>()), Some(0x0304_0506));
        assert_eq!(view.at::<2>(0).map(|h| h.be16::<0>()), Some(0x0102));
        assert!(view.at::<4>(3).is_none());
        assert!(view.at::<1>(6).is_none());
        assert!(view.at::<1>(u32::MAX).is_none());
    }
}
