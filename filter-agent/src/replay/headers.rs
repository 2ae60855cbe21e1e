//! A frame's headers, read by the very code that the kernel runs.

use std::net::{IpAddr, Ipv6Addr};

use filter_ebpf::frame::{Meta, Parsed, View, parse};

/// Reads a frame's headers.
pub(crate) fn headers(frame: &[u8]) -> (Parsed, Meta) {
    let mut meta = Meta::default();
    let start = frame.as_ptr() as u64;
    // SAFETY: the view lies inside `frame` and is gone before it.
    let view = unsafe { View::new(start, start + frame.len() as u64) };
    let len = frame.len() as u32;
    let parsed = parse(&view, len, || len, &mut meta);
    (parsed, meta)
}

/// An address as the contract keeps it: IPv4 mapped into IPv6.
pub(crate) fn address(bytes: &[u8; 16]) -> IpAddr {
    Ipv6Addr::from(*bytes).to_canonical()
}
