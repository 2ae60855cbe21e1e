//! D01–D04: odd queries, other ports, what is no query.

use filter_ebpf::abi::{Reason, Verdict};
use filter_tests::small_school::{LOCKED_HOST, SEARCH_HOSTS};

use crate::dns::{
    A, FOREIGN, HTTPS, OPEN, PASS, PUPILS, SCHOOL, ask, asked, datagram, labels, message, resolve,
    stream,
};
use crate::stream::{ALLOWED, BLOCKED, judge};

const DENIED: (Verdict, Reason) = (Verdict::Reject, Reason::NameDenied);
const MALFORMED: (Verdict, Reason) = (Verdict::Reject, Reason::Malformed);

#[test]
fn d01_types_classes_and_opcodes() {
    // A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, NAPTR, SVCB, HTTPS, IXFR, ANY.
    for kind in [1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 64, 65, 251, 255] {
        asked(
            OPEN,
            &[
                ask(BLOCKED, kind),
                ask(LOCKED_HOST, kind),
                ask(ALLOWED, kind),
            ],
        )
        .verdicts(&[DENIED, (Verdict::Reject, Reason::Locked), PASS]);
    }
    for class in [1, 3, 4, 254, 255] {
        for opcode in [0_u8, 1, 2, 4, 5] {
            let written = |name| {
                let mut message = message(&[(labels(name), A)], false);
                message[2] |= opcode << 3;
                let at = message.len() - 1;
                message[at] = class;
                message
            };
            asked(OPEN, &[written(BLOCKED), written(ALLOWED)]).verdicts(&[DENIED, PASS]);
        }
    }
}

#[test]
fn d01_counts_of_questions() {
    for count in [2, 8] {
        let many = |name: &str| {
            let mut questions = vec![(labels(name), A)];
            questions.resize(count, (vec![0xc0, 12], 28));
            message(&questions, true)
        };
        asked(OPEN, &[many(BLOCKED), many(ALLOWED)]).verdicts(&[DENIED, PASS]);
    }
    let nine = vec![(labels(ALLOWED), A); 9];
    // More than are there, and fewer: the rest is no question.
    let mut more = message(&[(labels(BLOCKED), A)], false);
    more[5] = 2;
    let mut fewer = message(&[(labels(BLOCKED), A), (labels(ALLOWED), A)], false);
    fewer[5] = 1;
    asked(OPEN, &[message(&nine, false), more, fewer]).verdicts(&[MALFORMED, MALFORMED, DENIED]);
}

#[test]
fn d01_labels_that_are_no_host_names() {
    let odd = |label: &[u8], name: &str| {
        let mut bytes = vec![label.len() as u8];
        bytes.extend(label);
        bytes.extend(labels(name));
        message(&[(bytes, A)], true)
    };
    for label in [
        &b"a.b"[..],
        b"\0",
        b"a\0b",
        b" ",
        b"\xff\xfe",
        b"*",
        b"_dns",
        &[b'x'; 63],
    ] {
        asked(OPEN, &[odd(label, BLOCKED), odd(label, ALLOWED)]).verdicts(&[DENIED, PASS]);
    }
    // Kinds of labels that nobody uses, and a name that is cut.
    for start in [0x40, 0x80] {
        let name = [&[start][..], &labels(BLOCKED)].concat();
        asked(OPEN, &[message(&[(name, A)], false)]).verdicts(&[MALFORMED]);
    }
    let mut cut = message(&[(labels(BLOCKED), A)], false);
    cut.truncate(cut.len() - 6);
    asked(OPEN, &[cut]).verdicts(&[MALFORMED]);
}

#[test]
fn d01_padding_options_and_answers() {
    let mut padded = ask(BLOCKED, A);
    let at = padded.len() - 2;
    padded[at..].copy_from_slice(&[1, 4]);
    padded.extend([0, 12, 1, 0]);
    padded.extend([0; 256]);
    // An answer, as a client's.
    let mut answer = ask(ALLOWED, A);
    answer[2] |= 0x80;
    asked(OPEN, &[padded, answer]).verdicts(&[DENIED, MALFORMED]);
    // Addresses looked up by number say nothing about names.
    asked(
        OPEN,
        &[
            ask("34.216.184.93.in-addr.arpa", 12),
            ask("8.b.d.0.1.0.0.2.ip6.arpa", 12),
        ],
    )
    .verdicts(&[PASS, PASS]);
}

#[test]
fn d01_cuts_between_the_bytes_of_lengths() {
    for (host, passes) in [(BLOCKED, false), (ALLOWED, true)] {
        let bytes = stream(&[ask(ALLOWED, A), ask(host, A)]);
        for cut in 1..bytes.len() {
            let segments = crate::stream::cut(&bytes, &[cut]);
            let journey = resolve(SCHOOL, segments).judge().unwrap();
            assert_eq!(journey.reached, passes, "{host} {cut}");
        }
    }
}

#[test]
fn d02_name_services_by_other_ways() {
    let query = ask(ALLOWED, A);
    // DNS over TLS and QUIC, whatever is said; DNS itself over TCP.
    for (port, payload) in [(853, &query[..]), (853, b"x"), (53, b"x"), (53, &query)] {
        let outcome = judge(&[datagram(PUPILS, FOREIGN, port, payload)]).unwrap();
        outcome.verdicts(&[(Verdict::Reject, Reason::Resolver)]);
    }
    for port in [53, 853] {
        let segments = crate::stream::cut(&crate::hello::hello(ALLOWED), &[]);
        let journey = crate::stream::Connection::new(segments)
            .port(port)
            .vlan(PUPILS)
            .judge()
            .unwrap();
        assert!(!journey.reached, "{}", journey.outcome.table());
        assert_eq!(journey.reason(), Reason::Resolver);
    }
    // A query on a port of other things (public resolvers answer on some).
    for port in [443, 5353, 5053, 8053, 1053] {
        let frames = [
            datagram(PUPILS, FOREIGN, port, &query),
            datagram(PUPILS, FOREIGN, port, &ask(BLOCKED, HTTPS)),
        ];
        judge(&frames)
            .unwrap()
            .verdicts(&[(Verdict::Reject, Reason::Resolver); 2]);
        let other = datagram(OPEN, FOREIGN, port, &query);
        judge(&[other])
            .unwrap()
            .verdicts(&[(Verdict::Pass, Reason::DefaultOpen)]);
    }
}

#[test]
fn safe_search_in_every_writing() {
    let host = SEARCH_HOSTS[0];
    let safe = (Verdict::Reject, Reason::SafeSearch);
    let turned: String = host
        .chars()
        .enumerate()
        .map(|(i, c)| {
            if i % 2 == 0 {
                c.to_ascii_uppercase()
            } else {
                c
            }
        })
        .collect();
    asked(
        PUPILS,
        &[
            ask(&turned, A),
            ask(host, 28),
            ask(host, HTTPS),
            ask(host, 255),
            ask(host, 5),
        ],
    )
    .verdicts(&[safe; 5]);
}
