//! Q01–Q10: QUIC in other orders, shapes and places.

use filter_ebpf::abi::{Reason, Verdict};

use crate::quic::{
    ALLOW, DCID, DENY, HOLD, Initial, OTHER, PENDING, V2, both, crypto, early, finished, frame,
    hello, port, sent,
};
use crate::stream::{ALLOWED, BLOCKED, judge};

#[test]
fn q01_three_datagrams_in_every_order() {
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        both(&[PENDING, PENDING], |host| {
            let hello = hello(host, 2_700);
            let packet = Initial::new(DCID);
            let parts = [(0, 1000), (1000, 2000), (2000, hello.len())];
            order
                .iter()
                .map(|i| {
                    let (from, to) = parts[*i];
                    packet
                        .number(*i as u16)
                        .padded(&crypto(from, &hello[from..to]))
                })
                .collect()
        });
    }
}

#[test]
fn q01_datagrams_that_come_twice() {
    both(&[PENDING, PENDING, PENDING], |host| {
        let hello = hello(host, 1_400);
        let packet = Initial::new(DCID);
        let first = packet.padded(&crypto(0, &hello[..900]));
        vec![
            first.clone(),
            first.clone(),
            // The same bytes under another number, cut otherwise.
            packet
                .number(7)
                .padded(&[crypto(500, &hello[500..700]), crypto(0, &hello[..500])].concat()),
            packet.number(9).padded(&crypto(600, &hello[600..])),
        ]
    });
}

#[test]
fn q02_frames_of_every_size_and_what_stands_between() {
    for size in [2, 3, 5, 8, 64] {
        both(&[], |host| {
            let mut frames = vec![0; 5];
            for (i, part) in hello(host, 0).chunks(size).enumerate() {
                frames.extend(crypto(i * size, part));
                // PING, ACK with a range, PADDING, an empty CRYPTO frame.
                match i % 4 {
                    0 => frames.push(1),
                    1 => frames.extend([2, 9, 0, 1, 0, 0, 0]),
                    2 => frames.extend([0; 9]),
                    _ => frames.extend(crypto(i * size, &[])),
                }
            }
            vec![Initial::new(DCID).padded(&frames)]
        });
    }
}

#[test]
fn q03_overlaps_with_equal_content() {
    both(&[PENDING, PENDING], |host| {
        let hello = hello(host, 300);
        let packet = Initial::new(DCID);
        vec![
            packet.padded(&crypto(100, &hello[100..260])),
            packet
                .number(1)
                .padded(&[crypto(90, &hello[90..200]), crypto(50, &hello[50..101])].concat()),
            packet
                .number(2)
                .padded(&[crypto(0, &hello[..120]), crypto(255, &hello[255..])].concat()),
        ]
    });
}

#[test]
fn q04_versions_that_change() {
    // The first half under one version, the second under the other.
    both(&[PENDING], |host| {
        let hello = hello(host, 900);
        let second = Initial {
            version: V2,
            number: 1,
            ..Initial::new(DCID)
        };
        vec![
            Initial::new(DCID).padded(&crypto(0, &hello[..500])),
            second.padded(&crypto(500, &hello[500..])),
        ]
    });
    for version in [
        0xff00_0020_u32,
        0x5130_3530,
        0x0a0a_0a0a,
        0xface_b002,
        0x6b33_43ce,
    ] {
        for server in [443, 8443] {
            let mut packet = Initial::new(DCID).padded(&crypto(0, &hello(ALLOWED, 0)));
            packet[1..5].copy_from_slice(&version.to_be_bytes());
            let outcome = judge(&[frame(port(), server, &packet)]).unwrap();
            outcome.verdicts(&[(Verdict::Reject, Reason::QuicVersion)]);
        }
    }
}

#[test]
fn q05_junk_of_many_kinds_first() {
    let valid = Initial::new(OTHER).padded(&crypto(0, &hello(ALLOWED, 0)));
    for junk in [
        vec![0; 30],
        vec![0x41; 60],
        valid[..25].to_vec(),
        vec![0xc3; 1200],
        [&valid[..4], &[9; 200]].concat(),
    ] {
        for (host, passes) in [(BLOCKED, false), (ALLOWED, true)] {
            let real = Initial::new(DCID).padded(&crypto(0, &hello(host, 0)));
            let outcome = sent(&[junk.clone(), real]);
            let last = outcome.frames.last().unwrap();
            // Junk that is refused for good refuses all.
            let passed = last.verdict == Some(Verdict::Pass);
            assert!(!passed || passes, "{host}\n{}", outcome.table());
        }
    }
}

#[test]
fn q06_everything_in_one_datagram() {
    for (host, end) in [(BLOCKED, DENY), (ALLOWED, ALLOW)] {
        let hello = hello(host, 0);
        for token in [0, 1, 63, 64, 300] {
            let packet = Initial {
                token,
                ..Initial::new(DCID)
            };
            let datagram = [
                packet.seal(&crypto(0, &hello)),
                early(),
                finished(DCID),
                vec![0x41; 30],
            ]
            .concat();
            sent(&[datagram]).verdicts(&[end]);
        }
        let none = Initial::new(&[]);
        sent(&[none.padded(&[vec![0; 200], crypto(0, &hello)].concat())]).verdicts(&[end]);
    }
}

#[test]
fn q07_a_long_token_behind_a_retry() {
    both(&[PENDING], |host| {
        let hello = hello(host, 0);
        let again = Initial {
            token: 700,
            number: 1,
            ..Initial::new(OTHER)
        };
        vec![
            Initial::new(DCID).padded(&crypto(0, &hello[..100])),
            again.padded(&crypto(0, &hello)),
        ]
    });
}

/// One connection after another from one port, as libraries with one socket
/// have them; a denied one is the last, since half of it may have passed.
#[test]
fn q08_connections_from_one_port() {
    let one = |id: u8, host: &str| Initial::new(&[id; 8]).padded(&crypto(0, &hello(host, 0)));
    sent(&[
        one(1, ALLOWED),
        one(2, BLOCKED),
        one(3, ALLOWED),
        one(4, BLOCKED),
    ])
    .verdicts(&[ALLOW, DENY, DENY, DENY]);
    sent(&[one(1, BLOCKED), one(2, ALLOWED), finished(&[2; 8])]).verdicts(&[DENY, DENY, DENY]);
    sent(&[one(1, ALLOWED), one(2, ALLOWED), finished(&[2; 8])]).verdicts(&[ALLOW, ALLOW, ALLOW]);
}

#[test]
fn q08_the_fixed_bit_and_odd_ports() {
    for server in [1, 53, 80, 123, 443, 3478, 8443, 65_535] {
        for (host, passes) in [(BLOCKED, false), (ALLOWED, true)] {
            let packet = Initial::new(DCID).padded(&crypto(0, &hello(host, 0)));
            for grease in [false, true] {
                let mut packet = packet.clone();
                if grease {
                    // RFC 9287; not protected, and no part of what is read.
                    packet[0] &= !0x40;
                }
                let outcome = judge(&[frame(port(), server, &packet)]).unwrap();
                let passed = outcome.frames[0].verdict == Some(Verdict::Pass);
                // On the port of resolvers only queries pass.
                let expected = passes && server != 53;
                assert_eq!(
                    passed,
                    expected,
                    "{host} {server} {grease}\n{}",
                    outcome.table()
                );
            }
        }
    }
    // Behind datagrams of another protocol.
    let client = port();
    let packet = Initial::new(DCID).padded(&crypto(0, &hello(BLOCKED, 0)));
    judge(&[frame(client, 8443, b"hello"), frame(client, 8443, &packet)])
        .unwrap()
        .verdicts(&[ALLOW, DENY]);
}

#[test]
fn q09_early_data_before_its_hello() {
    for (host, end) in [(BLOCKED, DENY), (ALLOWED, ALLOW)] {
        let hello = hello(host, 900);
        let packet = Initial::new(DCID);
        sent(&[
            early(),
            packet.padded(&crypto(500, &hello[500..])),
            early(),
            packet.number(1).padded(&crypto(0, &hello[..500])),
            early(),
        ])
        .verdicts(&[HOLD, PENDING, HOLD, end, end]);
    }
}

#[test]
fn q01_hellos_up_to_the_cap() {
    for (padding, end) in [
        (3_700, ALLOW),
        (4_000, (Verdict::Reject, Reason::HelloTooLong)),
    ] {
        let hello = hello(ALLOWED, padding);
        let packet = Initial::new(DCID);
        let datagrams: Vec<_> = hello
            .chunks(1000)
            .enumerate()
            .map(|(i, part)| packet.number(i as u16).padded(&crypto(i * 1000, part)))
            .collect();
        let outcome = sent(&datagrams);
        let last = outcome.frames.last().unwrap();
        assert_eq!(
            (last.verdict.unwrap(), last.reason),
            end,
            "{}",
            outcome.table()
        );
    }
}
