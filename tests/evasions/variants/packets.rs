//! N01–N09: fragments, headers, what may be sent beside rooms.

use filter_ebpf::abi::{Reason, Verdict};
use filter_tests::frames::{ACK, PSH, SYN, ethernet, fragment, ip, tagged, tcp, udp};
use filter_tests::small_school::Outcome;

use crate::hello::hello;
use crate::stream::{ALLOWED, BLOCKED, judge, strict};

const OPEN: u16 = 10;
const STRICT: u16 = 20;
const OUTSIDE: &str = "93.184.216.34";
const OUTSIDE6: &str = "2001:db8:77::1";
const CLIENT6: &str = "2001:db8:9::5";

fn passed(outcome: &Outcome) -> bool {
    outcome.frames.last().unwrap().verdict == Some(Verdict::Pass)
}

fn packet(from: &str, to: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip(
        from.parse().unwrap(),
        to.parse().unwrap(),
        protocol,
        payload,
    )
}

/// A fragment tells no ports; a connection between ports 0 must not speak for
/// it.
#[test]
fn n01_fragments_behind_a_connection_without_ports() {
    let first = udp("10.9.1.1:0", &format!("{OUTSIDE}:0"), &[1; 40]);
    let part = fragment(
        udp("10.9.1.1:5555", &format!("{OUTSIDE}:443"), &[1; 40]),
        0,
        true,
    );
    let rest = fragment(
        udp("10.9.1.1:5555", &format!("{OUTSIDE}:443"), &[1; 40]),
        48,
        false,
    );
    let outcome = judge(&[
        tagged(OPEN, &first),
        tagged(OPEN, &part),
        tagged(OPEN, &rest),
    ])
    .unwrap();
    for frame in &outcome.frames[1..] {
        assert_eq!(
            (frame.verdict, frame.reason),
            (Some(Verdict::Reject), Reason::Fragment),
            "{}",
            outcome.table()
        );
    }
    // The same with a hello in a SYN.
    let bytes = hello(ALLOWED);
    let open = tcp("10.9.1.2:0", &format!("{OUTSIDE}:0"), SYN, 100, 0, &bytes);
    let part = fragment(
        tcp(
            "10.9.1.2:5555",
            &format!("{OUTSIDE}:443"),
            ACK | PSH,
            1,
            1,
            &hello(BLOCKED),
        ),
        0,
        true,
    );
    let outcome = strict(&[tagged(OPEN, &open), tagged(OPEN, &part)]).unwrap();
    assert!(!passed(&outcome), "{}", outcome.table());
}

#[test]
fn n02_fragments_of_icmp_are_no_errors() {
    for first in [[58, 0, 0, 1], [58, 0, 0, 9], [58, 0, 5, 0]] {
        let payload = [&first[..], &[0, 0, 0, 7], &[128, 0, 0, 0], &[b'x'; 60]].concat();
        let outcome = judge(&[tagged(STRICT, &packet(CLIENT6, OUTSIDE6, 44, &payload))]).unwrap();
        assert!(!passed(&outcome), "{}", outcome.table());
    }
}

/// Errors about connections that pass go to their servers; others are a way
/// out.
#[test]
fn n06_icmp_errors_belong_to_connections() {
    let about = |server: &str| {
        packet(
            server,
            "10.9.1.3",
            17,
            &[&[1, 187, 0x17, 0x70][..], &[0, 8, 0, 0]].concat(),
        )
    };
    let error = |to: &str, server: &str, kind: u8| {
        packet(
            "10.9.1.3",
            to,
            1,
            &[&[kind, 3, 0, 0, 0, 0, 0, 0][..], &about(server)].concat(),
        )
    };
    for kind in [3, 11, 12] {
        let outcome = judge(&[tagged(STRICT, &error(OUTSIDE, OUTSIDE, kind))]).unwrap();
        assert!(!passed(&outcome), "{kind}\n{}", outcome.table());
        let outcome = judge(&[tagged(
            STRICT,
            &packet("10.9.1.3", OUTSIDE, 1, &[kind, 3, 0, 0]),
        )])
        .unwrap();
        assert!(!passed(&outcome), "{kind}\n{}", outcome.table());
    }
    let flow = udp("10.9.1.3:6000", "192.0.2.9:443", &[1; 30]);
    let outcome = judge(&[
        tagged(STRICT, &flow),
        tagged(STRICT, &error("192.0.2.9", "192.0.2.9", 3)),
    ])
    .unwrap();
    assert!(passed(&outcome), "{}", outcome.table());
    let outcome = judge(&[tagged(STRICT, &error(OUTSIDE, "192.0.2.9", 3))]).unwrap();
    assert!(!passed(&outcome), "another's error\n{}", outcome.table());
    for kind in [1, 2, 3, 4, 100, 127] {
        let outcome = judge(&[tagged(
            STRICT,
            &packet(
                CLIENT6,
                OUTSIDE6,
                58,
                &[&[kind, 0, 0, 0, 0, 0, 0, 0][..], &[b'x'; 60]].concat(),
            ),
        )])
        .unwrap();
        assert!(!passed(&outcome), "{kind}\n{}", outcome.table());
    }
}

/// What keeps a LAN alive stays on it.
#[test]
fn n09_no_way_out_as_what_keeps_the_lan_alive() {
    let solicitation = |from: &str, to: &str| {
        let mut packet = packet(
            from,
            to,
            58,
            &[&[135, 0, 0, 0, 0, 0, 0, 0][..], &[b'x'; 60]].concat(),
        );
        packet[7] = 255;
        packet
    };
    for frame in [
        // IGMP to a host outside.
        packet("10.9.1.4", OUTSIDE, 2, &[0x16; 60]),
        // A neighbour of the host outside, as it says itself.
        solicitation("2001:db8:77::9", OUTSIDE6),
        solicitation(CLIENT6, OUTSIDE6),
        // DHCP to a server outside.
        udp("10.9.1.4:68", &format!("{OUTSIDE}:67"), &[1; 300]),
        udp(
            &format!("[{CLIENT6}]:546"),
            &format!("[{OUTSIDE6}]:547"),
            &[1; 60],
        ),
        // mDNS, SSDP, NetBIOS, IPP to one host.
        udp("10.9.1.4:5353", &format!("{OUTSIDE}:5353"), &[0; 60]),
        udp(
            "10.9.1.4:1900",
            &format!("{OUTSIDE}:1900"),
            b"M-SEARCH * HTTP/1.1\r\n",
        ),
        udp("10.9.1.4:137", &format!("{OUTSIDE}:137"), &[0; 60]),
    ] {
        for to in [
            [2, 0, 0, 0, 0, 2],
            [1, 0, 0x5e, 0, 0, 1],
            [0xff; 6],
            [1, 0x80, 0xc2, 0, 0, 3],
        ] {
            let ethertype = if frame[0] >> 4 == 6 { 0x86dd } else { 0x0800 };
            let outcome = judge(&[ethernet(to, &[(0x8100, STRICT)], ethertype, &frame)]).unwrap();
            assert!(!passed(&outcome), "{}", outcome.table());
        }
    }
    // A PPPoE session to a group address that bridges keep for themselves.
    let inner = udp("10.9.1.4:7", &format!("{OUTSIDE}:9999"), b"x");
    let mut session = vec![0x11, 0, 0, 7];
    session.extend((inner.len() as u16 + 2).to_be_bytes());
    session.extend([0, 0x21]);
    session.extend(inner);
    let outcome = judge(&[ethernet(
        [1, 0x80, 0xc2, 0, 0, 3],
        &[(0x8100, STRICT)],
        0x8864,
        &session,
    )])
    .unwrap();
    assert!(!passed(&outcome), "{}", outcome.table());
}

/// A packet for the school that asks to be sent on is not for the school.
#[test]
fn n02_n03_source_routes_are_refused() {
    let routed = |first: u8, left: u8, to: &str| {
        let header = [
            &[17, 2, first, left, 0, 0, 0, 0][..],
            &OUTSIDE6.parse::<std::net::Ipv6Addr>().unwrap().octets(),
        ]
        .concat();
        let datagram = &udp(
            &format!("[{CLIENT6}]:7"),
            &format!("[{OUTSIDE6}]:9999"),
            b"x",
        )[40..];
        packet(CLIENT6, to, 43, &[&header, datagram].concat())
    };
    for kind in [0, 2, 3, 4] {
        for to in ["2001:db8:53::1", OUTSIDE6] {
            let outcome = judge(&[tagged(OPEN, &routed(kind, 1, to))]).unwrap();
            assert!(!passed(&outcome), "{kind} {to}\n{}", outcome.table());
            let outcome = judge(&[tagged(OPEN, &routed(kind, 0, to))]).unwrap();
            assert!(passed(&outcome), "{kind} {to}\n{}", outcome.table());
        }
    }
    let with = |options: &[u8], to: &str| {
        let datagram = &udp("10.9.1.5:7", "93.184.216.34:9999", b"x")[20..];
        let mut packet = packet("10.9.1.5", to, 17, &[options, datagram].concat());
        packet[0] = 0x45 + (options.len() / 4) as u8;
        packet
    };
    let route = |kind: u8| vec![kind, 7, 4, 93, 184, 216, 34, 0];
    for to in ["172.16.0.1", OUTSIDE] {
        for options in [
            route(131),
            route(137),
            [&[1, 1, 1, 1][..], &route(131)].concat(),
            [&[148, 4, 0, 0][..], &route(137)].concat(),
        ] {
            let outcome = judge(&[tagged(OPEN, &with(&options, to))]).unwrap();
            assert!(!passed(&outcome), "{options:?} {to}\n{}", outcome.table());
        }
        // Router alert, timestamps, nothing.
        for options in [
            vec![148, 4, 0, 0],
            vec![68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            vec![1, 1, 1, 0],
        ] {
            let outcome = judge(&[tagged(OPEN, &with(&options, to))]).unwrap();
            assert!(passed(&outcome), "{options:?} {to}\n{}", outcome.table());
        }
    }
}

#[test]
fn n06_more_tunnels_by_their_ports_and_first_bytes() {
    for port in [2152, 8472, 4789, 6081, 3544, 1701, 500, 4500, 6635, 4754] {
        let frame = udp("10.9.1.6:7000", &format!("100.64.0.9:{port}"), &[8; 60]);
        let outcome = judge(&[tagged(OPEN, &frame)]).unwrap();
        assert_eq!(outcome.frames[0].reason, Reason::Tunnel, "{port}");
    }
    // Behind a datagram of nothing.
    let wireguard = [&[1, 0, 0, 0][..], &[7; 144]].concat();
    let openvpn = [&[0x38][..], &[9; 8], &[0; 5]].concat();
    for (port, datagram) in [(1, &wireguard), (2, &openvpn)] {
        let client = format!("10.9.1.7:{port}");
        let server = "100.64.0.9:443";
        let outcome = judge(&[
            tagged(OPEN, &udp(&client, server, b"x")),
            tagged(OPEN, &udp(&client, server, datagram)),
        ])
        .unwrap();
        assert!(!passed(&outcome), "{}", outcome.table());
    }
    // Over TCP, a byte at a time, where plain protocols pass.
    for size in [1, 2, 5, 16] {
        let stream = [&[0, 14][..], &openvpn].concat();
        let mut wire = crate::wire::Wire::open_in(50, 443);
        for (i, piece) in stream.chunks(size).enumerate() {
            wire = wire.send(i * size, piece);
        }
        assert_eq!(wire.refused("OpenVPN"), Reason::Tunnel, "{size}");
    }
}

#[test]
fn n07_more_embedded_addresses() {
    for server in [
        "64:ff9b:1::198.51.100.7",
        "::ffff:0:198.51.100.7",
        "::198.51.100.7",
    ] {
        let frame = udp(
            &format!("[{CLIENT6}]:7001"),
            &format!("[{server}]:9999"),
            b"x",
        );
        let outcome = judge(&[tagged(OPEN, &frame)]).unwrap();
        assert_eq!(outcome.frames[0].reason, Reason::RangeDenied, "{server}");
    }
}
