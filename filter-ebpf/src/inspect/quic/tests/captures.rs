//! Published packets and captures of real clients.

use super::*;

/// RFC 9001 appendix A.2, the protected packet.
const RFC9001: &[u8] = include_bytes!("../vectors/rfc9001-a2.bin");
/// RFC 9369 appendix A.2, likewise.
const RFC9369: &[u8] = include_bytes!("../vectors/rfc9369-a2.bin");

#[test]
fn published_packets() {
    for packet in [RFC9001, RFC9369] {
        let mut connection = Connection::new();
        assert_eq!(connection.datagram(packet), Outcome::Complete);
        assert_eq!(connection.name().as_deref(), Some("example.com"));
        assert_eq!(connection.hello.total, 0xf1);
        assert_eq!(connection.hello.next_number, 3);
        assert_eq!(connection.datagram(packet), Outcome::Settled);
    }
}

/// A frame of a classic pcap file: number from 1, and the bytes.
fn frames(pcap: &[u8]) -> Vec<(usize, &[u8])> {
    assert_eq!(pcap[..4], [0xd4, 0xc3, 0xb2, 0xa1], "little-endian pcap");
    let word = |at: usize| u32::from_le_bytes(pcap[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 24;
    let mut frames = Vec::new();
    while at + 16 <= pcap.len() {
        let len = word(at + 8);
        frames.push((frames.len() + 1, &pcap[at + 16..at + 16 + len]));
        at += 16 + len;
    }
    frames
}

/// The UDP payload that `client` sends, of a plain IPv4 frame.
fn payload(frame: &[u8], client: u16) -> Option<&[u8]> {
    let ip = frame.get(14..)?;
    let udp = ip.get(usize::from(ip[0] & 15) * 4..)?;
    let from = u16::from_be_bytes([udp[0], udp[1]]);
    let len = usize::from(u16::from_be_bytes([udp[4], udp[5]]));
    (ip[9] == 17 && from == client).then(|| &udp[8..len])
}

#[test]
fn real_clients() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/captures");
    let table = std::fs::read_to_string(std::format!("{root}/expected.tsv")).unwrap();
    let mut seen = 0;
    for row in table.lines().skip(1) {
        let row: Vec<&str> = row.split('\t').collect();
        if row[1] != "quic" {
            continue;
        }
        seen += 1;
        let client = row[3].parse().unwrap();
        let pcap = std::fs::read(std::format!("{root}/{}", row[0])).unwrap();
        let mut connection = Connection::new();
        let mut complete_at = None;
        for (number, frame) in frames(&pcap) {
            let Some(payload) = payload(frame, client) else {
                continue;
            };
            match connection.datagram(payload) {
                Outcome::Complete => {
                    assert_eq!(complete_at, None, "{}: twice", row[0]);
                    complete_at = Some(number);
                    assert_eq!(connection.name().as_deref(), Some(row[7]), "{}", row[0]);
                }
                Outcome::Pending => assert_eq!(complete_at, None, "{}", row[0]),
                // Behind the verdict: acknowledgements under the ID that the
                // server chose, and everything after the handshake.
                Outcome::Settled => assert!(complete_at.is_some(), "{}", row[0]),
                other => panic!("{} frame {number}: {other:?}", row[0]),
            }
        }
        let complete_at = complete_at.map(|number| std::format!("{number}"));
        assert_eq!(complete_at.as_deref(), Some(row[8]), "{}", row[0]);
    }
    assert!(seen >= 6, "only {seen} QUIC captures");
}
