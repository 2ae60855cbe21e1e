//! T10–T20: records, names, what comes before a hello.

use filter_ebpf::abi::{Reason, Verdict};
use filter_tests::small_school::{ECH_HOST, GAME_HOST};

use crate::hello::{
    ECH, PADDING, SERVER_NAME, block, handshake, hello, hello_with, names, record, records, sni,
    usual,
};
use crate::stream::{ALLOWED, BLOCKED};
use crate::wire::Wire;

fn named(host: &str) -> Vec<u8> {
    let mut extensions = usual();
    extensions.insert(1, sni(host));
    handshake(&extensions)
}

/// One segment.
fn verdict(bytes: &[u8]) -> (Verdict, Reason) {
    Wire::open(443).send(0, bytes).last()
}

fn both(what: &str, bytes: impl Fn(&str) -> Vec<u8>) {
    for (host, passes) in [(BLOCKED, false), (ALLOWED, true)] {
        let bytes = bytes(host);
        for size in [1, 7, bytes.len()] {
            let mut wire = Wire::open(443);
            for (i, piece) in bytes.chunks(size).enumerate() {
                wire = wire.send(i * size, piece);
            }
            let (verdict, reason) = wire.last();
            let passed = verdict == Verdict::Pass && reason != Reason::HelloPending;
            assert_eq!(passed, passes, "{what} {host} {size} {reason:?}");
        }
    }
}

fn refused(what: &str, bytes: &[u8]) -> Reason {
    Wire::open(443).send(0, bytes).refused(what)
}

#[test]
fn t10_records_of_a_byte_between_empty_ones_and_alerts() {
    both("empty", |host| {
        let mut bytes = Vec::new();
        for (i, byte) in named(host).iter().enumerate() {
            bytes.extend(record(22, [3, (i % 5) as u8], &[*byte]));
            if i % 40 == 7 {
                bytes.extend(record(22, [3, 1], &[]));
            }
        }
        bytes
    });
    both("warnings and cipher changes", |host| {
        let message = named(host);
        [
            record(21, [3, 1], &[1, 112]),
            record(22, [3, 1], &message[..3]),
            record(20, [3, 3], &[1]),
            record(22, [3, 3], &message[3..90]),
            record(24, [3, 3], &[1, 0, 0]),
            record(22, [3, 0], &message[90..]),
        ]
        .concat()
    });
}

#[test]
fn t13_every_version_of_records_and_hellos() {
    for minor in 0..=4 {
        both(&format!("3.{minor}"), |host| {
            record(22, [3, minor], &named(host))
        });
        both(&format!("hello 3.{minor}"), |host| {
            let mut message = named(host);
            message[5] = minor;
            record(22, [3, 1], &message)
        });
    }
}

#[test]
fn t14_a_message_longer_or_shorter_than_it_says() {
    for host in [BLOCKED, ALLOWED] {
        let whole = named(host);
        let mut short = whole.clone();
        short[3] -= 1;
        refused("shorter", &record(22, [3, 1], &short));
        // Longer: it is not complete, so no server answers.
        let mut long = whole.clone();
        long[3] += 1;
        let (verdict, reason) = verdict(&record(22, [3, 1], &long));
        let passed = verdict == Verdict::Pass && reason != Reason::HelloPending;
        assert!(!passed || host == ALLOWED, "{host} {reason:?}");
        let huge = record(22, [3, 1], &[&[1, 0xff, 0xff, 0xff], &whole[4..]].concat());
        assert!(host == ALLOWED || self::verdict(&huge).0 != Verdict::Pass);
    }
}

#[test]
fn t15_names_around_the_cap() {
    // The school looks at 32,768 bytes.
    for (padding, reached) in [(31_000, true), (32_300, true), (33_500, false)] {
        for (host, passes) in [(BLOCKED, false), (ALLOWED, reached)] {
            let mut extensions = usual();
            extensions.push((PADDING, vec![0; padding]));
            extensions.push(sni(host));
            let bytes = records(&handshake(&extensions), 16_384);
            let mut wire = Wire::open(443);
            for (i, piece) in bytes.chunks(1400).enumerate() {
                wire = wire.send(i * 1400, piece);
            }
            assert_eq!(wire.last().0 == Verdict::Pass, passes, "{host} {padding}");
        }
    }
}

#[test]
fn t16_the_longest_names() {
    let long = |end: &str, len: usize| {
        let mut name = format!(".{end}");
        while name.len() < len {
            let label = "x".repeat(50.min(len - name.len()));
            name = if name.starts_with('.') || label.len() < 2 {
                format!("{label}{name}")
            } else {
                format!("{}.{name}", &label[1..])
            };
        }
        name
    };
    for len in [100, 252, 253, 254, 255] {
        let (bad, good) = (long(GAME_HOST, len), long("harmless.example", len));
        assert_eq!((bad.len(), good.len()), (len, len));
        refused(&bad, &hello(&bad));
        assert_eq!(verdict(&hello(&good)).0, Verdict::Pass, "{good}");
    }
    let far = long("harmless.example", 256);
    refused("256 bytes", &hello(&far));
}

#[test]
fn t16_what_is_no_name() {
    for shape in [
        "{}:443",
        "{}..",
        ".{}",
        "www..{}",
        "[{}]",
        "{}/",
        " {}",
        "{}\0",
        "{}\0.example",
        "ж{}",
        "http://{}",
        "*.{}",
    ] {
        for host in [BLOCKED, ALLOWED] {
            let name = shape.replace("{}", host);
            assert_eq!(refused(&name, &hello(&name)), Reason::Malformed, "{name:?}");
        }
    }
    for shape in ["_x.{}", "a_b.{}", "xn--e1afmkfd.{}", "1.{}", "-.{}"] {
        both(shape, |host| hello(&shape.replace("{}", host)));
    }
    // Addresses as names: judged as both.
    for (address, passes) in [
        ("198.51.100.7", false),
        ("93.184.216.34", true),
        ("2001:db8:bad::1", false),
        ("2001:db8:77::1", true),
        ("::ffff:198.51.100.7", false),
        ("0xc6.51.100.7", false),
        ("3325256711", false),
    ] {
        assert_eq!(
            verdict(&hello(address)).0 == Verdict::Pass,
            passes,
            "{address}"
        );
    }
}

#[test]
fn t17_entries_and_extensions() {
    let entries = |entries: &[(u8, &[u8])]| hello_with(vec![(SERVER_NAME, names(entries))]);
    let (bad, good) = (BLOCKED.as_bytes(), ALLOWED.as_bytes());
    for list in [
        &[(1_u8, good), (0, bad)][..],
        &[(0, bad), (1, good)],
        &[(0, bad), (0, bad)],
        &[(255, b"".as_slice()), (0, bad), (3, good)],
    ] {
        refused("blocked", &entries(list));
    }
    assert_eq!(verdict(&entries(&[(0, good), (0, good)])).0, Verdict::Pass);
    for list in [
        &[(0_u8, good), (0, b"198.51.100.7".as_slice())][..],
        &[(0, good), (0, b"".as_slice())],
        &[(0, b"".as_slice())],
        &[],
    ] {
        refused("differ or empty", &entries(list));
    }
    // Nothing but names of other kinds: no host.
    assert_eq!(refused("no host", &entries(&[(1, good)])), Reason::Unnamed);
    assert_eq!(
        refused("no extension", &hello_with(vec![])),
        Reason::Unnamed
    );
}

#[test]
fn t19_shapes_of_ech() {
    let outer = |kind: u16, body: Vec<u8>, host: &str| hello_with(vec![(kind, body), sni(host)]);
    let grease = || [&[0, 0, 1, 0, 3, 9][..], &block(&[7; 32]), &block(&[8; 144])].concat();
    for kind in [ECH, 0xffce] {
        both("grease", |host| outer(kind, grease(), host));
        assert_eq!(
            refused("provider", &outer(kind, grease(), ECH_HOST)),
            Reason::EncryptedName
        );
        // Behind the name, before it, and empty.
        both("empty", |host| outer(kind, vec![], host));
        let behind = hello_with(vec![sni(ECH_HOST), (kind, grease())]);
        assert_eq!(refused("behind", &behind), Reason::EncryptedName);
    }
}

/// What clients say before they turn to TLS, in the room where it passes.
#[test]
fn t20_starttls_of_many_protocols() {
    let ldap = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
    for (port, lines) in [
        (25, &[&b"EHLO x\r\n"[..], b"STARTTLS\r\n"][..]),
        (143, &[b"a CAPABILITY\r\n", b"b STARTTLS\r\n"]),
        (110, &[b"CAPA\r\n", b"STLS\r\n"]),
        (21, &[b"AUTH TLS\r\n"]),
        (389, &[ldap]),
        (
            5222,
            &[
                b"<?xml version='1.0'?><stream:stream>",
                b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            ],
        ),
        (5432, &[b"\0\0\0\x08\x04\xd2\x16\x2f"]),
        (3306, &[b"\x20\0\0\x01\x85\xae\xff\0\0\0\0\x01\x21"]),
        (4190, &[b"STARTTLS\r\n"]),
    ] {
        for size in [1, 30, 2000] {
            for (host, passes) in [(BLOCKED, false), (ALLOWED, true)] {
                let mut wire = Wire::open_in(50, port);
                let mut at = 0;
                for line in lines {
                    wire = wire.send(at, line);
                    at += line.len();
                    wire = wire.acked(at);
                }
                let before = wire.clone();
                for piece in hello(host).chunks(size) {
                    wire = wire.send(at, piece);
                    at += piece.len();
                }
                assert_eq!(
                    wire.last().0 == Verdict::Pass,
                    passes,
                    "{port} {size} {host}"
                );
                // Behind bytes of the last line, sent again.
                let last = *lines.last().unwrap();
                let start = lines.iter().map(|line| line.len()).sum::<usize>();
                for back in [1, last.len() / 2, last.len()] {
                    let again = [&last[last.len() - back..], &hello(host)].concat();
                    let wire = before.elsewhere().send(start - back, &again);
                    assert_eq!(
                        wire.last().0 == Verdict::Pass,
                        passes,
                        "{port} {back} {host}"
                    );
                }
            }
        }
    }
}

#[test]
fn t17_two_hellos_on_one_connection() {
    for (first, second) in [(ALLOWED, BLOCKED), (ALLOWED, GAME_HOST)] {
        let bytes = [hello(first), hello(second)].concat();
        refused("at once", &bytes);
        let one = hello(first);
        let wire = Wire::open(443).send(0, &one).acked(one.len());
        wire.send(one.len(), &hello(second))
            .refused("behind an answer");
    }
}
