//! T10–T20: tricks with TLS records and hellos.

use filter_ebpf::abi::{Reason, Verdict};
use filter_tests::small_school::{ECH_HOST, GAME_HOST, LEARNING_HOST};

use super::hello::{
    ECH, PADDING, SERVER_NAME, block, handshake, hello, hello_with, names, record, records, sni,
    usual, wrap,
};
use super::stream::{ACK, ALLOWED, BLOCKED, Connection, PSH, Segment, both, cut, denied, pieces};

fn one(bytes: &[u8]) -> Connection {
    Connection::new(cut(bytes, &[]))
}

fn named(host: &str) -> Vec<(u16, Vec<u8>)> {
    let mut extensions = usual();
    extensions.insert(1, sni(host));
    extensions
}

#[test]
fn t10_many_records() {
    for size in [1, 2, 7, 64] {
        both(|host| one(&records(&handshake(&named(host)), size)));
    }
}

#[test]
fn t11_records_and_segments_cut_independently() {
    for (record, segment) in [(1, 1), (3, 7), (64, 13), (50, 51)] {
        both(|host| Connection::new(pieces(&records(&handshake(&named(host)), record), segment)));
    }
}

#[test]
fn t12_another_record_first() {
    for first in [
        record(20, [3, 3], &[1]),
        record(21, [3, 1], &[1, 0]),
        record(22, [3, 1], &[]),
    ] {
        both(|host| one(&[&first[..], &hello(host)].concat()));
    }
    // Without end: denied.
    let many: Vec<u8> = (0..200).flat_map(|_| record(20, [3, 3], &[1])).collect();
    for host in [BLOCKED, ALLOWED] {
        let journey = one(&[&many[..], &hello(host)].concat()).judge().unwrap();
        assert!(!journey.reached, "{}", journey.outcome.table());
    }
}

#[test]
fn t13_odd_record_versions() {
    for version in [[3, 0], [3, 4], [3, 9], [0, 0]] {
        let trick = |host: &str| one(&record(22, version, &handshake(&named(host))));
        let blocked = trick(BLOCKED).judge().unwrap();
        assert!(!blocked.reached, "{version:?}\n{}", blocked.outcome.table());
    }
    both(|host| one(&record(22, [3, 4], &handshake(&named(host)))));
}

#[test]
fn t13_sslv2_hello() {
    let mut bytes = vec![0x80, 46, 1, 0, 2, 0, 21, 0, 0, 0, 16];
    bytes.extend([1; 37]);
    let journey = one(&bytes).judge().unwrap();
    assert!(!journey.reached);
    assert_eq!(journey.reason(), Reason::Sslv2);
}

#[test]
fn t14_lengths_that_lie() {
    // Trailing bytes behind the extensions, inside the handshake message.
    let blocked = {
        let message = handshake(&named(BLOCKED));
        let body = [&message[4..], &[0; 9]].concat();
        one(&records(&wrap(&body), 16_384)).judge().unwrap()
    };
    assert!(!blocked.reached, "{}", blocked.outcome.table());
    // An extension that says it is longer than the block it lies in.
    for host in [BLOCKED, ALLOWED] {
        let mut extensions = named(host);
        extensions.push((PADDING, vec![0; 8]));
        let mut message = handshake(&extensions);
        let at = message.len() - 10;
        message[at..at + 2].copy_from_slice(&[0xff, 0xff]);
        let journey = one(&records(&message, 16_384)).judge().unwrap();
        assert!(!journey.reached, "{host}\n{}", journey.outcome.table());
    }
}

#[test]
fn t15_name_after_very_many_extensions() {
    both(|host| {
        let mut extensions: Vec<_> = (0..400).map(|i| (0x5000 + i, vec![1, 2, 3])).collect();
        extensions.push(sni(host));
        Connection::new(pieces(&records(&handshake(&extensions), 16_384), 1400))
    });
}

#[test]
fn t15_name_after_16_kb_of_padding() {
    let trick = |host: &str| {
        let mut extensions = usual();
        extensions.push((PADDING, vec![0; 16_500]));
        extensions.push(sni(host));
        Connection::new(pieces(&records(&handshake(&extensions), 16_384), 1400))
    };
    both(trick);
    // Past the cap nothing is looked at, and nothing passes.
    denied(Reason::HelloTooLong, |host| {
        let mut extensions = usual();
        extensions.push((PADDING, vec![0; 60_000]));
        extensions.push(sni(host));
        Connection::new(pieces(&records(&handshake(&extensions), 16_384), 1400))
    });
}

#[test]
fn t16_the_same_name_written_otherwise() {
    for spell in [
        |host: &str| host.to_uppercase(),
        |host: &str| host.replace('a', "A").replace('e', "E"),
        |host: &str| format!("{host}."),
    ] {
        both(|host| one(&hello(&spell(host))));
    }
}

#[test]
fn t17_several_names() {
    both(|host| {
        let entries = names(&[(7, b"junk"), (0, host.as_bytes())]);
        one(&hello_with(vec![(SERVER_NAME, entries)]))
    });
    for (first, second) in [(ALLOWED, BLOCKED), (BLOCKED, ALLOWED)] {
        let entries = names(&[(0, first.as_bytes()), (0, second.as_bytes())]);
        let twice = hello_with(vec![(SERVER_NAME, entries)]);
        assert!(!one(&twice).judge().unwrap().reached, "{first} {second}");
        let duplicate = hello_with(vec![sni(first), sni(second)]);
        assert!(
            !one(&duplicate).judge().unwrap().reached,
            "{first} {second}"
        );
    }
    // An address as a name is judged as an address.
    assert!(!one(&hello("198.51.100.7")).judge().unwrap().reached);
    assert!(one(&hello("93.184.216.34")).judge().unwrap().reached);
}

/// A server's HelloRetryRequest brings a second hello, which must not name
/// another host.
#[test]
fn t17_second_hello_behind_a_retry_request() {
    let ccs = record(20, [3, 3], &[1]);
    let early = record(23, [3, 3], &[0x5a; 300]);
    for between in [vec![], ccs.clone(), [&ccs[..], &ccs].concat()] {
        for size in [1, 3, 90, 4000] {
            let trick = |host: &str| {
                let (first, second) = (hello(ALLOWED), hello(host));
                let mut segments = cut(&first, &[]);
                let behind = [&between[..], &second].concat();
                for (i, piece) in behind.chunks(size).enumerate() {
                    segments.push(Segment::new(first.len() + i * size, piece));
                }
                Connection::new(segments)
            };
            both(trick);
            let blocked = trick(BLOCKED).judge().unwrap();
            assert_eq!(blocked.reason(), Reason::Malformed);
        }
    }
    // In the first hello's last segment, and behind early data.
    both(|host| one(&[hello(ALLOWED), ccs.clone(), hello(host)].concat()));
    both(|host| {
        let first = hello_with(vec![sni(ALLOWED), (42, vec![])]);
        Connection::new(pieces(
            &[&first[..], &early, &early, &hello(host)].concat(),
            200,
        ))
    });
    // One that names nobody.
    let nobody = [hello(ALLOWED), hello_with(vec![])].concat();
    assert!(!one(&nobody).judge().unwrap().reached);
}

/// What clients send behind their last hello goes the way of the connection,
/// and is looked at no further.
#[test]
fn t17_no_second_hello() {
    let ccs = record(20, [3, 3], &[1]);
    let data = record(23, [3, 3], &[0x5a; 300]);
    let key_exchange = record(22, [3, 3], &[16, 0, 0, 33, 32, 1, 2, 3]);
    // A Finished of TLS 1.2 whose first byte looks like a hello's.
    let encrypted = record(22, [3, 3], &[&[1][..], &[0xa5; 39]].concat());
    for second in [
        data.clone(),
        [&ccs[..], &data].concat(),
        [&key_exchange[..], &ccs, &encrypted].concat(),
        [&ccs[..], &encrypted].concat(),
    ] {
        for size in [1, 50, 4000] {
            let first = hello(ALLOWED);
            let rest = [&second[..], &data, &data].concat();
            let mut segments = cut(&first, &[]);
            for (i, piece) in rest.chunks(size).enumerate() {
                segments.push(Segment::new(first.len() + i * size, piece));
            }
            let journey = Connection::new(segments).judge().unwrap();
            assert!(journey.reached, "{}", journey.outcome.table());
            assert_eq!(journey.reason(), Reason::DefaultOpen);
        }
    }
    // More early data than a hello may have bytes.
    let first = hello_with(vec![sni(ALLOWED), (42, vec![])]);
    let long = [first, data.repeat(200)].concat();
    let journey = Connection::new(pieces(&long, 1400)).judge().unwrap();
    assert!(journey.reached, "{}", journey.outcome.table());
}

#[test]
fn t18_no_name() {
    let journey = one(&hello_with(vec![])).judge().unwrap();
    assert!(!journey.reached);
    assert_eq!(journey.reason(), Reason::Unnamed);
    let empty = one(&hello_with(vec![(SERVER_NAME, block(&[]))]))
        .judge()
        .unwrap();
    assert!(!empty.reached, "{}", empty.outcome.table());
}

#[test]
fn t19_grease_ech_is_no_reason_to_deny() {
    both(|host| {
        let mut extensions = named(host);
        extensions.push((ECH, vec![0, 0, 1, 0, 1, 9, 0, 2, 1, 1, 0, 3, 1, 2, 3]));
        one(&records(&handshake(&extensions), 16_384))
    });
}

/// The outer form (RFC 9849 §5): suite, configuration, key share, and the
/// encrypted inner hello.
fn ech(host: &str) -> Connection {
    let mut body = vec![0, 0, 1, 0, 1, 0x42];
    body.extend(block(&[0x3c; 32]));
    body.extend(block(&[0xc3; 239]));
    one(&hello_with(vec![(ECH, body), sni(host)]))
}

#[test]
fn t19_ech_is_judged_by_the_outer_name() {
    both(ech);
    // A provider's outer name hides another: the group's verdict.
    let hidden = ech(ECH_HOST).judge().unwrap();
    assert!(!hidden.reached, "{}", hidden.outcome.table());
    assert_eq!(hidden.reason(), Reason::EncryptedName);
    let hidden = ech(ECH_HOST).vlan(50).judge().unwrap();
    assert!(hidden.reached, "{}", hidden.outcome.table());
    assert_eq!(hidden.reason(), Reason::EncryptedName);
    // Without ECH it is a host like others.
    let plain = one(&hello(ECH_HOST)).judge().unwrap();
    assert!(plain.reached, "{}", plain.outcome.table());
}

#[test]
fn t20_any_port() {
    for port in [8443, 25, 853, 22, 1] {
        both(|host| one(&hello(host)).port(port));
    }
}

#[test]
fn t20_starttls() {
    // In the teachers' room nothing is looked at by name; the open room
    // refuses plain text, so the conversation is judged for a room whose
    // group lets plain protocols through.
    for host in [BLOCKED, ALLOWED] {
        let greeting = b"EHLO pupil\r\n";
        let command = b"STARTTLS\r\n";
        let start = greeting.len() + command.len();
        let bytes = hello(host);
        let mut segments = vec![
            Segment::new(0, greeting),
            Segment::new(greeting.len(), command),
        ];
        for (i, piece) in bytes.chunks(90).enumerate() {
            segments.push(Segment::new(start + i * 90, piece).flags(ACK | PSH));
        }
        let journey = Connection::new(segments).port(25).vlan(50).judge().unwrap();
        assert_eq!(
            journey.reached,
            host == ALLOWED,
            "{host}\n{}",
            journey.outcome.table()
        );
    }
}

#[test]
fn allow_listed_only_groups_reach_only_what_is_listed() {
    for (host, reached) in [(LEARNING_HOST, true), (ALLOWED, false), (GAME_HOST, false)] {
        let journey = one(&hello(host)).vlan(20).judge().unwrap();
        assert_eq!(
            journey.reached,
            reached,
            "{host}\n{}",
            journey.outcome.table()
        );
        let last = journey.outcome.frames.last().unwrap();
        assert_eq!(last.verdict == Some(Verdict::Pass), reached);
        assert_eq!(last.host.as_deref(), Some(host));
    }
}
