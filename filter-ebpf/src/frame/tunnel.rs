//! Tunnels that ride on UDP, told by port or by their first datagram.

/// Whether a UDP payload opens a tunnel (N06).
///
/// `first` are the payload's first four bytes, `len` its length. WireGuard:
/// handshake initiation, type 1, three zero bytes, 148 bytes (whitepaper
/// §5.4.2). OpenVPN: hard reset, opcode in the upper five bits, key id 0.
/// IKE and its NAT traversal: RFC 7296 §2. L2TP: RFC 2661 §8.1. Teredo:
/// RFC 4380 §5.1. VXLAN: RFC 7348 §5, and the port that Linux takes by itself.
/// GENEVE: RFC 8926 §3.3. GTP-U: 3GPP TS 29.281 §4.4.2. MPLS: RFC 7510 §3.
/// GRE: RFC 8086 §3.
#[inline(always)]
pub fn is_udp_tunnel(port: u16, first: u32, len: u32) -> bool {
    if matches!(
        port,
        500 | 4500 | 1701 | 2152 | 3544 | 4754 | 4789 | 6081 | 6635 | 8472
    ) {
        return true;
    }
    if opens_udp_tunnel(first, len) {
        return true;
    }
    let opcode = first >> 24;
    // P_CONTROL_HARD_RESET_CLIENT_V2 and _V3, alone on OpenVPN's port, else
    // with the length that the packet without and with tls-auth has.
    (opcode == 0x38 || opcode == 0x50)
        && (port == 1194 || len == 14 || len == 42 || len == 54 || len == 86)
}

/// Whether a datagram opens a tunnel behind others that do not: what no other
/// protocol sends by chance. WireGuard's, and OpenVPN's without tls-auth.
#[inline(always)]
pub fn opens_udp_tunnel(first: u32, len: u32) -> bool {
    first == 0x0100_0000 && len == 148 || first >> 24 == 0x38 && len == 14
}

/// Whether a stream opens a tunnel: OpenVPN over TCP puts the packet's length
/// before it, and its first one is all that it sends.
///
/// `first` are the stream's first three bytes, `len` what came of it so far;
/// of fewer than three nothing is told.
#[inline(always)]
pub fn is_tcp_tunnel(first: [u8; 3], len: u32) -> bool {
    let packet = u32::from(first[0]) << 8 | u32::from(first[1]);
    let known = len >= 3 && matches!(first[2], 0x38 | 0x50);
    known && (14..=1500).contains(&packet) && len <= packet + 2
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
        assert!(is_tcp_tunnel([0, 14, 0x38], 16));
        assert!(is_tcp_tunnel([0, 14, 0x38], 3));
        assert!(is_tcp_tunnel([0, 0x56, 0x50], 88));
        assert!(!is_tcp_tunnel([0, 14, 0x38], 17));
        // The third byte is another stream's.
        assert!(!is_tcp_tunnel([1, 14, 0x38], 2));
        assert!(!is_tcp_tunnel([0, 14, 0x18], 16));
        assert!(!is_tcp_tunnel([0, 13, 0x38], 15));
        assert!(!is_tcp_tunnel([0xff, 0xfe, 0x38], 3));
    }
}
