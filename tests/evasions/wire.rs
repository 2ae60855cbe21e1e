//! A connection written down frame by frame, for tricks in which the server
//! has its part too.

use std::sync::atomic::{AtomicU16, Ordering};

use filter_ebpf::abi::{Reason, Verdict};
use filter_tests::frames::{ip, tagged};
use filter_tests::small_school::Outcome;

use super::stream::{ACK, PSH, RST, SYN, strict};

const CLIENT: [u8; 4] = [10, 9, 0, 7];
const SERVER: [u8; 4] = [93, 184, 216, 34];
/// The server's first byte.
const THEIRS: u32 = 7_001;

#[derive(Clone)]
pub(crate) struct Wire {
    vlan: u16,
    ports: [u16; 2],
    /// The client's first byte.
    first: u32,
    urgent: u16,
    frames: Vec<Vec<u8>>,
}

impl Wire {
    /// A connection from a port of its own; nothing is sent yet.
    pub(crate) fn new(port: u16) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(1_024);
        Self {
            vlan: 10,
            ports: [NEXT.fetch_add(1, Ordering::Relaxed), port],
            first: 0xffff_ff00,
            urgent: 0,
            frames: Vec::new(),
        }
    }

    /// As [`Self::new`], after the handshake.
    pub(crate) fn open(port: u16) -> Self {
        Self::new(port).handshake()
    }

    /// The same in another room.
    pub(crate) fn open_in(vlan: u16, port: u16) -> Self {
        let wire = Self {
            vlan,
            ..Self::new(port)
        };
        wire.handshake()
    }

    /// The same conversation from another port.
    pub(crate) fn elsewhere(&self) -> Self {
        let port = Self::new(0).ports[0].to_be_bytes();
        let mut other = self.clone();
        let (client, server) = (CLIENT, SERVER);
        for frame in &mut other.frames {
            let at = if frame[30..34] == client { 38 } else { 40 };
            debug_assert!(frame[30..34] == client || frame[30..34] == server);
            frame[at..at + 2].copy_from_slice(&port);
        }
        other.ports[0] = u16::from_be_bytes(port);
        other
    }

    /// From here on another stream from the same port, whose first byte lies
    /// `offset` behind that of the one before.
    pub(crate) fn moved(self, offset: u32) -> Self {
        Self {
            first: self.first.wrapping_add(offset),
            ..self
        }
    }

    pub(crate) fn handshake(self) -> Self {
        self.client(SYN, -1, b"").syn_ack(0).client(ACK, 0, b"")
    }

    /// The server takes the stream, with so many bytes of it.
    pub(crate) fn syn_ack(self, taken: u32) -> Self {
        self.server(SYN | ACK, THEIRS - 1, taken)
    }

    /// The server has so many bytes of the stream.
    pub(crate) fn acked(self, bytes: usize) -> Self {
        self.server(ACK, THEIRS, bytes as u32)
    }

    pub(crate) fn send(self, at: usize, bytes: &[u8]) -> Self {
        self.client(ACK | PSH, at as i64, bytes)
    }

    /// The client gives up.
    pub(crate) fn reset(self, at: usize) -> Self {
        self.client(RST, at as i64, b"")
    }

    /// The next segments have an urgent pointer; 0: no more.
    pub(crate) fn urgent(self, urgent: u16) -> Self {
        Self { urgent, ..self }
    }

    pub(crate) fn client(mut self, flags: u8, at: i64, bytes: &[u8]) -> Self {
        let seq = self.first.wrapping_add(at as u32);
        let ack = if flags & ACK != 0 { THEIRS } else { 0 };
        let [from, to] = self.ports;
        let segment = segment([from, to], seq, ack, flags, self.urgent, bytes);
        self.push(CLIENT, SERVER, &segment);
        self
    }

    fn server(mut self, flags: u8, seq: u32, taken: u32) -> Self {
        let ack = self.first.wrapping_add(taken);
        let [to, from] = self.ports;
        let segment = segment([from, to], seq, ack, flags, 0, b"");
        self.push(SERVER, CLIENT, &segment);
        self
    }

    fn push(&mut self, from: [u8; 4], to: [u8; 4], segment: &[u8]) {
        let packet = ip(from.into(), to.into(), 6, segment);
        self.frames.push(tagged(self.vlan, &packet));
    }

    /// What becomes of all frames where connections have a start.
    pub(crate) fn judge(&self) -> Outcome {
        strict(&self.frames).unwrap()
    }

    /// Whether the last frame passed, and why.
    pub(crate) fn last(&self) -> (Verdict, Reason) {
        let outcome = self.judge();
        let last = outcome.frames.last().unwrap();
        (last.verdict.unwrap(), last.reason)
    }

    /// # Panics
    /// When a frame of the client does not pass.
    pub(crate) fn passes(&self, what: &str) {
        let outcome = self.judge();
        let passed = |verdict| verdict == Some(Verdict::Pass);
        assert!(
            outcome.frames.iter().all(|frame| passed(frame.verdict)),
            "{what}\n{}",
            outcome.table()
        );
    }

    /// # Panics
    /// When the last frame passes.
    pub(crate) fn refused(&self, what: &str) -> Reason {
        let outcome = self.judge();
        let last = outcome.frames.last().unwrap();
        assert_ne!(
            last.verdict,
            Some(Verdict::Pass),
            "{what}\n{}",
            outcome.table()
        );
        last.reason
    }
}

fn segment(ports: [u16; 2], seq: u32, ack: u32, flags: u8, urgent: u16, bytes: &[u8]) -> Vec<u8> {
    let mut segment: Vec<u8> = ports.iter().flat_map(|port| port.to_be_bytes()).collect();
    segment.extend(seq.to_be_bytes());
    segment.extend(ack.to_be_bytes());
    let flags = if urgent != 0 { flags | 32 } else { flags };
    segment.extend([0x50, flags, 0xff, 0xff, 0, 0]);
    segment.extend(urgent.to_be_bytes());
    segment.extend(bytes);
    segment
}
