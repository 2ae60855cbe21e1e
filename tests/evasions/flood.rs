//! T23: floods. Memory is bounded, what is established goes on, and what is
//! pushed out of a table is never taken for judged.

use filter_ebpf::abi::{Reason, Span, Verdict};
use filter_tests::frames::{ACK, PSH, SYN, fragment, ip, tagged, tcp, udp};
use filter_tests::small_school::{Loaded, School, room};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

use super::hello::hello;
use super::stream::{ALLOWED, BLOCKED};

const SERVER: &str = "93.184.216.34:443";

/// A school as it stands on a network: connections have a start. The thread
/// stays on one core, whose share of a table then fills as that of a flooded
/// queue does.
fn school() -> Loaded {
    let core = sched_getcpu().unwrap();
    let mut cores = CpuSet::new();
    cores.set(core).unwrap();
    sched_setaffinity(Pid::from_raw(0), &cores).unwrap();
    let mut school = School::new().unwrap();
    school.strict = true;
    school.load().unwrap()
}

/// A client's end, one of many.
fn end(number: u32) -> String {
    format!("10.{}.0.5:{}", 10 + number / 60_000, 1 + number % 60_000)
}

fn handshake(client: &str) -> Vec<Vec<u8>> {
    vec![
        tagged(10, &tcp(client, SERVER, SYN, 1000, 0, b"")),
        tagged(10, &tcp(SERVER, client, SYN | ACK, 5000, 1001, b"")),
    ]
}

/// Bytes of the client's stream from `at` on.
fn data(client: &str, at: usize, bytes: &[u8]) -> Vec<u8> {
    let seq = 1001 + at as u32;
    tagged(10, &tcp(client, SERVER, ACK | PSH, seq, 5001, bytes))
}

/// What comes while a client's connections are half open.
fn floods(school: &mut Loaded) {
    let half = &hello(ALLOWED)[..60];
    let mut frames = Vec::new();
    for number in 0..60_000 {
        let client = end(number);
        frames.extend(handshake(&client));
        frames.push(data(&client, 0, half));
    }
    school.judge(&frames).unwrap();
}

#[test]
fn t23_half_a_hello_that_was_pushed_out_never_goes_on() {
    for cut in [3, 60, 100] {
        let mut school = school();
        let client = "10.9.0.5:50000";
        let bytes = hello(BLOCKED);
        let mut frames = handshake(client);
        frames.push(data(client, 0, &bytes[..cut]));
        let outcome = school.judge(&frames).unwrap();
        assert_eq!(outcome.frames[2].reason, Reason::HelloPending);
        floods(&mut school);
        let rest = data(client, cut, &bytes[cut..]);
        let outcome = school.judge(&[rest.clone(), rest]).unwrap();
        for frame in &outcome.frames {
            assert_ne!(frame.verdict, Some(Verdict::Pass), "{}", outcome.table());
            assert_ne!(frame.reason, Reason::NameDenied, "it was not pushed out");
        }
    }
}

/// The same in a connection that was judged: a hello behind STARTTLS.
#[test]
fn t23_half_a_later_hello_that_was_pushed_out() {
    let mut school = school();
    let client = "10.9.0.5:50001";
    let tagged = |frame: Vec<u8>| {
        let mut frame = frame;
        // The room where plain protocols pass.
        frame[15] = 50;
        frame
    };
    let (plain, bytes) = (b"\x02LO\r\n", hello(BLOCKED));
    let mut frames: Vec<_> = handshake(client);
    frames.push(data(client, 0, plain));
    frames.push(data(client, plain.len(), &bytes[..60]));
    let frames: Vec<_> = frames.into_iter().map(tagged).collect();
    let outcome = school.judge(&frames).unwrap();
    let passed = |frame: &filter_agent::replay::Judged| frame.verdict == Some(Verdict::Pass);
    assert!(outcome.frames.iter().all(passed), "{}", outcome.table());
    floods(&mut school);
    let rest = tagged(data(client, plain.len() + 60, &bytes[60..]));
    let outcome = school.judge(&[rest]).unwrap();
    assert!(!passed(&outcome.frames[0]), "{}", outcome.table());
    assert_eq!(outcome.frames[0].reason, Reason::Midstream);
}

#[test]
fn t23_established_connections_go_on() {
    let mut school = school();
    let client = "10.9.0.5:50002";
    let bytes = hello(ALLOWED);
    let mut frames = handshake(client);
    frames.push(data(client, 0, &bytes));
    let mut at = bytes.len();
    let mut upload = |count: usize| -> Vec<Vec<u8>> {
        let record = [&[23, 3, 3, 0, 95][..], &[0x5a; 95]].concat();
        let mut frames = Vec::new();
        for _ in 0..count {
            frames.push(data(client, at, &record));
            at += record.len();
        }
        frames
    };
    frames.extend(upload(3));
    school.judge(&frames).unwrap();

    let blocked = hello(BLOCKED);
    for round in 0..10_u32 {
        let mut flood = Vec::new();
        for i in 0..4_000 {
            let number = round * 4_000 + i;
            let client = end(number);
            // New connections, whole hellos, data of no connection,
            // fragments, datagrams.
            flood.push(tagged(10, &tcp(&client, SERVER, SYN, 1, 0, b"")));
            flood.push(data(&client, 5, b"\x17\x03\x03"));
            flood.push(tagged(10, &udp(&client, "93.184.216.34:9999", &[1; 30])));
            let part = udp(&client, "93.184.216.34:443", &[1; 30]);
            flood.push(tagged(10, &fragment(part, 64, true)));
            flood.extend(handshake(&client));
            flood.push(data(&client, 0, &blocked));
            if i % 200 == 0 {
                flood.extend(upload(1));
            }
        }
        let outcome = school.judge(&flood).unwrap();
        let ours = |frame: &&filter_agent::replay::Judged| {
            frame.source.is_some_and(|(_, port)| port == 50_002)
                && frame
                    .source
                    .is_some_and(|(address, _)| address.to_string() == "10.9.0.5")
        };
        let mut count = 0;
        for frame in outcome.frames.iter().filter(ours) {
            assert_eq!(frame.verdict, Some(Verdict::Pass), "{frame:?}");
            count += 1;
        }
        assert_eq!(count, 20);
        let refused = outcome
            .frames
            .iter()
            .filter(|frame| frame.reason == Reason::NameDenied);
        assert_eq!(refused.count(), 4_000);
    }
}

/// Without the server's word for the start nothing of a connection passes.
#[test]
fn t23_connections_without_a_start() {
    for host in [BLOCKED, ALLOWED] {
        let mut school = school();
        let client = "10.9.0.5:50003";
        let bytes = hello(host);
        let syn = handshake(client).remove(0);
        let outcome = school
            .judge(&[data(client, 0, &bytes), syn, data(client, 0, &bytes)])
            .unwrap();
        for at in [0, 2] {
            let frame = &outcome.frames[at];
            assert_eq!(
                (frame.verdict, frame.reason),
                (Some(Verdict::Reject), Reason::Midstream)
            );
        }
        // Its own word is enough for data that comes with it (T07).
        let mut whole = handshake(client);
        let fast = tagged(10, &tcp("10.9.0.5:50004", SERVER, SYN, 1000, 0, &bytes));
        whole.extend([data(client, 0, &bytes), fast]);
        let outcome = school.judge(&whole).unwrap();
        for frame in &outcome.frames[2..] {
            let passed = frame.verdict == Some(Verdict::Pass);
            assert_eq!(passed, host == ALLOWED, "{}", outcome.table());
        }
    }
}

/// A datagram of a flood is answered as the one before only where all is the
/// same: its client, its VLAN, the destination's categories, its headers, and
/// the door.
#[test]
fn t23_refused_datagrams_are_told_apart() {
    use Verdict::{Drop, Pass, Reject};

    const CLIENT: &str = "10.40.0.5:4000";
    const OTHER: &str = "10.40.0.6:4000";
    const SPOOFED: &str = "10.41.0.5:4000";
    const CLIENT6: &str = "[2001:db8:40::5]:4000";
    const OTHERS: u64 = 200;
    let datagram = |vlan: u16, from: &str, to: &str| tagged(vlan, &udp(from, to, &[1; 30]));
    let denied = || datagram(40, CLIENT, "198.51.100.7:9999");
    let routed = {
        let plain = udp(CLIENT, "198.51.100.7:9999", &[1; 30]);
        let body = [&[131, 7, 4, 93, 184, 216, 34, 0][..], &plain[20..]].concat();
        let (from, to) = (
            "10.40.0.5".parse().unwrap(),
            "198.51.100.7".parse().unwrap(),
        );
        let mut packet = ip(from, to, 17, &body);
        packet[0] = 0x47;
        tagged(40, &packet)
    };
    for refuse in [Drop, Reject] {
        let mut school = School::new().unwrap();
        for group in &mut school.input.groups {
            group.refuse = refuse as u8;
        }
        // Open up to the bell, by the timetable alone.
        let begin = 1_790_000_000_000_000_000;
        school.at = Some(begin);
        let class = &mut school.doors[room::CLASS as usize];
        class.spans[0] = Span {
            start: 0,
            end: begin + (30 + OTHERS) * 1_000_000,
        };
        class.spans_len = 1;
        class.known_until = u64::MAX;
        let cases = [
            (40, CLIENT, "198.51.100.7:9999", refuse, Reason::RangeDenied),
            (40, CLIENT, "203.0.113.1:9999", refuse, Reason::Locked),
            (40, CLIENT, "93.184.216.34:9999", Pass, Reason::DefaultOpen),
            (40, OTHER, "198.51.100.7:9999", refuse, Reason::RangeDenied),
            (
                40,
                SPOOFED,
                "198.51.100.7:9999",
                Drop,
                Reason::SpoofedSource,
            ),
            (20, CLIENT, "198.51.100.7:9999", refuse, Reason::NotListed),
            (99, CLIENT, "198.51.100.7:9999", Drop, Reason::UnknownVlan),
            (40, CLIENT, "198.51.100.7:53", refuse, Reason::RangeDenied),
            (
                40,
                CLIENT6,
                "[2001:db8:bad::1]:9999",
                refuse,
                Reason::RangeDenied,
            ),
        ];
        let mut cases: Vec<_> = cases
            .into_iter()
            .map(|(vlan, from, to, verdict, reason)| (datagram(vlan, from, to), verdict, reason))
            .collect();
        cases.push((routed.clone(), Drop, Reason::SourceRoute));
        let mut frames = Vec::new();
        let mut expected = Vec::new();
        let mut push = |(frame, verdict, reason): &(Vec<u8>, Verdict, Reason)| {
            frames.push(frame.clone());
            expected.push((*verdict, *reason));
        };
        // Behind the same refusal each, and once more.
        for case in &cases {
            push(&cases[0]);
            push(case);
            push(case);
        }
        // More clients than answers are kept, none of them of the room.
        for number in 0..OTHERS {
            let from = format!("10.41.0.{number}:4000");
            push(&(
                datagram(40, &from, "198.51.100.7:9999"),
                Drop,
                Reason::SpoofedSource,
            ));
        }
        // The bell.
        let closed = (denied(), refuse, Reason::RoomClosed);
        for _ in 0..3 {
            push(&closed);
        }
        let outcome = school.judge(&frames).unwrap();
        outcome.verdicts(&expected);
        for frame in &outcome.frames {
            let query = frame.target.is_some_and(|(_, port)| port == 53);
            let protocol = if query { "dns" } else { "udp" };
            let judged = frame.reason == Reason::RangeDenied;
            assert!(!judged || frame.protocol == protocol, "{frame:?}");
            let told = judged && refuse == Reject;
            assert!(!told || frame.reply.is_some(), "{frame:?}");
        }
    }
}
