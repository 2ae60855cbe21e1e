//! What clients send: Chromium's own frames, and simple ones.

use std::path::Path;

use anyhow::{Context as _, Result};
use filter_agent::replay::{Capture, Record};
use filter_tests::frames::{ACK, SYN, fragment, tagged, tcp, udp};

/// The room of all frames.
pub(crate) const VLAN: u16 = 10;
/// A room that is closed.
pub(crate) const CLOSED_VLAN: u16 = 11;

const CLIENT: &str = "10.0.0.5:40000";
const SERVER: &str = "100.64.0.1:443";

/// A SYN.
pub(crate) fn syn() -> Vec<u8> {
    tagged(VLAN, &tcp(CLIENT, SERVER, SYN, 1000, 0, b""))
}

/// A datagram of `bytes` bytes, for no protocol that anyone knows.
pub(crate) fn datagram(vlan: u16, bytes: usize) -> Vec<u8> {
    tagged(vlan, &udp(CLIENT, "100.64.0.1:9999", &vec![0; bytes]))
}

/// A frame without its tag, to this address.
pub(crate) fn untagged(frame: &[u8], to: [u8; 6]) -> Vec<u8> {
    [&to, &frame[6..12], &frame[16..]].concat()
}

/// The first fragment of a datagram.
pub(crate) fn first_fragment() -> Vec<u8> {
    let packet = udp(CLIENT, "100.64.0.1:9999", &[0; 64]);
    tagged(VLAN, &fragment(packet, 0, true))
}

/// A query for `www.example.org`.
pub(crate) fn query() -> Vec<u8> {
    tagged(VLAN, &udp(CLIENT, "100.64.0.1:53", &question(1)))
}

/// The message of such a query, type A (RFC 1035 §4.1).
pub(crate) fn question(number: u16) -> Vec<u8> {
    let mut message = number.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in ["www", "example", "org"] {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// A connection of Chromium: the SYN, the two segments of its hello, its
/// second flight, and a segment of data behind that.
pub(crate) struct Connection {
    pub(crate) syn: Vec<u8>,
    pub(crate) hello: [Vec<u8>; 2],
    /// The filter looks for a second hello up to here, and compares what is
    /// sent again of it.
    pub(crate) flight: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

impl Connection {
    /// What makes a judged connection of a client.
    pub(crate) fn start(&self) -> [Vec<u8>; 4] {
        let [first, second] = self.hello.clone();
        [self.syn.clone(), first, second, self.flight.clone()]
    }
}

/// Reads Chromium's connection from its capture.
pub(crate) fn chromium() -> Result<Connection> {
    let [syn, first, second] = captured("chromium-156-tcp.pcap", [1, 4, 6])?;
    // Sequence number and length of the hello's end (RFC 9293 §3.1).
    let word = |at: usize| -> Result<u32> {
        let bytes = second.get(at..at + 4).context("the capture is cut")?;
        Ok(u32::from_be_bytes(bytes.try_into()?))
    };
    const IP: usize = 18;
    const TCP: usize = IP + 20;
    const PAYLOAD: u32 = 64;
    let total = word(IP)? & 0xffff;
    let header = (word(TCP + 12)? >> 28) * 4;
    let end = word(TCP + 4)?.wrapping_add(total - 20 - header);
    let behind = |offset: u32| {
        let mut frame = second.clone();
        let packet = IP + (20 + header + PAYLOAD) as usize;
        frame.truncate(packet);
        let len = (packet - IP) as u16;
        frame[IP + 2..IP + 4].copy_from_slice(&len.to_be_bytes());
        frame[TCP + 4..TCP + 8].copy_from_slice(&end.wrapping_add(offset).to_be_bytes());
        frame[TCP + 13] = ACK;
        // The first byte of a record with data (RFC 8446 §5.1).
        frame[TCP + header as usize] = 23;
        frame
    };
    let (flight, data) = (behind(0), behind(PAYLOAD));
    Ok(Connection {
        syn,
        hello: [first, second],
        flight,
        data,
    })
}

/// The two datagrams of Chromium's hello over QUIC.
pub(crate) fn chromium_quic() -> Result<[Vec<u8>; 2]> {
    captured("chromium-156-quic.pcap", [1, 2])
}

/// Frames of a capture by number, each with a tag.
fn captured<const N: usize>(name: &str, numbers: [u64; N]) -> Result<[Vec<u8>; N]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../captures")
        .join(name);
    let mut capture = Capture::open(&path)?;
    let mut record = Record::default();
    let mut frames = Vec::new();
    while capture.next(&mut record)? {
        if numbers.contains(&record.number) {
            let packet = record.data.get(14..).context("a frame without header")?;
            frames.push(tagged(VLAN, packet));
        }
    }
    frames
        .try_into()
        .map_err(|_| anyhow::anyhow!("{name} has other frames"))
}
