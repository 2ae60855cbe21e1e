//! T01–T09: segments, sequence numbers, ports used again.

use filter_ebpf::abi::{Reason, Verdict};

use crate::hello::{PADDING, handshake, hello, record, records, sni, usual};
use crate::stream::{ACK, ALLOWED, ALLOWED_TWIN, BLOCKED, PSH, SYN};
use crate::wire::Wire;

/// A hello whose first `before` bytes or more hold no name.
fn late(host: &str, before: usize) -> Vec<u8> {
    let mut extensions = usual();
    extensions.push((PADDING, vec![0; before]));
    extensions.push(sni(host));
    records(&handshake(&extensions), 16_384)
}

#[test]
fn t01_split_at_every_byte() {
    for (host, passes) in [(BLOCKED, false), (ALLOWED, true)] {
        let bytes = hello(host);
        for cut in 1..bytes.len() {
            let wire = Wire::open(443)
                .send(0, &bytes[..cut])
                .send(cut, &bytes[cut..]);
            assert_eq!(wire.last().0 == Verdict::Pass, passes, "{host} {cut}");
        }
    }
}

#[test]
fn t02_single_bytes_between_acknowledgements() {
    for (host, passes) in [(BLOCKED, false), (ALLOWED, true)] {
        let bytes = hello(host);
        let mut wire = Wire::open(443);
        for (at, byte) in bytes.iter().enumerate() {
            wire = wire.client(ACK, at as i64, b"").send(at, &[*byte]);
            if at % 3 == 0 {
                // Sent again, and the server's word for all before it.
                wire = wire.send(at, &[*byte]).acked(at);
            }
        }
        assert_eq!(wire.last().0 == Verdict::Pass, passes, "{host}");
    }
}

/// The same port again, with a first sequence number that lies in what was
/// judged of the connection before.
#[test]
fn t06_ports_used_again_with_old_sequence_numbers() {
    let data = record(23, [3, 3], &[1; 20]);
    let (good, bad) = ([hello(ALLOWED), data].concat(), late(BLOCKED, 400));
    for acknowledged in [false, true] {
        for offset in [0, 1, good.len() as u32 - 1, good.len() as u32] {
            let mut wire = Wire::open(443).send(0, &good);
            if acknowledged {
                wire = wire.acked(good.len());
            }
            let wire = wire
                .reset(good.len())
                .moved(offset)
                .handshake()
                .send(0, &bad[..200])
                .send(200, &bad[200..]);
            wire.refused(&format!("{acknowledged} {offset}"));
        }
    }
}

#[test]
fn t06_ports_used_again_by_an_allowed_connection() {
    let good = hello(ALLOWED);
    for offset in [0, 1, 50, good.len() as u32, 1_000_000, 1 << 31] {
        Wire::open(443)
            .send(0, &good)
            .acked(good.len())
            .reset(good.len())
            .moved(offset)
            .handshake()
            .send(0, &good)
            .acked(good.len())
            .passes(&format!("{offset}"));
    }
}

/// Data in a SYN behind the verdict, as if the stream began anew.
#[test]
fn t07_data_in_another_syn_changes_no_verdict() {
    let bad = late(BLOCKED, 600);
    let app = record(23, [3, 3], &[1; 20]);
    let good = [hello(ALLOWED), app].concat();
    assert!(good.len() < 500);
    Wire::open(443)
        .send(0, &bad[..500])
        .send(500, &bad[500..])
        .client(SYN, -1, &good)
        .send(500, &bad[500..])
        .refused("the stream's own number");
    Wire::open(443)
        .send(0, &bad[..500])
        .client(SYN, -1, &good)
        .send(500, &bad[500..])
        .refused("within the hello");
}

/// Half a hello in a SYN that no server sees, and then a stream that begins
/// where the half ended.
#[test]
fn t07_a_stream_that_begins_behind_the_data_of_a_syn() {
    let bad = hello(BLOCKED);
    let mut extensions = usual();
    extensions.push(sni(ALLOWED));
    extensions.push((PADDING, vec![0; bad.len()]));
    let cover = records(&handshake(&extensions), 16_384);
    let half = cover.len() - bad.len();
    Wire::new(443)
        .client(SYN, -1, &cover[..half])
        .moved(half as u32)
        .handshake()
        .send(0, &bad)
        .refused("half a hello");
    let good = hello(ALLOWED);
    Wire::new(443)
        .client(SYN, -1, &good)
        .moved(good.len() as u32)
        .handshake()
        .send(0, &bad)
        .refused("a whole one");
}

/// A request in a SYN, and the same SYN again with another one behind it.
#[test]
fn t07_a_syn_that_says_more_than_before() {
    let get = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
    for host in [BLOCKED, ALLOWED] {
        let first = get(ALLOWED);
        Wire::new(80)
            .client(SYN, -1, &first)
            .client(SYN, -1, &[first, get(host)].concat())
            .refused(host);
    }
}

/// An urgent byte is no part of the stream: "xblocked" is "blocked" to the
/// server.
#[test]
fn t08_urgent_pointers_before_and_behind_the_verdict() {
    // An allowed name to who reads its x, a blocked one to the server.
    let text = "GET / HTTP/1.1\r\nHost: www.xplay.games.example\r\n\r\n";
    for acknowledged in [false, true] {
        let mut wire = Wire::open(80).send(0, text.as_bytes());
        if acknowledged {
            wire = wire.acked(0);
        }
        // The segment without a pointer gets lost on its way.
        wire.urgent(28)
            .send(0, text.as_bytes())
            .refused("sent again");
    }
    // A pointer may come before the byte.
    let wire = Wire::open(80).urgent(28).client(ACK, 0, b"");
    assert_eq!(wire.refused("alone"), Reason::BadTcp);
    let hello = hello(ALLOWED);
    Wire::open(443)
        .send(0, &hello[..50])
        .urgent(28)
        .client(ACK, 50, b"")
        .refused("within a hello");
    let first = format!("GET / HTTP/1.1\r\nHost: {ALLOWED}\r\n\r\n");
    Wire::open(80)
        .send(0, first.as_bytes())
        .acked(first.len())
        .urgent(40)
        .client(ACK, first.len() as i64, b"")
        .refused("in a kept connection");
}

#[test]
fn t05_decoys_of_every_length() {
    let (good, bad) = (hello(ALLOWED_TWIN), hello(BLOCKED));
    for len in [1, 5, 60, 100, 150, good.len()] {
        for (before, behind) in [(true, false), (false, true), (true, true)] {
            let mut wire = Wire::open(443);
            if before {
                wire = wire.send(0, &good[..len]);
            }
            wire = wire.send(0, &bad[..bad.len() / 2]);
            if behind {
                wire = wire.send(0, &good[..len]);
            }
            wire.send(bad.len() / 2, &bad[bad.len() / 2..])
                .send(0, &bad)
                .refused(&format!("{len} {before} {behind}"));
        }
    }
}

#[test]
fn t09_any_flags() {
    // Push, ECN's two, urgent data that is none.
    for flags in [ACK, ACK | PSH | 0xc0, ACK | 1] {
        for (host, passes) in [(BLOCKED, false), (ALLOWED, true)] {
            let bytes = hello(host);
            let wire = Wire::new(443)
                .client(SYN | 0xc0, -1, b"")
                .syn_ack(0)
                .client(flags, 0, &bytes[..90])
                .client(flags, 90, &bytes[90..]);
            assert_eq!(wire.last().0 == Verdict::Pass, passes, "{host} {flags}");
        }
    }
}
