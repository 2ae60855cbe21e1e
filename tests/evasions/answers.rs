//! What a refused query is told, as frames, read by hickory-proto.

use std::net::IpAddr;

use filter_ebpf::abi::Reason;
use filter_tests::frames::{tagged, udp};
use filter_tests::small_school::{SAFE_V4, SAFE_V6, SEARCH_HOSTS};
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_proto::rr::{RData, RecordType};

use super::stream::{BLOCKED, judge};

/// The room whose group searches safely and gets no keys for ECH.
const PUPILS: u16 = 60;
const ENDS: [(&str, &str); 2] = [
    ("10.9.0.5:40053", "172.16.0.53:53"),
    ("[2001:db8:9::5]:40053", "[2001:db8:53::53]:53"),
];
const HTTPS: u16 = 65;

fn question(name: &str, kind: u16, edns: bool) -> Vec<u8> {
    let mut message = vec![0xbe, 0xef, 1, 0x10, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    if edns {
        message.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
    }
    message
}

/// One's complement sum of 16-bit words; 0xffff where the checksum is right.
fn sum(parts: &[&[u8]]) -> u32 {
    let bytes = parts.concat();
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |byte| u32::from(*byte)))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// The UDP payloads of a frame in a VLAN and of the one that answers it, all
/// around them checked.
pub(crate) fn payloads<'a>(asked: &'a [u8], reply: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    // Back to who asked, in the same VLAN.
    assert_eq!(reply[..6], asked[6..12]);
    assert_eq!(reply[6..12], asked[..6]);
    assert_eq!(reply[12..18], asked[12..18]);
    let (asked, reply) = (&asked[18..], &reply[18..]);
    let (header, addresses) = if reply[0] >> 4 == 6 {
        assert_eq!(
            usize::from(u16::from_be_bytes([reply[4], reply[5]])) + 40,
            reply.len()
        );
        assert_eq!(
            (reply[6], reply[8..24].to_vec()),
            (17, asked[24..40].to_vec())
        );
        assert_eq!(reply[24..40], asked[8..24]);
        (40, &reply[8..40])
    } else {
        assert_eq!(reply[0], 0x45);
        assert_eq!(
            usize::from(u16::from_be_bytes([reply[2], reply[3]])),
            reply.len()
        );
        assert_eq!(sum(&[&reply[..20]]), 0xffff, "IPv4 header");
        assert_eq!(
            (reply[9], reply[12..16].to_vec()),
            (17, asked[16..20].to_vec())
        );
        assert_eq!(reply[16..20], asked[12..16]);
        (20, &reply[12..20])
    };
    let (asked, datagram) = (&asked[header..], &reply[header..]);
    assert_eq!(datagram[..2], asked[2..4], "ports");
    assert_eq!(datagram[2..4], asked[..2], "ports");
    let len = datagram.len() as u16;
    assert_eq!(datagram[4..6], len.to_be_bytes());
    assert_ne!(datagram[6..8], [0, 0], "IPv6 asks for a checksum");
    let pseudo = [0, 17, len.to_be_bytes()[0], len.to_be_bytes()[1]];
    assert_eq!(sum(&[addresses, &pseudo, datagram]), 0xffff, "UDP");
    (&asked[8..], &datagram[8..])
}

/// The message in the frame that answers `asked`.
fn answered(asked: &[u8], reply: &[u8]) -> Message {
    let (query, answer) = payloads(asked, reply);
    let (query, answer) = (
        Message::from_vec(query).unwrap(),
        Message::from_vec(answer).unwrap(),
    );
    let (was, is) = (&query.metadata, &answer.metadata);
    assert_eq!((is.id, is.message_type), (was.id, MessageType::Response));
    assert_eq!((is.op_code, is.truncation), (OpCode::Query, false));
    assert!(is.recursion_desired && is.recursion_available);
    assert_eq!(answer.queries, query.queries);
    // The case of its letters too (0x20).
    let spelled = |message: &Message| message.queries[0].name.to_string();
    assert_eq!(spelled(&answer), spelled(&query));
    assert_eq!(answer.edns.is_some(), query.edns.is_some());
    answer
}

/// Asks over both families, with and without EDNS.
fn ask(name: &str, kind: u16, reason: Reason, error: u16, check: impl Fn(&Message)) {
    for (client, server) in ENDS {
        for edns in [false, true] {
            let asked = tagged(PUPILS, &udp(client, server, &question(name, kind, edns)));
            let outcome = judge(std::slice::from_ref(&asked)).unwrap();
            let frame = &outcome.frames[0];
            assert_eq!(frame.reason, reason, "{name} {}", outcome.table());
            let answer = answered(&asked, frame.reply.as_ref().unwrap());
            check(&answer);
            if let Some(edns) = &answer.edns {
                // The extended error (RFC 8914).
                let option = edns.option(EdnsCode::from(15)).unwrap();
                assert_eq!(Vec::<u8>::try_from(option).unwrap(), error.to_be_bytes());
            }
        }
    }
}

fn is(answer: &Message, code: ResponseCode, data: Option<IpAddr>) {
    assert_eq!(answer.metadata.response_code, code);
    let found: Vec<_> = answer
        .answers
        .iter()
        .map(|record| {
            assert_eq!(record.name, answer.queries[0].name);
            assert!(record.ttl <= 60);
            match &record.data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                _ => None,
            }
        })
        .collect();
    assert_eq!(found, data.into_iter().map(Some).collect::<Vec<_>>());
    assert!(answer.authorities.is_empty());
}

#[test]
fn denied_names_do_not_exist() {
    for kind in [1, 28, HTTPS, 16] {
        let name = BLOCKED.replace("play", "pLaY");
        ask(&name, kind, Reason::NameDenied, 15, |answer| {
            is(answer, ResponseCode::NXDomain, None);
        });
    }
    ask("use-application-dns.net", 1, Reason::Canary, 15, |answer| {
        is(answer, ResponseCode::NXDomain, None);
    });
}

#[test]
fn d03_keys_for_encrypted_names_are_empty() {
    ask("www.example", HTTPS, Reason::EchKeys, 17, |answer| {
        is(answer, ResponseCode::NoError, None);
        assert_eq!(answer.queries[0].query_type, RecordType::HTTPS);
    });
}

#[test]
fn search_engines_answer_with_their_safe_address() {
    let [both, four, none] = SEARCH_HOSTS;
    let (v4, v6) = (IpAddr::from(SAFE_V4), IpAddr::from(SAFE_V6));
    for (name, kind, error, code, data) in [
        (both, 1, 4, ResponseCode::NoError, Some(v4)),
        (both, 28, 4, ResponseCode::NoError, Some(v6)),
        (four, 1, 4, ResponseCode::NoError, Some(v4)),
        (four, 28, 17, ResponseCode::NoError, None),
        (four, HTTPS, 17, ResponseCode::NoError, None),
        (both, 255, 17, ResponseCode::NoError, None),
        (none, 1, 15, ResponseCode::NXDomain, None),
        (none, 28, 15, ResponseCode::NXDomain, None),
    ] {
        for name in [name.to_owned(), name.to_uppercase()] {
            ask(&name, kind, Reason::SafeSearch, error, |answer| {
                is(answer, code, data);
            });
        }
    }
}

/// Other names, and other groups, are left to the resolver.
#[test]
fn only_search_engines_and_only_where_asked() {
    let [both, ..] = SEARCH_HOSTS;
    let (client, server) = ENDS[0];
    for (vlan, name) in [
        (PUPILS, "search.example"),
        (PUPILS, "a.www.search.example"),
        (PUPILS, "www.harmless.example"),
        (10, both),
    ] {
        let asked = tagged(vlan, &udp(client, server, &question(name, 1, true)));
        let outcome = judge(&[asked]).unwrap();
        assert_eq!(outcome.frames[0].reason, Reason::OwnNetwork, "{name}");
        assert_eq!(outcome.frames[0].reply, None);
    }
}
