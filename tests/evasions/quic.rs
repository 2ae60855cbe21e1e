//! Q01–Q10: tricks with QUIC, their packets sealed by rustls.

use std::sync::atomic::{AtomicU16, Ordering};

use filter_ebpf::abi::{Reason, Verdict};
use filter_tests::small_school::{LEARNING_HOST, Loaded, Outcome, School};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use rustls::Side;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::{Keys, Version};

use super::hello::{handshake, sni, usual};
use super::stream::{ALLOWED, BLOCKED, judge};

pub(crate) const V1: u32 = 1;
pub(crate) const V2: u32 = 0x6b33_43cf;
pub(crate) const DCID: &[u8] = &[0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4];
pub(crate) const OTHER: &[u8] = &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0];
/// Smallest datagram with an Initial (RFC 9000 §14.1).
const DATAGRAM: usize = 1200;

pub(crate) const PENDING: (Verdict, Reason) = (Verdict::Pass, Reason::HelloPending);
pub(crate) const ALLOW: (Verdict, Reason) = (Verdict::Pass, Reason::DefaultOpen);
pub(crate) const DENY: (Verdict, Reason) = (Verdict::Reject, Reason::NameDenied);
/// Held back, without a verdict about the connection.
pub(crate) const HOLD: (Verdict, Reason) = (Verdict::Drop, Reason::QuicRefused);

pub(crate) fn deny(reason: Reason) -> (Verdict, Reason) {
    (Verdict::Reject, reason)
}

/// A client's Initial packet.
#[derive(Clone)]
pub(crate) struct Initial {
    pub(crate) version: u32,
    /// Connection ID in the header, and the one behind the keys.
    pub(crate) dcid: Vec<u8>,
    pub(crate) keys: Vec<u8>,
    pub(crate) token: usize,
    pub(crate) number: u16,
}

impl Initial {
    pub(crate) fn new(dcid: &[u8]) -> Self {
        Self {
            version: V1,
            dcid: dcid.to_vec(),
            keys: dcid.to_vec(),
            token: 0,
            number: 0,
        }
    }

    pub(crate) fn number(&self, number: u16) -> Self {
        Self {
            number,
            ..self.clone()
        }
    }

    pub(crate) fn seal(&self, frames: &[u8]) -> Vec<u8> {
        let (version, kind) = if self.version == V2 {
            (Version::V2, 1)
        } else {
            (Version::V1, 0)
        };
        let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap();
        let algorithm = suite.quic_suite().unwrap();
        let keys = Keys::initial(
            version,
            algorithm.suite,
            algorithm.quic,
            &self.keys,
            Side::Client,
        );
        let mut header = vec![0xc1 | kind << 4];
        header.extend(self.version.to_be_bytes());
        header.push(self.dcid.len() as u8);
        header.extend(&self.dcid);
        header.extend([4, 1, 2, 3, 4]);
        header.extend(varint(self.token));
        header.resize(header.len() + self.token, 0x77);
        header.extend(varint(2 + frames.len() + 16));
        header.extend(self.number.to_be_bytes());
        let mut payload = frames.to_vec();
        let tag = keys
            .local
            .packet
            .encrypt_in_place(u64::from(self.number), &header, &mut payload)
            .unwrap();
        payload.extend(tag.as_ref());
        let number_at = header.len() - 2;
        let (first, rest) = header.split_at_mut(1);
        // The sample starts four bytes behind the number's first byte
        // (RFC 9001 §5.4.2).
        keys.local
            .header
            .encrypt_in_place(&payload[2..18], &mut first[0], &mut rest[number_at - 1..])
            .unwrap();
        [header, payload].concat()
    }

    /// Padded inside.
    pub(crate) fn padded(&self, frames: &[u8]) -> Vec<u8> {
        // A sample takes four bytes at least.
        let beside = self.seal(&[0; 4]).len() - 4;
        let mut frames = frames.to_vec();
        frames.resize(frames.len().max(DATAGRAM - beside), 0);
        self.seal(&frames)
    }
}

fn varint(value: usize) -> [u8; 2] {
    (value as u16 | 0x4000).to_be_bytes()
}

pub(crate) fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    [&[6], &varint(offset)[..], &varint(data.len()), data].concat()
}

/// A ClientHello with `padding` bytes before the name.
pub(crate) fn hello(host: &str, padding: usize) -> Vec<u8> {
    let mut extensions = usual();
    extensions.push((21, vec![0; padding]));
    extensions.push(sni(host));
    handshake(&extensions)
}

/// A packet that only who knows the server's answer can write.
pub(crate) fn finished(dcid: &[u8]) -> Vec<u8> {
    let mut packet = vec![0xe1, 0, 0, 0, 1, dcid.len() as u8];
    packet.extend(dcid);
    packet.extend([0, 0x40, 60]);
    packet.resize(packet.len() + 60, 0x5a);
    packet
}

/// 0-RTT (RFC 9000 §17.2.3).
pub(crate) fn early() -> Vec<u8> {
    let mut packet = finished(DCID);
    packet[0] = 0xd1;
    packet
}

/// A client's port of its own, so that cases share no flow.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(40_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn frame(client: u16, server: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 10];
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((28 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 1, 0x40, 0, 64, 17, 0, 0, 10, 10, 0, 5]);
    frame.extend([93, 184, 216, 34]);
    frame.extend(client.to_be_bytes());
    frame.extend(server.to_be_bytes());
    frame.extend((8 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

/// Judges datagrams from one new port to port 443.
pub(crate) fn sent(datagrams: &[Vec<u8>]) -> Outcome {
    let client = port();
    let frames: Vec<_> = datagrams
        .iter()
        .map(|payload| frame(client, 443, payload))
        .collect();
    judge(&frames).unwrap()
}

/// The trick with a blocked host ends in its denial, with an allowed host it
/// works; all datagrams before the last one are judged alike.
pub(crate) fn both(before: &[(Verdict, Reason)], trick: impl Fn(&str) -> Vec<Vec<u8>>) {
    for (host, end) in [(BLOCKED, DENY), (ALLOWED, ALLOW)] {
        let outcome = sent(&trick(host));
        outcome.verdicts(&[before, &[end]].concat());
        let last = outcome.frames.last().unwrap();
        assert_eq!((last.protocol, last.host.as_deref()), ("quic", Some(host)));
    }
}

#[test]
fn q01_two_datagrams_in_either_order() {
    for cut in [1, 5, 60, 700, 1500] {
        for turned in [false, true] {
            both(&[PENDING], |host| {
                let hello = hello(host, 1400);
                let packet = Initial::new(DCID);
                let mut datagrams = vec![
                    packet.padded(&crypto(0, &hello[..cut])),
                    packet.number(1).padded(&crypto(cut, &hello[cut..])),
                ];
                if turned {
                    datagrams.reverse();
                }
                datagrams
            });
        }
    }
}

#[test]
fn q02_shuffled_and_tiny_frames() {
    for size in [1, 7, 40] {
        both(&[], |host| {
            let mut frames = Vec::new();
            for (i, part) in hello(host, 0).chunks(size).enumerate().rev() {
                frames.extend(crypto(i * size, part));
                frames.extend(if i % 2 == 0 { &[1][..] } else { &[0; 3] });
            }
            vec![Initial::new(DCID).padded(&frames)]
        });
    }
}

#[test]
fn q03_overlap_with_other_content() {
    let packet = Initial::new(DCID);
    let (real, decoy) = (hello(BLOCKED, 40), hello("www.harmless.kingdom.x", 40));
    assert_eq!(real.len(), decoy.len());
    let conflict = deny(Reason::Conflict);
    sent(&[
        packet.padded(&crypto(0, &decoy)),
        packet.number(1).padded(&crypto(0, &real)),
        packet.number(2).padded(&crypto(0, &decoy)),
    ])
    .verdicts(&[ALLOW, conflict, conflict]);
    both(&[PENDING], |host| {
        let hello = hello(host, 40);
        vec![
            packet.padded(&crypto(3, &hello[3..70])),
            packet.number(1).padded(&crypto(0, &hello)),
        ]
    });
}

#[test]
fn q04_versions() {
    both(&[], |host| {
        let packet = Initial {
            version: V2,
            ..Initial::new(DCID)
        };
        vec![packet.padded(&crypto(0, &hello(host, 0)))]
    });
    for version in [0x1a2a_3a4a_u32, 0xff00_001d, 2] {
        for host in [BLOCKED, ALLOWED] {
            let mut packet = Initial::new(DCID).padded(&crypto(0, &hello(host, 0)));
            packet[1..5].copy_from_slice(&version.to_be_bytes());
            sent(&[packet]).verdicts(&[deny(Reason::QuicVersion)]);
        }
    }
    // Behind a server's version negotiation: the same ports, version 2.
    both(&[ALLOW], |host| {
        let packet = Initial {
            version: V2,
            ..Initial::new(OTHER)
        };
        vec![
            Initial::new(DCID).padded(&crypto(0, &hello(ALLOWED, 0))),
            packet.padded(&crypto(0, &hello(host, 0))),
        ]
    });
}

#[test]
fn q05_junk_first() {
    both(&[HOLD], |host| {
        let mut junk = Initial::new(OTHER).padded(&crypto(0, &hello(ALLOWED, 0)));
        for byte in &mut junk[40..] {
            *byte = byte.wrapping_mul(31) ^ 0x5c;
        }
        vec![junk, Initial::new(DCID).padded(&crypto(0, &hello(host, 0)))]
    });
    // A decoy that reads well, under another connection ID.
    both(&[ALLOW], |host| {
        vec![
            Initial::new(OTHER).padded(&crypto(0, &hello(ALLOWED, 0))),
            Initial::new(DCID).padded(&crypto(0, &hello(host, 0))),
        ]
    });
}

#[test]
fn q06_coalesced_packets_tokens_padding_and_ids() {
    both(&[], |host| {
        let hello = hello(host, 600);
        let packet = Initial {
            token: 150,
            ..Initial::new(DCID)
        };
        let mut datagram = packet.seal(&crypto(300, &hello[300..]));
        datagram.extend(packet.number(1).seal(&crypto(0, &hello[..300])));
        datagram.extend([0; 100]);
        vec![datagram]
    });
    for len in 0..=20 {
        both(&[], |host| {
            vec![Initial::new(&vec![7; len]).padded(&crypto(0, &hello(host, 0)))]
        });
    }
    for host in [BLOCKED, ALLOWED] {
        let mut long = Initial::new(DCID).padded(&crypto(0, &hello(host, 0)));
        long[5] = 21;
        let outcome = sent(&[long]);
        assert_ne!(outcome.frames[0].verdict, Some(Verdict::Pass));
    }
}

#[test]
fn q07_retry_and_changed_ids() {
    // After a Retry: the server's ID, its token, the same hello again.
    both(&[PENDING, PENDING], |host| {
        let hello = hello(host, 900);
        let again = Initial {
            token: 60,
            ..Initial::new(OTHER)
        };
        vec![
            Initial::new(DCID).padded(&crypto(0, &hello[..500])),
            again.number(1).padded(&crypto(0, &hello[..500])),
            again.number(2).padded(&crypto(500, &hello[500..])),
        ]
    });
    // The server's ID in the header, the keys of the first one.
    both(&[PENDING], |host| {
        let hello = hello(host, 900);
        let moved = Initial {
            keys: DCID.to_vec(),
            ..Initial::new(OTHER)
        };
        vec![
            Initial::new(DCID).padded(&crypto(0, &hello[..500])),
            moved.number(1).padded(&crypto(500, &hello[500..])),
        ]
    });
}

#[test]
fn q07_second_hello_behind_a_retry_request() {
    let moved = Initial {
        keys: DCID.to_vec(),
        ..Initial::new(OTHER)
    };
    for cut in [1, 4, 90] {
        both(&[ALLOW, PENDING], |host| {
            let (first, second) = (hello(ALLOWED, 300), hello(host, 400));
            let at = first.len();
            vec![
                Initial::new(DCID).padded(&crypto(0, &first)),
                moved.number(1).padded(&crypto(at, &second[..cut])),
                moved.number(2).padded(&crypto(at + cut, &second[cut..])),
            ]
        });
    }
    // Beyond what is kept, and before anybody asked for it.
    let (first, second) = (hello(ALLOWED, 1000), hello(ALLOWED, 1000));
    let beyond = moved.number(1).padded(&crypto(4090, &second[..90]));
    sent(&[Initial::new(DCID).padded(&crypto(0, &first)), beyond])
        .verdicts(&[ALLOW, deny(Reason::HelloTooLong)]);
    let both = [hello(ALLOWED, 0), hello(BLOCKED, 0)].concat();
    sent(&[Initial::new(DCID).padded(&crypto(0, &both))]).verdicts(&[deny(Reason::Malformed)]);
}

#[test]
fn q08_any_port_and_migration() {
    for server in [443, 8443, 80, 50_000] {
        for (host, end) in [(BLOCKED, DENY), (ALLOWED, ALLOW)] {
            let packet = Initial::new(DCID).padded(&crypto(0, &hello(host, 0)));
            judge(&[frame(port(), server, &packet)])
                .unwrap()
                .verdicts(&[end]);
        }
    }
    // The handshake cannot go on from another port; what was agreed may
    // (RFC 9000 §9).
    let client = port();
    let first = Initial::new(DCID).padded(&crypto(0, &hello(BLOCKED, 0)));
    let moved = [&[0x41][..], &[0x5a; 60]].concat();
    judge(&[
        frame(client, 443, &first),
        frame(port(), 443, &finished(OTHER)),
        frame(port(), 443, &moved),
    ])
    .unwrap()
    .verdicts(&[DENY, HOLD, ALLOW]);
}

/// The address is asked about before the flow where some group may not reach
/// it; a connection of another group goes on as it was judged, by its name.
#[test]
fn q08_an_address_that_another_group_may_not_reach() {
    let client = port();
    let to = |room: u8, payload: &[u8]| {
        let mut frame = frame(client, 443, payload);
        frame[15] = room;
        // A range of games: denied in room 10, no matter in room 20 and 30.
        frame[34..38].copy_from_slice(&[198, 51, 100, 7]);
        frame
    };
    let initial = |host| Initial::new(DCID).padded(&crypto(0, &hello(host, 0)));
    let later = [&[0x40][..], &[0x5a; 40]].concat();
    let frames = [
        to(20, &initial(LEARNING_HOST)),
        to(20, &later),
        to(20, &later),
        // The same ports in a room where the address is denied.
        to(10, &later),
        to(10, &initial(LEARNING_HOST)),
        to(30, &later),
        to(30, &later),
        // Another hello on ports that were judged.
        to(
            20,
            &Initial::new(OTHER).padded(&crypto(0, &hello(ALLOWED, 0))),
        ),
        to(20, &later),
    ];
    judge(&frames).unwrap().verdicts(&[
        (Verdict::Pass, Reason::NameAllowed),
        (Verdict::Pass, Reason::NameAllowed),
        (Verdict::Pass, Reason::NameAllowed),
        (Verdict::Reject, Reason::RangeDenied),
        (Verdict::Reject, Reason::RangeDenied),
        (Verdict::Pass, Reason::DefaultOpen),
        (Verdict::Pass, Reason::DefaultOpen),
        (Verdict::Reject, Reason::NotListed),
        (Verdict::Reject, Reason::NotListed),
    ]);
}

#[test]
fn q09_early_data() {
    sent(&[early()]).verdicts(&[HOLD]);
    both(&[HOLD], |host| {
        let hello = hello(host, 0);
        let packet = Initial::new(DCID);
        let half = [packet.seal(&crypto(0, &hello[..50])), early()].concat();
        let whole = [packet.number(1).seal(&crypto(50, &hello[50..])), early()].concat();
        vec![half, whole]
    });
    // Behind the verdict it goes the way of the connection.
    for (host, end) in [(BLOCKED, DENY), (ALLOWED, ALLOW)] {
        let packet = Initial::new(DCID).padded(&crypto(0, &hello(host, 0)));
        sent(&[packet, early()]).verdicts(&[end, end]);
    }
}

/// Keeps this test's thread on its core: budgets are counted by core.
pub(crate) fn stay_on_one_core() {
    let mut one = CpuSet::new();
    one.set(sched_getcpu().unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
}

/// The image's budget is counted by the clock of the frames, a millisecond
/// apart.
#[test]
fn q10_initials_over_the_budget_are_refused() {
    stay_on_one_core();
    let mut school = School::new().unwrap();
    school.input.quic_budget = 2;
    let mut school: Loaded = school.load().unwrap();
    let packet = Initial::new(DCID).padded(&crypto(0, &hello(ALLOWED, 0)));
    let flood: Vec<_> = (0..20).map(|_| frame(port(), 443, &packet)).collect();
    let outcome = school.judge(&flood).unwrap();
    let mut expected = vec![ALLOW; 8];
    expected.resize(20, deny(Reason::QuicBudget));
    outcome.verdicts(&expected);
    // What was judged before the flood goes on, and in the next second others
    // are judged again.
    let client = port();
    let data = [&[0x41][..], &[0x5a; 60]].concat();
    let mut later = vec![frame(client, 443, &data); 1000];
    later.push(frame(client, 443, &packet));
    let outcome = school.judge(&later).unwrap();
    assert_eq!(outcome.frames[0].verdict, Some(Verdict::Pass));
    let last = outcome.frames.last().unwrap();
    assert_eq!((last.verdict.unwrap(), last.reason), ALLOW);
}

/// A flood that pushes out half a hello: its other half may pass, but no
/// handshake follows.
#[test]
fn q10_half_a_hello_that_was_pushed_out() {
    for judged_before in [false, true] {
        let mut school = School::new().unwrap().load().unwrap();
        let client = port();
        let (packet, hello) = (Initial::new(OTHER), hello(BLOCKED, 900));
        let mut frames = Vec::new();
        if judged_before {
            let other = Initial::new(DCID).padded(&crypto(0, &self::hello(ALLOWED, 0)));
            frames.push(frame(client, 443, &other));
        }
        frames.push(frame(
            client,
            443,
            &packet.padded(&crypto(0, &hello[..500])),
        ));
        school.judge(&frames).unwrap();
        let half = Initial::new(&[1; 8]).padded(&crypto(0, &self::hello(ALLOWED, 900)[..500]));
        for server in 1..=3 {
            let flood: Vec<_> = (0..4096).map(|i| frame(i, server, &half)).collect();
            school.judge(&flood).unwrap();
        }
        let other_half = packet.number(1).padded(&crypto(500, &hello[500..]));
        let acknowledged = [packet.number(2).seal(&[2, 0, 0, 0, 0]), finished(DCID)].concat();
        let outcome = school
            .judge(&[
                frame(client, 443, &other_half),
                frame(client, 443, &acknowledged),
                frame(client, 443, &finished(DCID)),
            ])
            .unwrap();
        assert_eq!(
            outcome.frames[0].reason,
            Reason::HelloPending,
            "not pushed out"
        );
        for frame in &outcome.frames[1..] {
            assert_eq!(frame.verdict, Some(Verdict::Drop), "{}", outcome.table());
        }
    }
}
