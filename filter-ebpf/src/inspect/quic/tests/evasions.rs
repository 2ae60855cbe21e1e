//! Q01–Q09. Q10, the budget, is the kernel's.

use super::*;

const DCID: &[u8] = &[0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4];
const OTHER: &[u8] = &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0];

fn expect_name(connection: &Connection, name: &str) {
    assert_eq!(connection.name().as_deref(), Some(name));
}

/// Two datagrams in either order.
#[test]
fn q01_second_datagram_first() {
    let hello = client_hello("blocked.example", 1500);
    let packet = Packet::v1(DCID);
    for cut in [1, 3, 7, 64, 700, hello.len() - 1] {
        let first = packet.padded(&crypto(0, &hello[..cut]));
        let second = packet.number(1).padded(&crypto(cut, &hello[cut..]));
        for order in [[&first, &second], [&second, &first]] {
            let mut connection = Connection::new();
            assert_eq!(connection.datagram(order[0]), Outcome::Pending, "{cut}");
            assert_eq!(connection.datagram(order[1]), Outcome::Complete, "{cut}");
            expect_name(&connection, "blocked.example");
        }
    }
}

/// Frames of one to nine bytes, backwards, between PING and PADDING.
#[test]
fn q02_shuffled_and_tiny_frames() {
    let hello = client_hello("tiny.blocked.example", 30);
    for size in 1..10 {
        let mut payload = Vec::new();
        for (i, part) in hello.chunks(size).enumerate().rev() {
            payload.extend(crypto(i * size, part));
            payload.extend(if i % 2 == 0 { &[1][..] } else { &[0; 3] });
        }
        // An ACK with two ranges and ECN counts.
        payload.extend([3, 9, 0, 2, 1, 0, 1, 0, 1, 5, 5, 5]);
        let mut connection = Connection::new();
        let packet = Packet::v1(DCID).seal(&payload);
        assert_eq!(connection.datagram(&packet), Outcome::Complete, "{size}");
        expect_name(&connection, "tiny.blocked.example");
    }
}

/// The same place with other content, whichever comes first, before and
/// after the verdict.
#[test]
fn q03_overlap_with_other_content() {
    let decoy = client_hello("allowed.example", 40);
    let real = client_hello("blocked.example", 40);
    assert_eq!(decoy.len(), real.len());
    let packet = Packet::v1(DCID);
    let mut connection = Connection::new();
    assert_eq!(
        connection.datagram(&packet.padded(&crypto(0, &decoy))),
        Outcome::Complete
    );
    let failed = Outcome::Failed(Reason::Conflict);
    let second = packet.number(1).padded(&crypto(0, &real));
    assert_eq!(connection.datagram(&second), failed);
    assert_eq!(connection.datagram(&second), failed, "for good");

    let name_at = decoy.len() - "allowed.example".len();
    let mut connection = Connection::new();
    let part = crypto(name_at, &decoy[name_at..]);
    assert_eq!(connection.datagram(&packet.padded(&part)), Outcome::Pending);
    assert_eq!(connection.datagram(&second), failed);

    // An overlap that agrees is no conflict.
    let mut connection = Connection::new();
    let agreeing = crypto(3, &real[3..70]);
    assert_eq!(
        connection.datagram(&packet.padded(&agreeing)),
        Outcome::Pending
    );
    assert_eq!(connection.datagram(&second), Outcome::Complete);
    expect_name(&connection, "blocked.example");
}

#[test]
fn q04_versions() {
    let hello = client_hello("blocked.example", 0);
    let v2 = Packet {
        version: V2,
        key_version: Version::V2,
        ..Packet::v1(DCID)
    };
    let mut connection = Connection::new();
    assert_eq!(
        connection.datagram(&v2.padded(&crypto(0, &hello))),
        Outcome::Complete
    );
    expect_name(&connection, "blocked.example");

    for unknown in [0x1a2a_3a4a_u32, 0xff00_001d, 2, 0] {
        let mut packet = v2.padded(&crypto(0, &hello));
        packet[1..5].copy_from_slice(&unknown.to_be_bytes());
        assert_eq!(
            Connection::new().datagram(&packet),
            Outcome::Failed(Reason::QuicVersion)
        );
    }

    // Compatible version negotiation: the client's next Initial speaks
    // version 2 with the first connection ID's keys and the server's ID.
    let mut connection = Connection::new();
    let first = Packet::v1(DCID).padded(&crypto(0, &hello));
    assert_eq!(connection.datagram(&first), Outcome::Complete);
    let switched = Packet {
        dcid: OTHER.to_vec(),
        number: 1,
        ..v2
    };
    let ack = switched.padded(&[2, 0, 0, 0, 0]);
    assert_eq!(connection.datagram(&ack), Outcome::Settled);
}

/// Junk that looks like an Initial, under the same ID and under another.
#[test]
fn q05_junk_first() {
    let hello = client_hello("blocked.example", 0);
    let real = Packet::v1(DCID).padded(&crypto(0, &hello));
    for junk_id in [DCID, OTHER] {
        let mut junk = Packet::v1(junk_id).padded(&crypto(0, &hello));
        for byte in &mut junk[40..] {
            *byte = byte.wrapping_mul(31) ^ 0x5c;
        }
        let mut connection = Connection::new();
        assert_eq!(connection.datagram(&junk), Outcome::Hold);
        assert_eq!(connection.datagram(&real), Outcome::Complete);
        expect_name(&connection, "blocked.example");
    }
    // A decoy that reads well, for another name and under another ID.
    let decoy = Packet::v1(OTHER).padded(&crypto(0, &client_hello("allowed.example", 0)));
    let mut connection = Connection::new();
    assert_eq!(connection.datagram(&decoy), Outcome::Complete);
    expect_name(&connection, "allowed.example");
    assert_eq!(connection.datagram(&real), Outcome::Complete);
    expect_name(&connection, "blocked.example");
}

#[test]
fn q06_coalesced_token_padding() {
    let hello = client_hello("blocked.example", 600);
    let packet = Packet {
        token: 150,
        ..Packet::v1(DCID)
    };
    let (front, back) = hello.split_at(300);
    let mut datagram = packet.seal(&crypto(300, back));
    datagram.extend(packet.number(1).seal(&crypto(0, front)));
    datagram.extend([0; 100]);
    let mut connection = Connection::new();
    assert_eq!(connection.datagram(&datagram), Outcome::Complete);
    expect_name(&connection, "blocked.example");

    // A length that reaches past the datagram, for every cut.
    let whole = packet.padded(&crypto(0, &hello));
    for len in 7..whole.len() {
        assert_eq!(
            Connection::new().datagram(&whole[..len]),
            Outcome::Failed(Reason::Malformed),
            "{len}"
        );
    }
}

#[test]
fn q07_retry_and_changed_ids() {
    let hello = client_hello("blocked.example", 900);
    let (front, back) = hello.split_at(500);
    // After a Retry: new keys, a token, the same hello again.
    let retried = Packet {
        token: 60,
        number: 1,
        ..Packet::v1(OTHER)
    };
    let mut connection = Connection::new();
    let first = Packet::v1(DCID).padded(&crypto(0, front));
    assert_eq!(connection.datagram(&first), Outcome::Pending);
    assert_eq!(
        connection.datagram(&retried.padded(&crypto(0, front))),
        Outcome::Pending
    );
    assert_eq!(
        connection.datagram(&retried.number(2).padded(&crypto(500, back))),
        Outcome::Complete
    );
    expect_name(&connection, "blocked.example");

    // The server's ID in the header, the first ID's keys.
    let moved = Packet {
        dcid: OTHER.to_vec(),
        number: 1,
        ..Packet::v1(DCID)
    };
    let mut connection = Connection::new();
    assert_eq!(connection.datagram(&first), Outcome::Pending);
    assert_eq!(
        connection.datagram(&moved.padded(&crypto(500, back))),
        Outcome::Complete
    );
    expect_name(&connection, "blocked.example");
    assert_eq!(connection.hello.dcid[..8], *DCID);

    // Half a hello under each of two IDs, the decoy's half in between.
    let decoy = client_hello("allowed.example", 900);
    let mut connection = Connection::new();
    assert_eq!(connection.datagram(&first), Outcome::Pending);
    let other = Packet::v1(OTHER);
    assert_eq!(
        connection.datagram(&other.padded(&crypto(0, &decoy))),
        Outcome::Complete
    );
    assert_eq!(
        connection.datagram(&Packet::v1(DCID).number(1).padded(&crypto(500, back))),
        Outcome::Failed(Reason::Conflict)
    );

    // Bytes behind a complete decoy, then another connection: nothing may be
    // forgotten.
    let long = client_hello("blocked.example", 1400);
    let mut connection = Connection::new();
    let short = client_hello("allowed.example", 0);
    let packet = Packet::v1(DCID);
    assert_eq!(
        connection.datagram(&packet.padded(&crypto(0, &short))),
        Outcome::Complete
    );
    assert_eq!(
        connection.datagram(&packet.number(1).padded(&crypto(500, &long[500..]))),
        Outcome::Settled
    );
    assert_eq!(
        connection.datagram(&other.padded(&crypto(0, &short))),
        Outcome::Failed(Reason::Conflict)
    );
}

/// A packet number that wraps its encoding must not hide the next packet.
#[test]
fn packet_numbers_beyond_their_encoding() {
    let hello = client_hello("blocked.example", 100);
    let (front, back) = hello.split_at(50);
    let packet = Packet {
        number_len: 1,
        ..Packet::v1(DCID)
    };
    let mut connection = Connection::new();
    assert_eq!(
        connection.datagram(&packet.number(255).padded(&crypto(0, front))),
        Outcome::Pending
    );
    assert_eq!(
        connection.datagram(&packet.number(256).padded(&crypto(50, back))),
        Outcome::Complete
    );
    expect_name(&connection, "blocked.example");
}

#[test]
fn q09_early_data() {
    let early: Vec<u8> = {
        let mut packet = std::vec![0xd0, 0, 0, 0, 1, 8];
        packet.extend(DCID);
        packet.extend([0, 0x40, 100]);
        packet.extend([0x5a; 100]);
        packet
    };
    let mut connection = Connection::new();
    assert_eq!(connection.datagram(&early), Outcome::Hold);
    let hello = client_hello("blocked.example", 0);
    let packet = Packet::v1(DCID);
    let mut half = packet.seal(&crypto(0, &hello[..50]));
    half.extend(&early);
    assert_eq!(connection.datagram(&half), Outcome::Hold);
    let mut whole = packet.number(1).seal(&crypto(50, &hello[50..]));
    whole.extend(&early);
    assert_eq!(connection.datagram(&whole), Outcome::Complete);
    expect_name(&connection, "blocked.example");
    assert_eq!(connection.datagram(&early), Outcome::Settled);
}

/// What does not belong into an Initial is not read, and not let through.
#[test]
fn foreign_frames() {
    let hello = crypto(0, &client_hello("blocked.example", 0));
    for kind in [0x04, 0x05, 0x07, 0x08, 0x1d, 0x1e, 0x30, 0x40] {
        let mut payload = hello.clone();
        payload.push(kind);
        let mut connection = Connection::new();
        assert_eq!(
            connection.datagram(&Packet::v1(DCID).padded(&payload)),
            Outcome::Hold,
            "{kind:#x}"
        );
    }
    let mut closing = hello.clone();
    closing.extend([0x1c, 0, 0, 3, b'b', b'y', b'e']);
    assert_eq!(
        Connection::new().datagram(&Packet::v1(DCID).padded(&closing)),
        Outcome::Complete
    );
}

/// The bounds: bytes of the hello, and frames.
#[test]
fn over_the_bounds() {
    let packet = Packet::v1(DCID);
    let too_long = Outcome::Failed(Reason::HelloTooLong);
    let beyond = packet.padded(&crypto(CHUNK - 1, b"ab"));
    assert_eq!(Connection::new().datagram(&beyond), too_long);
    let last = packet.padded(&crypto(CHUNK - 1, b"a"));
    assert_eq!(Connection::new().datagram(&last), Outcome::Pending);
    let claims = packet.padded(&crypto(0, &[1, 0, 0x0f, 0xfd]));
    assert_eq!(Connection::new().datagram(&claims), too_long);
    let fits = packet.padded(&crypto(0, &[1, 0, 0x0f, 0xfc]));
    assert_eq!(Connection::new().datagram(&fits), Outcome::Pending);
    let no_hello = packet.padded(&crypto(0, &[2, 0, 0, 9]));
    assert_eq!(
        Connection::new().datagram(&no_hello),
        Outcome::Failed(Reason::Malformed)
    );
    let mut many = Packet::v1(DCID).seal(&[1; 20]);
    for _ in 0..INITIALS {
        many.extend(Packet::v1(DCID).seal(&[1; 20]));
    }
    assert_eq!(
        Connection::new().datagram(&many),
        Outcome::Failed(Reason::QuicRefused)
    );
}
