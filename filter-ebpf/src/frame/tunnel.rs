//! Tunnels that ride on UDP, told by port or by their first datagram.

/// Whether a UDP payload opens a tunnel (N06).
///
/// `first` are the payload's first four bytes, `len` its length. WireGuard:
/// handshake initiation, type 1, three zero bytes, 148 bytes (whitepaper
/// §5.4.2). OpenVPN: hard reset, opcode in the upper five bits, key id 0.
/// IKE and its NAT traversal: RFC 7296 §2. L2TP: RFC 2661 §8.1. Teredo:
/// RFC 4380 §5.1. VXLAN: RFC 7348 §5. GENEVE: RFC 8926 §3.3.
#[inline(always)]
pub fn is_udp_tunnel(port: u16, first: u32, len: u32) -> bool {
    if matches!(port, 500 | 4500 | 1701 | 3544 | 4789 | 6081) {
        return true;
    }
    if first == 0x0100_0000 && len == 148 {
        return true;
    }
    let opcode = first >> 24;
    // P_CONTROL_HARD_RESET_CLIENT_V2 and _V3, alone on OpenVPN's port, else
    // with the length that the packet without and with tls-auth has.
    (opcode == 0x38 || opcode == 0x50)
        && (port == 1194 || len == 14 || len == 42 || len == 54 || len == 86)
}

/// Whether a connection's first segment opens a tunnel: OpenVPN over TCP puts
/// the packet's length before it, and its first one is all that it sends.
///
/// `first` are the payload's first four bytes, `len` its length.
#[inline(always)]
pub fn is_tcp_tunnel(first: u32, len: u32) -> bool {
    let opcode = first >> 8 & 0xff;
    (opcode == 0x38 || opcode == 0x50) && len >= 16 && first >> 16 == len.wrapping_sub(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n06_tunnels_over_udp() {
        assert!(is_udp_tunnel(51820, 0x0100_0000, 148));
        assert!(is_udp_tunnel(443, 0x0100_0000, 148));
        assert!(is_udp_tunnel(1194, 0x3800_1122, 60));
        assert!(is_udp_tunnel(443, 0x3811_2233, 14));
        assert!(is_udp_tunnel(500, 0, 300));
        assert!(!is_udp_tunnel(443, 0xc300_0000, 1200));
        assert!(!is_udp_tunnel(53, 0x1234_0100, 40));
        assert!(!is_udp_tunnel(443, 0x3811_2233, 700));
    }

    #[test]
    fn n06_tunnels_over_tcp() {
        assert!(is_tcp_tunnel(0x000e_3811, 16));
        assert!(is_tcp_tunnel(0x0056_5011, 88));
        assert!(!is_tcp_tunnel(0x000e_3811, 17));
        assert!(!is_tcp_tunnel(0x000e_1811, 16));
        assert!(!is_tcp_tunnel(0xfffe_3811, 0));
    }
}
