//! Frames one by one: rooms, ranges, names, and what keeps a LAN alive.

use anyhow::Result;
use filter_ebpf::abi::{Mode, Reason, Verdict};
use filter_tests::frames::{
    ACK, PSH, SYN, client_hello, ethernet, fragment, framed, ip, tagged, tcp, udp,
};
use filter_tests::small_school::{GAME_HOST, LEARNING_HOST, LOCKED_HOST, School, room};

use Verdict::{Drop, Pass, Reject};

const CLIENT: &str = "10.9.0.5:40000";
const SERVER: &str = "100.64.0.1:443";

/// A handshake and a hello in pieces of `size` bytes, all in one VLAN.
fn hello(vlan: u16, host: &str, size: usize) -> Vec<Vec<u8>> {
    let mut frames = vec![
        tagged(vlan, &tcp(CLIENT, SERVER, SYN, 1000, 0, b"")),
        tagged(vlan, &tcp(SERVER, CLIENT, SYN | ACK, 5000, 1001, b"")),
    ];
    let mut seq = 1001;
    for piece in client_hello(host, 600).chunks(size) {
        frames.push(tagged(
            vlan,
            &tcp(CLIENT, SERVER, ACK | PSH, seq, 5001, piece),
        ));
        seq += piece.len() as u32;
    }
    frames
}

#[test]
fn a_denied_name_is_refused_and_an_allowed_one_passes() -> Result<()> {
    for (vlan, host, verdict, reason) in [
        (10, GAME_HOST, Reject, Reason::NameDenied),
        (10, LOCKED_HOST, Reject, Reason::Locked),
        (10, "www.play.games.example", Reject, Reason::NameDenied),
        (10, "other.example", Pass, Reason::DefaultOpen),
        (20, LEARNING_HOST, Pass, Reason::NameAllowed),
        (20, "other.example", Reject, Reason::NotListed),
    ] {
        let outcome = School::new()?.judge(&hello(vlan, host, 1400))?;
        let last = outcome.frames.last().unwrap();
        assert_eq!(
            (last.verdict, last.reason, last.host.as_deref()),
            (Some(verdict), reason, Some(host)),
            "{}",
            outcome.table()
        );
    }
    Ok(())
}

#[test]
fn t01_a_hello_in_small_segments_is_named_by_the_segment_that_completes_it() -> Result<()> {
    for size in [100, 333, 659] {
        let frames = hello(10, GAME_HOST, size);
        let outcome = School::new()?.judge(&frames)?;
        let named: Vec<u64> = outcome
            .frames
            .iter()
            .filter(|frame| frame.host.is_some())
            .map(|frame| frame.packet)
            .collect();
        assert_eq!(named, [frames.len() as u64], "{}", outcome.table());
        assert_eq!(outcome.frames.last().unwrap().verdict, Some(Reject));
    }
    Ok(())
}

#[test]
fn ranges_of_both_families_decide_before_any_name() -> Result<()> {
    let outcome = School::new()?.judge(&[
        tagged(10, &udp(CLIENT, "198.51.100.7:9999", b"x")),
        tagged(
            10,
            &udp("[2001:db8:9::5]:1", "[2001:db8:bad::1]:9999", b"x"),
        ),
        tagged(20, &udp(CLIENT, "192.0.2.1:9999", b"x")),
        tagged(30, &udp(CLIENT, "203.0.113.1:9999", b"x")),
        tagged(10, &udp(CLIENT, "172.16.3.4:9999", b"x")),
    ])?;
    outcome.verdicts(&[
        (Reject, Reason::RangeDenied),
        (Reject, Reason::RangeDenied),
        (Pass, Reason::RangeAllowed),
        (Reject, Reason::Locked),
        (Pass, Reason::OwnNetwork),
    ]);
    outcome.counted(&[
        (room::OPEN, Reject, Reason::RangeDenied, 2),
        (room::OPEN, Pass, Reason::OwnNetwork, 1),
        (room::STRICT, Pass, Reason::RangeAllowed, 1),
        (room::TEACHERS, Reject, Reason::Locked, 1),
    ]);
    Ok(())
}

#[test]
fn a_frame_of_no_room_is_counted_apart_and_dropped() -> Result<()> {
    let packet = udp(CLIENT, "100.64.0.1:9999", b"x");
    let outcome = School::new()?.judge(&[tagged(99, &packet), framed(&[], &packet)])?;
    outcome.verdicts(&[(Drop, Reason::UnknownVlan); 2]);
    outcome.counted(&[(room::NONE, Drop, Reason::UnknownVlan, 2)]);
    assert!(outcome.frames.iter().all(|frame| frame.room.is_none()));
    Ok(())
}

#[test]
fn n01_fragments_to_filtered_destinations_are_refused() -> Result<()> {
    let packet = fragment(tcp(CLIENT, SERVER, ACK, 1, 1, &[0; 64]), 0, true);
    let rest = fragment(tcp(CLIENT, SERVER, ACK, 1, 1, &[0; 64]), 64, false);
    let outcome = School::new()?.judge(&[tagged(10, &packet), tagged(10, &rest)])?;
    outcome.verdicts(&[(Reject, Reason::Fragment); 2]);
    outcome.counted(&[(room::OPEN, Reject, Reason::Fragment, 2)]);
    Ok(())
}

#[test]
fn n03_bytes_behind_the_packet_belong_to_nobody() -> Result<()> {
    let mut frames = hello(10, GAME_HOST, 1400);
    for frame in &mut frames {
        frame.extend([0xff; 30]);
    }
    let outcome = School::new()?.judge(&frames)?;
    assert_eq!(
        outcome.frames.last().unwrap().reason,
        Reason::NameDenied,
        "{}",
        outcome.table()
    );
    Ok(())
}

#[test]
fn n04_two_tags_are_a_room_a_priority_tag_is_none_and_three_are_refused() -> Result<()> {
    let packet = udp(CLIENT, "198.51.100.7:9999", b"x");
    let outcome = School::new()?.judge(&[
        framed(&[(0x88a8, 100), (0x8100, 7)], &packet),
        framed(&[(0x8100, 0), (0x8100, 10)], &packet),
        // Priority and drop eligibility do not matter.
        framed(&[(0x8100, 0xf000 | 10)], &packet),
        framed(&[(0x88a8, 100), (0x8100, 7), (0x8100, 7)], &packet),
    ])?;
    outcome.verdicts(&[
        (Reject, Reason::RangeDenied),
        (Reject, Reason::RangeDenied),
        (Reject, Reason::RangeDenied),
        (Drop, Reason::TagStack),
    ]);
    outcome.counted(&[
        (room::STACKED, Reject, Reason::RangeDenied, 1),
        (room::OPEN, Reject, Reason::RangeDenied, 2),
        (room::NONE, Drop, Reason::TagStack, 1),
    ]);
    Ok(())
}

#[test]
fn n06_a_tunnel_gets_the_groups_verdict() -> Result<()> {
    let (from, to) = ("10.9.0.5".parse()?, "100.64.0.1".parse()?);
    let tunnels: Vec<_> = [41, 47, 4, 50]
        .map(|protocol| tagged(10, &ip(from, to, protocol, &[0; 40])))
        .to_vec();
    let outcome = School::new()?.judge(&tunnels)?;
    outcome.verdicts(&[(Reject, Reason::Tunnel); 4]);
    outcome.counted(&[(room::OPEN, Reject, Reason::Tunnel, 4)]);
    Ok(())
}

#[test]
fn n08_a_source_outside_the_rooms_subnets_is_spoofed() -> Result<()> {
    let mut school = School::new()?;
    for door in &mut school.doors {
        door.mode = Mode::Open as u32;
        door.mode_until = u64::MAX;
    }
    let outcome = school.judge(&[
        tagged(40, &udp("10.40.3.3:1", "100.64.0.1:9999", b"x")),
        tagged(40, &udp("10.41.3.3:1", "100.64.0.1:9999", b"x")),
        tagged(
            40,
            &udp("[2001:db8:41::1]:1", "[2001:db8:77::1]:9999", b"x"),
        ),
    ])?;
    assert_ne!(outcome.frames[0].reason, Reason::SpoofedSource);
    for frame in &outcome.frames[1..] {
        assert_eq!(
            (frame.verdict, frame.reason),
            (Some(Drop), Reason::SpoofedSource)
        );
    }
    Ok(())
}

#[test]
fn n09_what_keeps_the_lan_alive_passes_even_into_a_closed_room() -> Result<()> {
    let mut school = School::new()?;
    for door in &mut school.doors {
        door.mode = Mode::Closed as u32;
        door.mode_until = u64::MAX;
    }
    let broadcast = [0xff; 6];
    let tag = [(0x8100, 10)];
    let dhcp = udp("0.0.0.0:68", "255.255.255.255:67", &[1; 300]);
    let solicitation = ip(
        "fe80::1".parse()?,
        "ff02::1:ff00:2".parse()?,
        58,
        &[135, 0, 0, 0, 0, 0, 0, 0],
    );
    let outcome = school.judge(&[
        ethernet(broadcast, &tag, 0x0806, &[0; 28]),
        ethernet([1, 0x80, 0xc2, 0, 0, 0x0e], &tag, 0x88cc, &[2, 7, 4, 0]),
        ethernet([1, 0x80, 0xc2, 0, 0, 3], &tag, 0x888e, &[1, 1, 0, 0]),
        ethernet([1, 0x80, 0xc2, 0, 0, 0], &[], 38, &[0x42, 0x42, 3]),
        tagged(10, &dhcp),
        tagged(10, &solicitation),
        tagged(10, &udp("[fe80::1]:546", "[ff02::1:2]:547", &[1; 40])),
        // A host that makes sure that its router is still there (RFC 4861
        // §7.3.3).
        tagged(10, &probe("fd20::5", "fd20::1")?),
        tagged(40, &probe("2001:db8:40::5", "2001:db8:40::1")?),
        tagged(10, &probe("fe80::5", "2001:db8::1")?),
        tagged(10, &probe("2001:db8::5", "fe80::1")?),
        // And the room is closed indeed.
        tagged(10, &udp(CLIENT, "100.64.0.1:9999", b"x")),
    ])?;
    let (last, alive) = outcome.frames.split_last().unwrap();
    for frame in alive {
        assert_eq!(frame.verdict, Some(Pass), "{}", outcome.table());
    }
    assert_eq!(
        (last.verdict, last.reason),
        (Some(Reject), Reason::RoomClosed)
    );
    Ok(())
}

/// A neighbour solicitation to one host.
fn probe(from: &str, to: &str) -> Result<Vec<u8>> {
    let mut packet = ip(from.parse()?, to.parse()?, 58, &[135, 0, 0, 0, 0, 0, 0, 0]);
    packet[7] = 255;
    Ok(packet)
}

#[test]
fn frames_of_64_kib_and_runts_are_judged() -> Result<()> {
    let large = tagged(10, &udp(CLIENT, "198.51.100.7:9999", &vec![0; 65_000]));
    let runt = vec![1, 2, 3];
    let outcome = School::new()?.judge(&[large, runt, Vec::new()])?;
    outcome.verdicts(&[
        (Reject, Reason::RangeDenied),
        (Drop, Reason::Truncated),
        (Drop, Reason::Truncated),
    ]);
    Ok(())
}
