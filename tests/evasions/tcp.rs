//! T01–T09: tricks with TCP segments.

use filter_ebpf::abi::Reason;

use super::hello::hello;
use super::stream::{
    ACK, ALLOWED, ALLOWED_TWIN, BLOCKED, Connection, FIN, PSH, RST, SYN, Segment, URG, both, cut,
    denied, pieces,
};

fn position(bytes: &[u8], host: &str) -> usize {
    bytes
        .windows(host.len())
        .position(|window| window == host.as_bytes())
        .unwrap()
}

#[test]
fn t01_two_segments_name_first_second_or_split() {
    for shift in [-20_i64, 0, 5, 60] {
        both(|host| {
            let bytes = hello(host);
            let at = position(&bytes, host) as i64 + shift;
            Connection::new(cut(&bytes, &[at as usize]))
        });
    }
}

#[test]
fn t02_tiny_segments() {
    both(|host| Connection::new(pieces(&hello(host), 1)));
    both(|host| Connection::new(pieces(&hello(host), 2)));
}

#[test]
fn t03_reverse_order_is_sent_again_in_order() {
    both(|host| {
        let segments = cut(&hello(host), &[40, 60]);
        let mut order = segments.clone();
        order.reverse();
        // What was dropped comes again, as TCP sends it: in order.
        order.extend(segments);
        Connection::new(order)
    });
}

#[test]
fn t03_reverse_order_alone_reaches_nobody() {
    let mut segments = cut(&hello(ALLOWED), &[40]);
    segments.reverse();
    let journey = Connection::new(segments).judge().unwrap();
    assert!(!journey.reached);
    let reasons: Vec<_> = journey
        .outcome
        .frames
        .iter()
        .map(|f| f.reason)
        .skip(3)
        .collect();
    assert_eq!(reasons, [Reason::OutOfOrder, Reason::HelloPending]);
}

#[test]
fn t04_overlap_with_other_content() {
    // Old bytes again, some of them changed, and new ones behind.
    let bytes = hello(BLOCKED);
    let twin = hello(ALLOWED_TWIN);
    assert_eq!(bytes.len(), twin.len());
    let at = position(&bytes, BLOCKED);
    let journey = Connection::new(vec![
        Segment::new(0, &twin[..at + 10]).decoy(),
        Segment::new(0, &bytes[..at + 10]),
        Segment::new(at + 10, &bytes[at + 10..]),
    ])
    .judge()
    .unwrap();
    assert!(!journey.reached, "{}", journey.outcome.table());
    assert_eq!(journey.reason(), Reason::Conflict);
}

#[test]
fn t04_overlap_with_the_same_content() {
    both(|host| {
        let bytes = hello(host);
        Connection::new(vec![
            Segment::new(0, &bytes[..100]),
            Segment::new(0, &bytes[..100]),
            Segment::new(50, &bytes[50..130]),
            Segment::new(20, &bytes[20..]),
        ])
    });
}

#[test]
fn t04_a_resend_of_the_judged_hello_passes() {
    let bytes = hello(ALLOWED);
    let mut segments = cut(&bytes, &[100]);
    segments.extend(cut(&bytes, &[37, 90]));
    segments.push(Segment::new(0, &bytes));
    segments.push(Segment::new(bytes.len(), b"more"));
    let journey = Connection::new(segments).judge().unwrap();
    for frame in journey.outcome.frames.iter().skip(3) {
        assert_eq!(
            frame.verdict,
            Some(filter_ebpf::abi::Verdict::Pass),
            "{}",
            journey.outcome.table()
        );
    }
}

#[test]
fn t05_decoy_hello_before_the_real_one() {
    let (real, decoy) = (hello(BLOCKED), hello(ALLOWED_TWIN));
    for cuts in [vec![], vec![100], vec![33, 61]] {
        let mut segments: Vec<_> = cut(&decoy, &[]).into_iter().map(Segment::decoy).collect();
        segments.extend(cut(&real, &cuts));
        // Once more: the flow must stay dead.
        segments.extend(cut(&real, &cuts));
        let journey = Connection::new(segments).judge().unwrap();
        assert!(!journey.reached, "{cuts:?}\n{}", journey.outcome.table());
        assert_eq!(journey.reason(), Reason::Conflict);
    }
}

#[test]
fn t05_decoy_with_a_past_or_future_sequence() {
    let real = hello(BLOCKED);
    for shift in [-10_000_i64, -1, 1, 66_000, 1 << 30] {
        let mut decoy = Segment::new(0, &hello(ALLOWED)).decoy();
        decoy.offset = shift;
        let mut segments = vec![decoy];
        segments.extend(cut(&real, &[]));
        segments.extend(cut(&real, &[]));
        let journey = Connection::new(segments).judge().unwrap();
        assert!(!journey.reached, "{shift}\n{}", journey.outcome.table());
    }
}

#[test]
fn t05_decoy_syn_moves_nothing() {
    // A second SYN with another number, a decoy at its place, then the hello
    // where the server expects it.
    let real = hello(BLOCKED);
    let mut syn = Segment::new(0, &[]).flags(SYN).decoy();
    syn.offset = -3_000;
    let mut decoy = Segment::new(0, &hello(ALLOWED)).decoy();
    decoy.offset = -3_000;
    let mut segments = vec![syn, decoy];
    segments.extend(cut(&real, &[]));
    let journey = Connection::new(segments).judge().unwrap();
    assert!(!journey.reached, "{}", journey.outcome.table());
}

#[test]
fn t06_decoy_rst_and_fin_free_nothing() {
    for flags in [RST, RST | ACK, FIN | ACK] {
        both(|host| {
            let bytes = hello(host);
            let mut segments = cut(&bytes, &[80]);
            segments.insert(1, Segment::new(80, &[]).flags(flags).decoy());
            segments.insert(0, Segment::new(0, &[]).flags(flags).decoy());
            Connection::new(segments)
        });
    }
}

#[test]
fn t07_hello_in_the_syn() {
    both(|host| {
        let bytes = hello(host);
        let mut segments = cut(&bytes, &[120]);
        segments[0].flags = SYN;
        Connection {
            handshake: false,
            ..Connection::new(segments)
        }
    });
}

#[test]
fn t08_what_no_client_sends_in_a_hello() {
    denied(Reason::BadTcp, |host| {
        Connection::new(vec![Segment::new(0, &hello(host)).flags(PSH)])
    });
    denied(Reason::BadTcp, |host| {
        Connection::new(vec![Segment::new(0, &hello(host)).flags(ACK | URG)])
    });
    denied(Reason::BadTcp, |host| {
        let mut segment = Segment::new(0, &hello(host));
        segment.data_offset = 3;
        Connection::new(vec![segment])
    });
}

#[test]
fn t09_flags_do_not_matter() {
    both(|host| {
        let segments = cut(&hello(host), &[70])
            .into_iter()
            .map(|s| s.flags(ACK))
            .collect();
        Connection::new(segments)
    });
    // Simultaneous open or a split handshake: no SYN-ACK from the server.
    both(|host| Connection {
        handshake: false,
        ..Connection::new(cut(&hello(host), &[70]))
    });
}
