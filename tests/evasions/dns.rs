//! D01–D04: names asked of resolvers, the school's and others.

use std::sync::atomic::{AtomicU16, Ordering};

use filter_ebpf::abi::{Reason, Verdict};
use filter_tests::small_school::{GAME_HOST, LEARNING_HOST, LOCKED_HOST, Outcome};

use super::hello::hello;
use super::stream::{
    ALLOWED, ALLOWED_TWIN, BLOCKED, Connection, Segment, both, cut, judge, pieces,
};

/// In the school's own networks, and beyond.
pub(crate) const SCHOOL: [u8; 4] = [172, 16, 0, 53];
pub(crate) const FOREIGN: [u8; 4] = [93, 184, 216, 34];
/// Rooms by their VLAN.
pub(crate) const OPEN: u16 = 10;
const STRICT: u16 = 20;
const TEACHERS: u16 = 30;
pub(crate) const PUPILS: u16 = 60;

pub(crate) const A: u16 = 1;
const AAAA: u16 = 28;
const SVCB: u16 = 64;
pub(crate) const HTTPS: u16 = 65;

pub(crate) const PASS: (Verdict, Reason) = (Verdict::Pass, Reason::OwnNetwork);

pub(crate) fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A message with these questions.
pub(crate) fn message(questions: &[(Vec<u8>, u16)], edns: bool) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, questions.len() as u8, 0, 0, 0, 0, 0];
    bytes.push(u8::from(edns));
    for (name, kind) in questions {
        bytes.extend(name);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
    }
    if edns {
        bytes.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
    }
    bytes
}

pub(crate) fn ask(name: &str, kind: u16) -> Vec<u8> {
    message(&[(labels(name), kind)], true)
}

/// A datagram from ports of its own, so that cases share no flow.
pub(crate) fn datagram(vlan: u16, server: [u8; 4], port: u16, payload: &[u8]) -> Vec<u8> {
    static NEXT: AtomicU16 = AtomicU16::new(30_000);
    let client = NEXT.fetch_add(1, Ordering::Relaxed);
    from(client, vlan, server, port, payload)
}

fn from(client: u16, vlan: u16, server: [u8; 4], port: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0];
    frame.extend(vlan.to_be_bytes());
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((28 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 1, 0x40, 0, 64, 17, 0, 0, 10, 10, 0, 5]);
    frame.extend(server);
    frame.extend(client.to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend((8 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

/// Asks the school's resolver.
pub(crate) fn asked(vlan: u16, messages: &[Vec<u8>]) -> Outcome {
    let frames: Vec<Vec<u8>> = messages
        .iter()
        .map(|message| datagram(vlan, SCHOOL, 53, message))
        .collect();
    judge(&frames).unwrap()
}

#[test]
fn d01_names_are_judged_however_they_are_written() {
    let denied = (Verdict::Reject, Reason::NameDenied);
    for edns in [false, true] {
        let name = |name| message(&[(labels(name), A)], edns);
        let outcome = asked(
            OPEN,
            &[
                name(BLOCKED),
                name("wWw.PLAY.gAmEs.ExAmPlE"),
                name(LOCKED_HOST),
                name(ALLOWED),
                name("wWw.HARMLESS.eXample"),
            ],
        );
        outcome.verdicts(&[
            denied,
            denied,
            (Verdict::Reject, Reason::Locked),
            PASS,
            PASS,
        ]);
        assert!(
            outcome.frames.iter().all(|frame| frame.protocol == "dns"),
            "{}",
            outcome.table()
        );
        let hosts: Vec<_> = outcome
            .frames
            .iter()
            .map(|frame| frame.host.clone().unwrap_or_default())
            .collect();
        assert_eq!(
            hosts,
            [
                BLOCKED,
                BLOCKED,
                LOCKED_HOST,
                ALLOWED,
                "www.harmless.example"
            ]
        );
    }
}

#[test]
fn d01_several_questions_and_pointers() {
    let pointer = vec![0xc0, 12];
    let two = |first: &str, second: Vec<u8>| message(&[(labels(first), A), (second, AAAA)], true);
    let denied = (Verdict::Reject, Reason::NameDenied);
    let malformed = (Verdict::Reject, Reason::Malformed);
    asked(
        OPEN,
        &[
            two(BLOCKED, pointer.clone()),
            two(ALLOWED, pointer),
            two(ALLOWED, labels(BLOCKED)),
            two(BLOCKED, labels(ALLOWED)),
            // A pointer to itself, a name without end, no message at all.
            message(&[(vec![0xc0, 12], A)], false),
            message(&[(vec![63, b'a'], A)], false),
            vec![0; 5],
        ],
    )
    .verdicts(&[
        denied, PASS, malformed, malformed, malformed, malformed, malformed,
    ]);
}

#[test]
fn d01_the_longest_names() {
    let long = |end: &str| {
        let label = "x".repeat(56);
        let mut name = format!("{label}.{label}.{label}.{label}.");
        while name.len() + end.len() < 250 {
            name.insert(0, 'y');
        }
        assert_eq!(name.len() + end.len(), 250);
        name + end
    };
    asked(
        OPEN,
        &[ask(&long(GAME_HOST), A), ask(&long("harmless.example"), A)],
    )
    .verdicts(&[(Verdict::Reject, Reason::NameDenied), PASS]);
}

#[test]
fn d01_every_query_of_a_flow_is_judged() {
    let query = |name| from(29_999, OPEN, FOREIGN, 53, &ask(name, A));
    judge(&[query(ALLOWED), query(BLOCKED), query(ALLOWED)])
        .unwrap()
        .verdicts(&[
            (Verdict::Pass, Reason::DnsAnswer),
            (Verdict::Reject, Reason::NameDenied),
            (Verdict::Pass, Reason::DnsAnswer),
        ]);
}

#[test]
fn only_listed_names_exist_where_only_they_are_reached() {
    asked(
        STRICT,
        &[ask(LEARNING_HOST, A), ask(ALLOWED, A), ask("", A)],
    )
    .verdicts(&[
        PASS,
        (Verdict::Reject, Reason::NotListed),
        (Verdict::Reject, Reason::NotListed),
    ]);
    // Nothing is looked at by name.
    asked(TEACHERS, &[ask(BLOCKED, A), vec![0; 5]]).verdicts(&[PASS, PASS]);
}

#[test]
fn the_canary_does_not_exist() {
    for vlan in [OPEN, PUPILS] {
        asked(
            vlan,
            &[
                ask("Use-Application-DNS.net", A),
                ask("use-application-dns.nets", A),
                ask("xuse-application-dns.net", A),
            ],
        )
        .verdicts(&[(Verdict::Reject, Reason::Canary), PASS, PASS]);
    }
}

#[test]
fn d02_other_resolvers_are_out_of_reach() {
    let query = ask(ALLOWED, A);
    let frames = [
        datagram(PUPILS, FOREIGN, 53, &query),
        datagram(PUPILS, FOREIGN, 853, &query),
        datagram(PUPILS, SCHOOL, 53, &query),
        datagram(OPEN, FOREIGN, 53, &query),
    ];
    judge(&frames).unwrap().verdicts(&[
        (Verdict::Reject, Reason::Resolver),
        (Verdict::Reject, Reason::Resolver),
        PASS,
        (Verdict::Pass, Reason::DnsAnswer),
    ]);
}

#[test]
fn d03_no_keys_for_encrypted_names() {
    let messages = [ask(ALLOWED, HTTPS), ask(ALLOWED, SVCB), ask(ALLOWED, AAAA)];
    let empty = (Verdict::Reject, Reason::EchKeys);
    asked(PUPILS, &messages).verdicts(&[empty, empty, PASS]);
    asked(OPEN, &messages).verdicts(&[PASS, PASS, PASS]);
    asked(PUPILS, &[ask(BLOCKED, HTTPS)]).verdicts(&[(Verdict::Reject, Reason::NameDenied)]);
}

/// Messages as they lie in a TCP stream (RFC 1035 §4.2.2).
pub(crate) fn stream(messages: &[Vec<u8>]) -> Vec<u8> {
    let framed = |message: &Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], message].concat();
    messages.iter().flat_map(framed).collect()
}

pub(crate) fn resolve(server: [u8; 4], segments: Vec<Segment>) -> Connection {
    Connection::new(segments).server(server).port(53)
}

#[test]
fn d01_names_are_judged_over_tcp_too() {
    for server in [SCHOOL, FOREIGN] {
        for size in [1, 2, 3, 20, 1400] {
            both(|host| resolve(server, pieces(&stream(&[ask(host, A)]), size)));
        }
    }
    let journey = resolve(SCHOOL, cut(&stream(&[ask(BLOCKED, A)]), &[]));
    let journey = journey.judge().unwrap();
    let last = journey.outcome.frames.last().unwrap();
    assert_eq!(last.verdict, Some(Verdict::Reject));
    assert_eq!(last.reason, Reason::NameDenied);
    assert_eq!(
        (last.protocol, last.host.as_deref()),
        ("dns", Some(BLOCKED))
    );
}

#[test]
fn d01_pipelined_queries_are_each_judged() {
    for size in [1400, 50, 7] {
        // A denied name behind allowed ones, and before them.
        for at in [0, 1, 4] {
            both(|host| {
                let mut names = vec![
                    ask(ALLOWED, A),
                    ask(ALLOWED, AAAA),
                    ask("", A),
                    ask("a.example", A),
                ];
                names.insert(at, ask(host, A));
                resolve(SCHOOL, pieces(&stream(&names), size))
            });
        }
    }
    // The answers' ports stay shut behind the first denial.
    let queries = [ask(BLOCKED, A), ask(ALLOWED, A)].map(|query| stream(&[query]));
    let sizes = [queries[0].len()];
    let journey = resolve(SCHOOL, cut(&queries.concat(), &sizes))
        .judge()
        .unwrap();
    let last = journey.outcome.frames.last().unwrap();
    assert_eq!(
        last.verdict,
        Some(Verdict::Reject),
        "{}",
        journey.outcome.table()
    );
}

#[test]
fn d01_what_is_no_query_ends_the_connection() {
    let tls = hello(ALLOWED);
    for bytes in [
        &tls[..],
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[0, 3, 1, 2, 3],
    ] {
        let journey = resolve(FOREIGN, cut(bytes, &[])).judge().unwrap();
        assert!(!journey.reached, "{}", journey.outcome.table());
        assert_eq!(journey.reason(), Reason::Malformed);
    }
    // As many as anyone pipelines, and more.
    for (count, reached) in [(12, true), (13, false)] {
        let many = stream(&vec![ask("a.example", A); count]);
        let journey = resolve(SCHOOL, cut(&many, &[])).judge().unwrap();
        assert_eq!(journey.reached, reached, "{}", journey.outcome.table());
    }
    // What could not be compared when it is sent again is not taken.
    let long = stream(&vec![ask("a.example", A); 300]);
    let journey = resolve(SCHOOL, pieces(&long, 400)).judge().unwrap();
    assert!(!journey.reached);
    assert_eq!(journey.reason(), Reason::HelloTooLong);
}

#[test]
fn t04_a_query_sent_again_with_another_name() {
    let (first, second) = (stream(&[ask(ALLOWED_TWIN, A)]), stream(&[ask(BLOCKED, A)]));
    assert_eq!(first.len(), second.len());
    let segments = vec![Segment::new(0, &first).decoy(), Segment::new(0, &second)];
    let journey = resolve(SCHOOL, segments).judge().unwrap();
    assert!(!journey.reached, "{}", journey.outcome.table());
    assert_eq!(journey.reason(), Reason::Conflict);
}

#[test]
fn d02_other_resolvers_over_tcp() {
    let segments = || cut(&stream(&[ask(ALLOWED, A)]), &[]);
    let foreign = resolve(FOREIGN, segments()).vlan(PUPILS).judge().unwrap();
    assert!(!foreign.reached);
    assert_eq!(foreign.reason(), Reason::Resolver);
    let school = resolve(SCHOOL, segments()).vlan(PUPILS).judge().unwrap();
    assert!(school.reached, "{}", school.outcome.table());
}

#[test]
fn d03_no_keys_for_encrypted_names_over_tcp() {
    for (query, reason) in [
        (ask(ALLOWED, HTTPS), Reason::EchKeys),
        (ask("use-application-dns.net", A), Reason::Canary),
    ] {
        let segments = cut(&stream(&[query]), &[]);
        let journey = resolve(SCHOOL, segments).vlan(PUPILS).judge().unwrap();
        assert!(!journey.reached, "{}", journey.outcome.table());
        assert_eq!(journey.reason(), reason);
    }
}

/// A tunnel's rate is bounded, and what people look up goes on beside it.
#[test]
fn d04_long_random_names_are_few() {
    let mut messages: Vec<Vec<u8>> = (0..300)
        .map(|i: u32| ask(&format!("{}{i:04x}.t.example", "abcdefgh".repeat(7)), A))
        .collect();
    messages.push(ask(ALLOWED, A));
    let outcome = asked(PUPILS, &messages);
    let over = |frame: &&filter_agent::replay::Judged| frame.reason == Reason::DnsRate;
    let refused = outcome.frames.iter().filter(over).count();
    assert!((235..=240).contains(&refused), "{refused} of 300 refused");
    let last = outcome.frames.last().map(|frame| frame.verdict);
    assert_eq!(last, Some(Some(Verdict::Pass)), "{}", outcome.table());
}
