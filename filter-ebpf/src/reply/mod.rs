//! Replies in the server's name: what a client needs to give up at once.
//!
//! Each function writes a packet from its IP header on into a buffer and
//! returns its length. Checksums are summed by the caller's `sum` (in the
//! kernel `bpf_csum_diff`).

pub mod dns;
pub mod quic;

use crate::frame::{Meta, MetaFlags, tcp_flags};

/// Size of the buffer that replies are written to.
pub const BUFFER: usize = 2048;
/// Longest 403 response in bytes; a multiple of four.
pub const PAGE_MAX: u32 = 1024;

/// The 403 page as it lies in its map: length in four bytes (native order),
/// then the response, zero-filled.
pub type Page = [u8; PAGE_MAX as usize + 4];

const RST: u8 = tcp_flags::RST;
const PSH: u8 = 8;

/// A TCP reset (RFC 9293 §3.10.7.1).
#[inline(always)]
pub fn reset(
    meta: &Meta,
    out: &mut [u8; BUFFER],
    sum: impl Fn(&[u8], u32, u32) -> u32,
) -> Option<u32> {
    let (seq, ack, flags) = if meta.tcp & tcp_flags::ACK != 0 {
        (meta.ack, 0, RST)
    } else {
        let syn_fin =
            u32::from(meta.tcp & tcp_flags::SYN != 0) + u32::from(meta.tcp & tcp_flags::FIN != 0);
        let ack = meta
            .seq
            .wrapping_add(meta.payload_len)
            .wrapping_add(syn_fin);
        (0, ack, RST | tcp_flags::ACK)
    };
    segment(meta, seq, ack, flags, 0, out, sum)
}

/// A short HTTP 403 response that also ends the connection (RFC 9110
/// §15.5.4).
#[inline(always)]
pub fn page(
    meta: &Meta,
    page: &Page,
    len: u32,
    out: &mut [u8; BUFFER],
    sum: impl Fn(&[u8], u32, u32) -> u32,
) -> Option<u32> {
    let at = if meta.flags & MetaFlags::IPV6 != 0 {
        60
    } else {
        40
    };
    // A copy of constant length; what lies past `len` is zero and is summed
    // but not sent.
    let mut i = 0;
    while i < PAGE_MAX as usize {
        out[at + i] = page[4 + i];
        i += 1;
    }
    let ack = meta.seq.wrapping_add(meta.payload_len);
    let flags = PSH | tcp_flags::ACK | tcp_flags::FIN;
    segment(meta, meta.ack, ack, flags, len, out, sum)
}

/// IP and TCP headers, from the server to the client, before `payload` bytes
/// that lie in place.
#[inline(always)]
fn segment(
    meta: &Meta,
    seq: u32,
    ack: u32,
    flags: u8,
    payload: u32,
    out: &mut [u8; BUFFER],
    sum: impl Fn(&[u8], u32, u32) -> u32,
) -> Option<u32> {
    let ipv6 = meta.flags & MetaFlags::IPV6 != 0;
    let l4 = if ipv6 { 40 } else { 20 };
    put16(out, l4, meta.key.server_port);
    put16(out, l4 + 2, meta.key.client_port);
    put32(out, l4 + 4, seq);
    put32(out, l4 + 8, ack);
    out[l4 + 12] = 5 << 4;
    out[l4 + 13] = flags;
    // A window, so that the client's stack takes the page without probing.
    put16(out, l4 + 14, if payload > 0 { 0xffff } else { 0 });
    put32(out, l4 + 16, 0);
    let len = 20 + payload;
    let padded = if payload > 0 { 20 + PAGE_MAX } else { 20 };
    ip(meta, 6, len, out, &sum);
    let checksum = transport_sum(meta, 6, len, padded, out, &sum);
    put16(out, l4 + 16, checksum);
    Some(l4 as u32 + len)
}

/// Bytes of the offending packet that an ICMP error quotes.
#[inline(always)]
pub fn quote_len(meta: &Meta) -> u32 {
    if meta.flags & MetaFlags::IPV6 != 0 {
        48
    } else {
        28
    }
}

/// Where the quote lies in the reply.
#[inline(always)]
pub fn quote_at(meta: &Meta) -> u32 {
    if meta.flags & MetaFlags::IPV6 != 0 {
        48
    } else {
        28
    }
}

/// An ICMP error "communication administratively prohibited" (RFC 1812
/// §5.2.7.1, RFC 4443 §3.1); the quote lies in place already.
///
/// `None` for IPv4 packets with options, whose header would not fit into the
/// quote: those are dropped in silence.
#[inline(always)]
pub fn prohibited(
    meta: &Meta,
    out: &mut [u8; BUFFER],
    sum: impl Fn(&[u8], u32, u32) -> u32,
) -> Option<u32> {
    if meta.flags & MetaFlags::IPV6 != 0 {
        // Type 1, code 1.
        put32(out, 40, 0x0101_0000);
        put32(out, 44, 0);
        let len = 8 + 48;
        ip(meta, 58, len, out, &sum);
        let checksum = transport_sum(meta, 58, len, len, out, &sum);
        put16(out, 42, checksum);
        return Some(40 + len);
    }
    if meta.l4.wrapping_sub(meta.l3) != 20 {
        return None;
    }
    // Type 3, code 13.
    put32(out, 20, 0x030d_0000);
    put32(out, 24, 0);
    let len = 8 + 28;
    ip(meta, 1, len, out, &sum);
    let checksum = fold(sum(&out[20..20 + len as usize], len, 0));
    put16(out, 22, checksum);
    Some(20 + len)
}

/// An IP header without options from the server to the client.
#[inline(always)]
fn ip(
    meta: &Meta,
    protocol: u8,
    len: u32,
    out: &mut [u8; BUFFER],
    sum: &impl Fn(&[u8], u32, u32) -> u32,
) {
    let key = &meta.key;
    if meta.flags & MetaFlags::IPV6 != 0 {
        put32(out, 0, 6 << 28);
        put16(out, 4, len as u16);
        out[6] = protocol;
        out[7] = 64;
        copy16(out, 8, &key.server);
        copy16(out, 24, &key.client);
        return;
    }
    put32(out, 0, 0x4500_0000 | (20 + len));
    // Identification 0 and don't fragment (RFC 6864 §4.1).
    put32(out, 4, 0x4000);
    put32(out, 8, 64 << 24 | u32::from(protocol) << 16);
    let mut i = 0;
    while i < 4 {
        out[12 + i] = key.server[12 + i];
        out[16 + i] = key.client[12 + i];
        i += 1;
    }
    let checksum = fold(sum(&out[..20], 20, 0));
    put16(out, 10, checksum);
}

/// Checksum over the pseudo header and `padded` bytes of transport packet, of
/// which those past `len` are zero.
#[inline(always)]
fn transport_sum(
    meta: &Meta,
    protocol: u8,
    len: u32,
    padded: u32,
    out: &[u8; BUFFER],
    sum: &impl Fn(&[u8], u32, u32) -> u32,
) -> u16 {
    let seed = (u32::from(protocol) + len).to_be();
    if meta.flags & MetaFlags::IPV6 != 0 {
        let addresses = sum(&out[8..40], 32, seed);
        return fold(sum(&out[40..40 + padded as usize], padded, addresses));
    }
    let addresses = sum(&out[12..20], 8, seed);
    fold(sum(&out[20..20 + padded as usize], padded, addresses))
}

/// Folds a sum to the checksum in host byte order.
#[inline(always)]
fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    u16::from_be(!(sum as u16))
}

#[inline(always)]
fn put16(out: &mut [u8; BUFFER], at: usize, value: u16) {
    let bytes = value.to_be_bytes();
    out[at] = bytes[0];
    out[at + 1] = bytes[1];
}

#[inline(always)]
fn put32(out: &mut [u8; BUFFER], at: usize, value: u32) {
    let bytes = value.to_be_bytes();
    out[at] = bytes[0];
    out[at + 1] = bytes[1];
    out[at + 2] = bytes[2];
    out[at + 3] = bytes[3];
}

#[inline(always)]
fn copy16(out: &mut [u8; BUFFER], at: usize, address: &[u8; 16]) {
    let mut i = 0;
    while i < 16 {
        out[at + i] = address[i];
        i += 1;
    }
}
