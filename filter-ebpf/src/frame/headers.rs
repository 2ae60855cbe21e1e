//! From Ethernet to the first byte of payload.

use super::View;
use super::address::{self, mapped, set_halves};
use crate::abi::{FlowKey, Reason};

const ETH_IPV4: u16 = 0x0800;
const ETH_IPV6: u16 = 0x86dd;
const ETH_ARP: u16 = 0x0806;
const ETH_LLDP: u16 = 0x88cc;
const ETH_EAPOL: u16 = 0x888e;
const ETH_PPPOE_DISCOVERY: u16 = 0x8863;
const ETH_PPPOE_SESSION: u16 = 0x8864;

const IP_ICMP: u8 = 1;
const IP_TCP: u8 = 6;
const IP_UDP: u8 = 17;
const IP_FRAGMENT: u8 = 44;
const IP_AH: u8 = 51;
const IP_ICMPV6: u8 = 58;

/// TCP flag bits (RFC 9293 §3.1).
pub mod tcp_flags {
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
    pub const ACK: u8 = 16;
    pub const URG: u8 = 32;
}

/// Bits of [`Meta::flags`].
#[derive(Clone, Copy, Debug)]
pub struct MetaFlags;

impl MetaFlags {
    /// An IP fragment (not an atomic one).
    pub const FRAGMENT: u8 = 1;
    /// IPv6; else IPv4.
    pub const IPV6: u8 = 2;
    /// A TCP header whose data offset is below 5 or past the segment.
    pub const BAD_TCP: u8 = 4;
    /// TCP with an urgent pointer.
    pub const URGENT: u8 = 8;
    /// Inside a PPPoE session.
    pub const PPPOE: u8 = 16;
    /// Neighbour discovery within one /64, as the packet says.
    pub const NEIGHBOUR: u8 = 32;
}

/// What the headers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Meta {
    /// From the sender's side; `link` holds the VLANs only, the caller adds
    /// the slot.
    pub key: FlowKey,
    /// Bytes of the whole frame.
    pub frame_len: u32,
    /// Offsets from the first byte of the frame.
    pub l3: u32,
    pub l4: u32,
    pub payload: u32,
    /// Bytes of payload by the IP header, without Ethernet padding.
    pub payload_len: u32,
    /// TCP sequence and acknowledgement numbers.
    pub seq: u32,
    pub ack: u32,
    /// TCP flags.
    pub tcp: u8,
    /// [`MetaFlags`].
    pub flags: u8,
    /// ICMP type for ICMP and ICMPv6.
    pub icmp_type: u8,
    pub reserved: u8,
}

/// What kind of frame it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// IP, described by [`Meta`].
    Ip,
    /// A frame that keeps the LAN alive.
    Keepalive,
    /// Nothing that can be judged.
    Bad(Reason),
}

/// Reads all headers of a frame into `meta`.
///
/// Two VLAN tags at the most (802.1Q, 802.1ad), PPPoE sessions, IPv4 with
/// options, IPv6 with up to eight extension headers. Lengths come from the IP
/// header; what lies behind is Ethernet padding. Checksums are not looked at:
/// virtual interfaces hand over partial ones.
///
/// `linear_len` is the length of the part that `view` sees; `whole_len` tells
/// that of the frame and is asked only where an IP header promises more.
#[inline(always)]
pub fn parse(view: &View, linear_len: u32, whole_len: impl Fn() -> u32, meta: &mut Meta) -> Parsed {
    meta.frame_len = linear_len;
    let Some(eth) = view.at::<14>(0) else {
        return Parsed::Bad(Reason::Truncated);
    };
    // IEEE 802.1D reserved group addresses 01:80:c2:00:00:0x: STP, LACP,
    // EAPOL, LLDP.
    let reserved_group = eth.be32::<0>() == 0x0180_c200 && eth.be16::<4>() < 0x10;
    let mut ethertype = eth.be16::<12>();
    let mut offset: u32 = 14;
    let mut tags: u32 = 0;
    if is_tag(ethertype) {
        let Some(tag) = view.at::<4>(14) else {
            return Parsed::Bad(Reason::Truncated);
        };
        let outer = u32::from(tag.be16::<0>() & 0xfff);
        ethertype = tag.be16::<2>();
        offset = 18;
        tags = outer << 12;
        if is_tag(ethertype) {
            let Some(tag) = view.at::<4>(18) else {
                return Parsed::Bad(Reason::Truncated);
            };
            let inner = u32::from(tag.be16::<0>() & 0xfff);
            ethertype = tag.be16::<2>();
            offset = 22;
            // A priority tag (VLAN 0, N04) only carries a priority.
            tags = if outer == 0 {
                inner << 12
            } else {
                tags | inner
            };
            if is_tag(ethertype) {
                return Parsed::Bad(Reason::TagStack);
            }
        }
    }
    meta.key.link = tags;
    if reserved_group && !matches!(ethertype, ETH_IPV4 | ETH_IPV6 | ETH_PPPOE_SESSION) {
        return Parsed::Keepalive;
    }
    if ethertype == ETH_PPPOE_SESSION {
        let Some(ppp) = view.at::<8>(offset) else {
            return Parsed::Bad(Reason::Truncated);
        };
        offset += 8;
        meta.flags |= MetaFlags::PPPOE;
        ethertype = match ppp.be16::<6>() {
            0x0021 => ETH_IPV4,
            0x0057 => ETH_IPV6,
            // LCP, authentication and network control keep the session.
            0x8000..=0xffff => return Parsed::Keepalive,
            _ => return Parsed::Bad(Reason::NotIp),
        };
    }
    meta.l3 = offset;
    match ethertype {
        ETH_IPV4 => ipv4(view, offset, whole_len, meta),
        ETH_IPV6 => ipv6(view, offset, whole_len, meta),
        ETH_ARP | ETH_LLDP | ETH_EAPOL | ETH_PPPOE_DISCOVERY => Parsed::Keepalive,
        // 802.3 length instead of a type: LLC, as STP uses it.
        0..=1500 => Parsed::Keepalive,
        _ => Parsed::Bad(Reason::NotIp),
    }
}

/// Whether the frame has `end` bytes. A frame in several buffers has them
/// beyond the linear part; its whole length costs a call of the kernel.
#[inline(always)]
fn reaches(meta: &mut Meta, end: u32, whole_len: impl Fn() -> u32) -> bool {
    if end > meta.frame_len {
        meta.frame_len = whole_len();
    }
    end <= meta.frame_len
}

#[inline(always)]
fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100)
}

#[inline(always)]
fn ipv4(view: &View, offset: u32, whole_len: impl Fn() -> u32, meta: &mut Meta) -> Parsed {
    let Some(ip) = view.at::<20>(offset) else {
        return Parsed::Bad(Reason::Truncated);
    };
    let version_ihl = ip.u8::<0>();
    let header_len = u32::from(version_ihl & 0xf) * 4;
    let total_len = u32::from(ip.be16::<2>());
    if version_ihl >> 4 != 4 || header_len < 20 || total_len < header_len {
        return Parsed::Bad(Reason::Truncated);
    }
    // A segment that was put together by the kernel may say 0 and mean more
    // than 64 KB (IPv4 BIG TCP); none of our hooks sees those.
    if !reaches(meta, offset + total_len, whole_len) {
        return Parsed::Bad(Reason::Truncated);
    }
    let fragment = ip.be16::<6>();
    let protocol = ip.u8::<9>();
    let destination = ip.be32::<16>();
    set_halves(&mut meta.key.client, 0, mapped(ip.be32::<12>()));
    set_halves(&mut meta.key.server, 0, mapped(destination));
    meta.key.protocol = u32::from(protocol);
    meta.l4 = offset + header_len;
    meta.payload = meta.l4;
    meta.payload_len = total_len - header_len;
    // Group addresses, IGMP's among them, never leave the link.
    if address::is_multicast4(destination) {
        return Parsed::Keepalive;
    }
    // More fragments, or not the first one (RFC 791 §3.1).
    if fragment & 0x3fff != 0 {
        meta.flags |= MetaFlags::FRAGMENT;
        return Parsed::Ip;
    }
    let l4 = meta.l4;
    transport(view, protocol, l4, meta)
}

#[inline(always)]
fn ipv6(view: &View, offset: u32, whole_len: impl Fn() -> u32, meta: &mut Meta) -> Parsed {
    let Some(ip) = view.at::<40>(offset) else {
        return Parsed::Bad(Reason::Truncated);
    };
    meta.flags |= MetaFlags::IPV6;
    let payload_len = u32::from(ip.be16::<4>());
    let end = offset + 40 + payload_len;
    if ip.u8::<0>() >> 4 != 6 || !reaches(meta, end, whole_len) {
        return Parsed::Bad(Reason::Truncated);
    }
    let upper = ip.be64::<24>();
    set_halves(&mut meta.key.client, ip.be64::<8>(), ip.be64::<16>());
    set_halves(&mut meta.key.server, upper, ip.be64::<32>());
    let mut next = ip.u8::<6>();
    let mut at = offset + 40;
    meta.l4 = at;
    meta.payload = at;
    meta.payload_len = payload_len;
    let mut fragmented = false;
    // RFC 8200 §4: walk what may stand before the transport header.
    let mut left = 8;
    loop {
        let len = match next {
            0 | 43 | 60 => {
                let Some(header) = view.at::<4>(at) else {
                    return Parsed::Bad(Reason::Ipv6Headers);
                };
                // A routing header with segments left (RFC 8200 §4.4).
                if next == 43 && header.u8::<3>() != 0 {
                    return Parsed::Bad(Reason::SourceRoute);
                }
                next = header.u8::<0>();
                (u32::from(header.u8::<1>()) + 1) * 8
            }
            IP_AH => {
                // RFC 4302 §2.2: in 32-bit words, minus 2.
                let Some(header) = view.at::<2>(at) else {
                    return Parsed::Bad(Reason::Ipv6Headers);
                };
                next = header.u8::<0>();
                (u32::from(header.u8::<1>()) + 2) * 4
            }
            IP_FRAGMENT => {
                let Some(header) = view.at::<4>(at) else {
                    return Parsed::Bad(Reason::Ipv6Headers);
                };
                // An atomic fragment (RFC 6946) is a whole packet.
                if header.be16::<2>() & 0xfff9 != 0 {
                    fragmented = true;
                }
                next = header.u8::<0>();
                8
            }
            _ => break,
        };
        at += len;
        left -= 1;
        if left == 0 || at > end {
            return Parsed::Bad(Reason::Ipv6Headers);
        }
        if fragmented {
            break;
        }
    }
    meta.key.protocol = u32::from(next);
    meta.l4 = at;
    meta.payload = at;
    meta.payload_len = end - at;
    // Group and link-local addresses (RFC 4291 §2.5.6) never leave the link:
    // NDP, MLD, DHCPv6.
    if address::is_multicast6(upper) || upper >> 54 == 0x3fa {
        return Parsed::Keepalive;
    }
    if fragmented {
        meta.flags |= MetaFlags::FRAGMENT;
        return Parsed::Ip;
    }
    if next == IP_ICMPV6 && ip.u8::<7>() == 255 {
        // Neighbour discovery (RFC 4861 §7.1: never through a router).
        if let Some(icmp) = view.at::<1>(at)
            && matches!(icmp.u8::<0>(), 133..=137)
        {
            let source = ip.be64::<8>();
            // From a link-local address, or between neighbours whose unique
            // local addresses (RFC 4193 §3.1) lead to nobody outside.
            if source >> 54 == 0x3fa || source == upper && upper >> 57 == 0x7e {
                return Parsed::Keepalive;
            }
            // Others may say so of a host outside: the room's subnets decide.
            if source == upper {
                meta.flags |= MetaFlags::NEIGHBOUR;
            }
        }
    }
    transport(view, next, at, meta)
}

#[inline(always)]
fn transport(view: &View, protocol: u8, at: u32, meta: &mut Meta) -> Parsed {
    let segment_len = meta.payload_len;
    match protocol {
        IP_TCP => {
            if segment_len < 20 {
                return Parsed::Bad(Reason::Truncated);
            }
            let Some(tcp) = view.at::<20>(at) else {
                return Parsed::Bad(Reason::Truncated);
            };
            set_ports(meta, tcp.be32::<0>());
            meta.seq = tcp.be32::<4>();
            meta.ack = tcp.be32::<8>();
            meta.tcp = tcp.u8::<13>();
            let header_len = u32::from(tcp.u8::<12>() >> 4) * 4;
            if header_len < 20 || header_len > segment_len {
                meta.flags |= MetaFlags::BAD_TCP;
                return Parsed::Ip;
            }
            if meta.tcp & tcp_flags::URG != 0 {
                meta.flags |= MetaFlags::URGENT;
            }
            meta.payload = at + header_len;
            meta.payload_len = segment_len - header_len;
        }
        IP_UDP => {
            if segment_len < 8 {
                return Parsed::Bad(Reason::Truncated);
            }
            let Some(udp) = view.at::<8>(at) else {
                return Parsed::Bad(Reason::Truncated);
            };
            set_ports(meta, udp.be32::<0>());
            let len = u32::from(udp.be16::<4>());
            if len < 8 || len > segment_len {
                return Parsed::Bad(Reason::Truncated);
            }
            meta.payload = at + 8;
            meta.payload_len = len - 8;
            return keepalive_udp(meta);
        }
        IP_ICMP | IP_ICMPV6 => {
            let Some(icmp) = view.at::<4>(at) else {
                return Parsed::Bad(Reason::Truncated);
            };
            meta.icmp_type = icmp.u8::<0>();
        }
        _ => {}
    }
    Parsed::Ip
}

/// Source and destination port, as TCP and UDP begin with them. They are one
/// word to those who hash and compare the key, so they are written as one.
#[inline(always)]
fn set_ports(meta: &mut Meta, ports: u32) {
    meta.key.client_port = (ports >> 16) as u16;
    meta.key.server_port = ports as u16;
}

/// DHCP to one server of the school (RFC 2131 §4.1); to an address outside it
/// would be a way around.
#[inline(always)]
fn keepalive_udp(meta: &Meta) -> Parsed {
    let server = meta.key.server;
    let private = match (server[12], server[13]) {
        (10, _) | (192, 168) => true,
        (172, second) => second & 0xf0 == 16,
        _ => false,
    };
    if meta.flags & MetaFlags::IPV6 == 0
        && meta.key.client_port == 68
        && meta.key.server_port == 67
        && private
    {
        return Parsed::Keepalive;
    }
    Parsed::Ip
}
