//! What a refused QUIC client is told, as frames, opened by rustls.

use filter_ebpf::abi::{Reason, Verdict};
use filter_tests::frames::{tagged, udp};
use filter_tests::small_school::{Outcome, School};
use rustls::Side;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::{Keys, Version};

use super::answers::payloads;
use super::quic::{
    DCID, Initial, OTHER, V1, V2, crypto, deny, early, finished, frame, hello, port,
    stay_on_one_core,
};
use super::stream::{ALLOWED, BLOCKED, judge};

/// CONNECTION_CLOSE, CONNECTION_REFUSED, no frame, a reason (RFC 9000 §19.19).
const CLOSE: &[u8] = b"\x1c\x02\x00\x1cblocked by the school filter";
/// What a client gets that is over the budget.
const RESERVED: u32 = 0x1a2a_3a4a;

/// A long header: version, both IDs, and what is behind them.
fn long(packet: &[u8]) -> (u32, &[u8], &[u8], &[u8]) {
    let version = u32::from_be_bytes(packet[1..5].try_into().unwrap());
    let (dcid, rest) = packet[6..].split_at(usize::from(packet[5]));
    let (scid, rest) = rest[1..].split_at(usize::from(rest[0]));
    (version, dcid, scid, rest)
}

/// The frames in the one Initial of a server, opened as its client does.
fn opened(packet: &[u8], version: u32, key: &[u8]) -> Vec<u8> {
    let (found, _, _, rest) = long(packet);
    assert_eq!(found, version);
    let (version, kind) = if version == V2 {
        (Version::V2, 1)
    } else {
        (Version::V1, 0)
    };
    let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap();
    let algorithm = suite.quic_suite().unwrap();
    let keys = Keys::initial(version, algorithm.suite, algorithm.quic, key, Side::Client).remote;
    // No token; a length in one byte, to the end.
    assert_eq!((rest[0], usize::from(rest[1])), (0, rest.len() - 2));
    let number_at = packet.len() - rest.len() + 2;
    let mut packet = packet.to_vec();
    let sample = packet[number_at + 4..number_at + 20].to_vec();
    let mut number = packet[number_at..number_at + 4].to_vec();
    let mut first = packet[0];
    keys.header
        .decrypt_in_place(&sample, &mut first, &mut number)
        .unwrap();
    assert_eq!(first >> 2, 0b11_00_00 | kind << 2, "an Initial");
    let len = usize::from(first & 3) + 1;
    packet[0] = first;
    packet[number_at..number_at + len].copy_from_slice(&number[..len]);
    let number = number[..len]
        .iter()
        .fold(0, |all, byte| all << 8 | u64::from(*byte));
    let (header, payload) = packet.split_at_mut(number_at + len);
    keys.packet
        .decrypt_in_place(number, header, payload)
        .unwrap()
        .to_vec()
}

/// The answer to a frame must be a close under the keys of `key`.
#[track_caller]
fn closed(asked: &[u8], outcome: &Outcome, at: usize, version: u32, key: &[u8]) {
    let judged = &outcome.frames[at];
    let (asked, reply) = payloads(asked, judged.reply.as_ref().unwrap());
    let (_, asked_dcid, asked_scid, _) = long(asked);
    let (_, dcid, scid, _) = long(reply);
    assert_eq!((dcid, scid), (asked_scid, asked_dcid), "IDs");
    assert_eq!(opened(reply, version, key), CLOSE);
}

/// The answer must offer this version alone (RFC 9000 §17.2.1).
#[track_caller]
fn offered(asked: &[u8], outcome: &Outcome, at: usize, version: u32) {
    let (asked, reply) = payloads(asked, outcome.frames[at].reply.as_ref().unwrap());
    let (_, asked_dcid, asked_scid, _) = long(asked);
    assert_eq!(reply[0] & 0x80, 0x80);
    assert_eq!(
        long(reply),
        (0, asked_scid, asked_dcid, &version.to_be_bytes()[..])
    );
}

/// The answer must be an ICMP error.
#[track_caller]
fn told_by_icmp(outcome: &Outcome, at: usize) {
    let reply = outcome.frames[at].reply.as_ref().unwrap();
    assert_eq!((reply[18 + 9], reply[18 + 20], reply[18 + 21]), (1, 3, 13));
}

#[test]
fn a_refused_hello_closes_the_connection() {
    for version in [V1, V2] {
        for len in 0..=20 {
            let dcid = vec![7; len];
            let packet = Initial {
                version,
                ..Initial::new(&dcid)
            };
            let packet = packet.padded(&crypto(0, &hello(BLOCKED, 0)));
            let asked = frame(port(), 443, &packet);
            let outcome = judge(&[asked.clone(), asked.clone()]).unwrap();
            outcome.verdicts(&[deny(Reason::NameDenied); 2]);
            offered(&asked, &outcome, 0, RESERVED);
            // Sent again, as by a client that does not heed the first answer.
            closed(&asked, &outcome, 1, version, &dcid);
        }
    }
    let packet = Initial::new(DCID).padded(&crypto(0, &hello(BLOCKED, 0)));
    let (client, server) = ("[2001:db8:9::5]:40053", "[2001:db8:77::53]:443");
    let asked = tagged(10, &udp(client, server, &packet));
    let outcome = judge(&[asked.clone(), asked.clone()]).unwrap();
    offered(&asked, &outcome, 0, RESERVED);
    closed(&asked, &outcome, 1, V1, DCID);
}

/// A client that has heard from the server does not negotiate any more; its
/// keys follow the first ID, or a Retry's.
#[test]
fn who_has_heard_from_the_server_is_closed_under_its_keys() {
    let hello = hello(BLOCKED, 900);
    let first = Initial::new(DCID).padded(&crypto(0, &hello[..500]));
    let moved = Initial {
        keys: DCID.to_vec(),
        ..Initial::new(OTHER)
    };
    let moved = moved.number(1).padded(&crypto(500, &hello[500..]));
    let behind_retry = Initial::new(OTHER);
    let again = behind_retry.number(1).padded(&crypto(0, &hello[..500]));
    let rest = behind_retry.number(2).padded(&crypto(500, &hello[500..]));
    for (datagrams, key) in [
        (vec![first.clone(), moved], DCID),
        (vec![first, again, rest.clone(), rest], OTHER),
    ] {
        let client = port();
        let frames: Vec<_> = datagrams
            .iter()
            .map(|datagram| frame(client, 443, datagram))
            .collect();
        let outcome = judge(&frames).unwrap();
        let last = frames.len() - 1;
        for judged in &outcome.frames[..2.min(last)] {
            assert_eq!(judged.reply, None);
        }
        closed(&frames[last], &outcome, last, V1, key);
    }
}

/// What is refused by its address, or by the room's door, was not read.
#[test]
fn a_refusal_without_a_look_is_told_too() {
    let client = port();
    let packet = Initial::new(DCID).padded(&crypto(0, &hello(ALLOWED, 0)));
    let locked = format!("10.10.0.5:{client}");
    let asked = tagged(10, &udp(&locked, "203.0.113.9:443", &packet));
    let outcome = judge(std::slice::from_ref(&asked)).unwrap();
    outcome.verdicts(&[deny(Reason::Locked)]);
    offered(&asked, &outcome, 0, RESERVED);
}

/// The client comes again from the same port, and can be read then.
#[test]
fn unknown_versions_are_offered_version_1() {
    for (host, end) in [
        (BLOCKED, deny(Reason::NameDenied)),
        (ALLOWED, (Verdict::Pass, Reason::DefaultOpen)),
    ] {
        let packet = Initial::new(DCID).padded(&crypto(0, &hello(host, 0)));
        let mut unknown = packet.clone();
        unknown[1..5].copy_from_slice(&0xff00_001d_u32.to_be_bytes());
        let client = port();
        let asked = frame(client, 443, &unknown);
        let short = frame(client, 443, &unknown[..1199]);
        let outcome = judge(&[
            asked.clone(),
            short,
            asked.clone(),
            frame(client, 443, &packet),
        ])
        .unwrap();
        let version = deny(Reason::QuicVersion);
        outcome.verdicts(&[version, version, version, end]);
        offered(&asked, &outcome, 0, V1);
        // No server would answer a short one (RFC 9000 §6.1).
        told_by_icmp(&outcome, 1);
        offered(&asked, &outcome, 2, V1);
    }
}

/// Over the budget nothing is sealed, and the client is told all the same.
#[test]
fn answers_over_the_budget_cost_no_keys() {
    stay_on_one_core();
    let mut school = School::new().unwrap();
    school.input.quic_budget = 2;
    let mut school = school.load().unwrap();
    let packet = Initial::new(DCID).padded(&crypto(0, &hello(BLOCKED, 0)));
    let client = port();
    let resent = vec![frame(client, 443, &packet); 5];
    let new = (0..15).map(|_| frame(port(), 443, &packet));
    let frames: Vec<_> = resent.into_iter().chain(new).collect();
    let outcome = school.judge(&frames).unwrap();
    for (at, asked) in frames.iter().enumerate() {
        // The first is read, four resends are not, seven more are read.
        let reason = match at {
            0..12 => Reason::NameDenied,
            _ => Reason::QuicBudget,
        };
        assert_eq!(outcome.frames[at].reason, reason, "{at}");
        match at {
            1..3 => closed(asked, &outcome, at, V1, DCID),
            _ => offered(asked, &outcome, at, RESERVED),
        }
    }
}

/// Nobody has keys for these, or they are no QUIC.
#[test]
fn what_cannot_be_closed_is_told_by_icmp() {
    let client = port();
    let packet = Initial::new(DCID).padded(&crypto(0, &hello(BLOCKED, 0)));
    let short = [&[0x41][..], &[0x5a; 60]].concat();
    let frames = [packet, short, finished(DCID), early()].map(|it| frame(client, 443, &it));
    let outcome = judge(&frames).unwrap();
    outcome.verdicts(&[deny(Reason::NameDenied); 4]);
    told_by_icmp(&outcome, 1);
    told_by_icmp(&outcome, 2);
    // 0-RTT comes with a hello and under its ID.
    closed(&frames[3], &outcome, 3, V1, DCID);
}

#[test]
fn a_group_that_drops_stays_silent() {
    let mut school = School::new().unwrap();
    for group in &mut school.input.groups {
        group.refuse = Verdict::Drop as u8;
        group.quic = Verdict::Drop as u8;
    }
    let packet = Initial::new(DCID).padded(&crypto(0, &hello(BLOCKED, 0)));
    let mut unknown = packet.clone();
    unknown[1..5].copy_from_slice(&0xff00_001d_u32.to_be_bytes());
    let frames = [packet, unknown].map(|it| frame(port(), 443, &it));
    for judged in school.judge(&frames).unwrap().frames {
        assert_eq!((judged.verdict, judged.reply), (Some(Verdict::Drop), None));
    }
}
