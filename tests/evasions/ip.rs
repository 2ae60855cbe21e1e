//! N02, N05–N07: what stands between the Ethernet header and the stream.

use filter_ebpf::abi::{Reason, Verdict};
use filter_tests::frames::{ACK, PSH, SYN, ethernet, ip, tagged, tcp, udp};

use super::hello::hello;
use super::stream::{ALLOWED, BLOCKED, Connection, Segment, cut, judge};

const SERVER: &str = "[2001:db8:77::1]:443";

/// The segments of a connection over IPv6, from its SYN to the hello, without
/// their IP headers; the server's SYN-ACK is whole.
fn segments(client: &str, host: &str) -> Vec<Vec<u8>> {
    let mut packets = vec![
        tcp(client, SERVER, SYN, 1000, 0, b""),
        tcp(client, SERVER, ACK | PSH, 1001, 5001, &hello(host)),
    ];
    for packet in &mut packets {
        packet.drain(..40);
    }
    packets
}

fn next_client() -> String {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    format!("[2001:db8:9::5]:{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An extension header of eight bytes (RFC 8200 §4), `next` behind it.
fn extension(next: u8, body: [u8; 6]) -> Vec<u8> {
    [&[next, 0][..], &body].concat()
}

/// Verdict and reason of a hello behind `chain`, whose first header is of
/// type `first`.
fn behind(first: u8, chain: &[u8], host: &str) -> (Option<Verdict>, Reason) {
    let (from, to) = (
        "2001:db8:9::5".parse().unwrap(),
        "2001:db8:77::1".parse().unwrap(),
    );
    let frames: Vec<_> = segments(&next_client(), host)
        .into_iter()
        .map(|segment| tagged(10, &ip(from, to, first, &[chain, &segment].concat())))
        .collect();
    let outcome = judge(&frames).unwrap();
    let last = outcome.frames.last().unwrap();
    (last.verdict, last.reason)
}

#[test]
fn n02_headers_before_the_segment_are_walked() {
    let options = [1, 4, 0, 0, 0, 0];
    let atomic = [&[6, 0, 0, 0][..], &[1, 2, 3, 4]].concat();
    let authentication = [&[6, 4][..], &[0; 22]].concat();
    let seven: Vec<u8> = (0..7)
        .flat_map(|i| extension(if i == 6 { 6 } else { 60 }, options))
        .collect();
    for (first, chain) in [
        (0, extension(6, options)),
        (43, extension(6, [0; 6])),
        (60, extension(6, options)),
        (44, atomic.clone()),
        (51, authentication),
        (60, seven),
        (0, [extension(44, options), atomic].concat()),
    ] {
        let denied = (Some(Verdict::Reject), Reason::NameDenied);
        assert_eq!(behind(first, &chain, BLOCKED), denied, "{first}");
        let passed = (Some(Verdict::Pass), Reason::DefaultOpen);
        assert_eq!(behind(first, &chain, ALLOWED), passed, "{first}");
    }
}

#[test]
fn n02_chains_that_cannot_be_walked_are_denied() {
    let options = [1, 4, 0, 0, 0, 0];
    let eight: Vec<u8> = (0..8)
        .flat_map(|i| extension(if i == 7 { 6 } else { 60 }, options))
        .collect();
    // A length that reaches past the packet.
    let long = [&[6, 255][..], &[0; 6]].concat();
    // A first fragment, and one behind it.
    let first = vec![6, 0, 0, 1, 1, 2, 3, 4];
    let second = vec![6, 0, 0, 9, 1, 2, 3, 4];
    for host in [BLOCKED, ALLOWED] {
        let headers = (Some(Verdict::Drop), Reason::Ipv6Headers);
        assert_eq!(behind(60, &eight, host), headers);
        assert_eq!(behind(60, &long, host), headers);
        let fragment = (Some(Verdict::Reject), Reason::Fragment);
        assert_eq!(behind(44, &first, host), fragment);
        assert_eq!(behind(44, &second, host), fragment);
        // Mobility, HIP, Shim6, an experiment, no next header: no protocol
        // that is known.
        for unknown in [135, 139, 140, 253, 59] {
            let (verdict, reason) = behind(unknown, &extension(6, options), host);
            assert_eq!(verdict, Some(Verdict::Reject), "{unknown}");
            assert_eq!(reason, Reason::UnknownProtocol, "{unknown}");
        }
    }
}

/// PPPoE session frames (RFC 2516 §4), IPv4 and IPv6 in them.
#[test]
fn n05_pppoe_sessions_are_parsed() {
    let session = |packet: &[u8]| {
        let protocol = if packet[0] >> 4 == 6 { 0x57 } else { 0x21 };
        let mut payload = vec![0x11, 0, 0, 7];
        payload.extend((packet.len() as u16 + 2).to_be_bytes());
        payload.extend([0, protocol]);
        payload.extend(packet);
        ethernet([2, 0, 0, 0, 0, 2], &[(0x8100, 10)], 0x8864, &payload)
    };
    for (client, server) in [
        ("10.9.0.5", "93.184.216.34:443"),
        ("[2001:db8:9::6]", SERVER),
    ] {
        for (host, port, verdict) in [(BLOCKED, 1, Verdict::Reject), (ALLOWED, 2, Verdict::Pass)] {
            let client = format!("{client}:{port}");
            let outcome = judge(&[
                session(&tcp(&client, server, SYN, 1000, 0, b"")),
                session(&tcp(&client, server, ACK | PSH, 1001, 5001, &hello(host))),
            ])
            .unwrap();
            let last = outcome.frames.last().unwrap();
            assert_eq!(last.verdict, Some(verdict), "{}", outcome.table());
            assert_eq!(last.host.as_deref(), Some(host));
            if verdict == Verdict::Reject {
                // The reset is a session frame too, its length counted anew.
                let reply = last.reply.as_ref().unwrap();
                assert_eq!(reply[16..22], [0x88, 0x64, 0x11, 0, 0, 7]);
                let length = usize::from(u16::from_be_bytes([reply[22], reply[23]]));
                assert_eq!(length + 24, reply.len());
            }
        }
    }
}

/// VPNs and proxies by what they say first, whatever the port.
#[test]
fn n06_tunnels_and_proxies_get_the_groups_verdict() {
    let wireguard = [&[1, 0, 0, 0][..], &[7; 144]].concat();
    let openvpn = [&[0x38][..], &[9; 8], &[0; 5]].concat();
    for (datagram, port) in [
        (wireguard, 51_820),
        (openvpn.clone(), 1194),
        (openvpn.clone(), 443),
        (vec![0; 300], 500),
        (vec![0; 300], 4500),
    ] {
        for vlan in [10, 50] {
            let frame = udp("10.9.0.5:7000", &format!("100.64.0.9:{port}"), &datagram);
            judge(&[tagged(vlan, &frame)])
                .unwrap()
                .verdicts(&[(Verdict::Reject, Reason::Tunnel)]);
        }
    }
    // Room 50 lets plain protocols pass, and no tunnels.
    let over_tcp = [&[0, 14][..], &openvpn].concat();
    let journey = Connection::new(cut(&over_tcp, &[]))
        .vlan(50)
        .judge()
        .unwrap();
    assert!(!journey.reached, "{}", journey.outcome.table());
    assert_eq!(journey.reason(), Reason::Tunnel);
    let plain = Connection::new(cut(b"\x00\x0dhello, mail", &[])).vlan(50);
    assert!(plain.judge().unwrap().reached);
    // A proxy that is told an address of no name: as that address.
    let socks4 = [&[4, 1, 1, 0xbb][..], &[198, 51, 100, 7, 0]].concat();
    let journey = Connection::new(vec![Segment::new(0, &socks4)])
        .judge()
        .unwrap();
    assert!(!journey.reached, "{}", journey.outcome.table());
}

/// An IPv4 address inside an IPv6 one is judged as both (RFC 4291 §2.5.5.2,
/// RFC 3056, RFC 4380, RFC 6052).
#[test]
fn n07_embedded_addresses_are_judged() {
    for (denied, allowed) in [
        ("::ffff:198.51.100.7", "::ffff:93.184.216.34"),
        ("2002:c633:6407::1", "2002:5db8:d822::1"),
        ("64:ff9b::198.51.100.7", "64:ff9b::93.184.216.34"),
        // Teredo carries the client's address turned over.
        ("2001:0:1::39cc:9bf8", "2001:0:1::a247:27dd"),
    ] {
        for (server, reason) in [
            (denied, Reason::RangeDenied),
            (allowed, Reason::DefaultOpen),
        ] {
            let frame = udp("[2001:db8:9::5]:7001", &format!("[{server}]:9999"), b"x");
            let outcome = judge(&[tagged(10, &frame)]).unwrap();
            assert_eq!(outcome.frames[0].reason, reason, "{server}");
        }
    }
}
