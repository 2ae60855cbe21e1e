//! A client's connection as frames, and whether its hello got through.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use filter_ebpf::abi::{Reason, Verdict};
use filter_tests::small_school::{Loaded, Outcome, School};

const ISN: u32 = 0xffff_f000;

pub(crate) const ACK: u8 = 16;
pub(crate) const PSH: u8 = 8;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const FIN: u8 = 1;
pub(crate) const URG: u8 = 32;

/// One segment from the client, as the trick wants it.
#[derive(Clone)]
pub(crate) struct Segment {
    /// From the first byte of the stream.
    pub(crate) offset: i64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) flags: u8,
    pub(crate) ttl: u8,
    /// Header words of the TCP data offset.
    pub(crate) data_offset: u8,
    /// Meant for the server; else a decoy that never gets there.
    pub(crate) real: bool,
}

impl Segment {
    pub(crate) fn new(offset: usize, bytes: &[u8]) -> Self {
        Self {
            offset: offset as i64,
            bytes: bytes.to_vec(),
            flags: ACK | PSH,
            ttl: 64,
            data_offset: 5,
            real: true,
        }
    }

    pub(crate) fn flags(self, flags: u8) -> Self {
        Self { flags, ..self }
    }

    pub(crate) fn decoy(self) -> Self {
        Self {
            real: false,
            ttl: 2,
            ..self
        }
    }
}

/// A stream cut at these sizes, the rest in one piece.
pub(crate) fn cut(bytes: &[u8], sizes: &[usize]) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut at = 0_usize;
    for &size in sizes.iter().chain([&usize::MAX]) {
        let end = at.saturating_add(size).min(bytes.len());
        if end > at {
            segments.push(Segment::new(at, &bytes[at..end]));
        }
        at = end;
    }
    segments
}

/// A stream in pieces of one size.
pub(crate) fn pieces(bytes: &[u8], size: usize) -> Vec<Segment> {
    bytes
        .chunks(size)
        .enumerate()
        .map(|(i, piece)| Segment::new(i * size, piece))
        .collect()
}

/// A connection: its place and its segments after the handshake.
pub(crate) struct Connection {
    pub(crate) vlan: u16,
    pub(crate) server: [u8; 4],
    pub(crate) port: u16,
    /// Of its own, so that cases share nothing.
    pub(crate) client_port: u16,
    /// Whether the server's SYN-ACK is seen.
    pub(crate) handshake: bool,
    pub(crate) segments: Vec<Segment>,
}

impl Connection {
    pub(crate) fn new(segments: Vec<Segment>) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(20_000);
        let client_port = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            vlan: 10,
            server: [93, 184, 216, 34],
            port: 443,
            client_port,
            handshake: true,
            segments,
        }
    }

    pub(crate) fn vlan(self, vlan: u16) -> Self {
        Self { vlan, ..self }
    }

    pub(crate) fn server(self, server: [u8; 4]) -> Self {
        Self { server, ..self }
    }

    pub(crate) fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    fn frame(&self, to_server: bool, seq: u32, ack: u32, segment: &Segment) -> Vec<u8> {
        let (client, server) = ([10, 10, 0, 5], self.server);
        let (source, target) = if to_server {
            (client, server)
        } else {
            (server, client)
        };
        let ports = if to_server {
            [self.client_port, self.port]
        } else {
            [self.port, self.client_port]
        };
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0];
        frame.extend(self.vlan.to_be_bytes());
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((40 + segment.bytes.len() as u16).to_be_bytes());
        frame.extend([0, 1, 0x40, 0, segment.ttl, 6, 0, 0]);
        frame.extend(source);
        frame.extend(target);
        frame.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
        frame.extend(seq.to_be_bytes());
        frame.extend(ack.to_be_bytes());
        frame.extend([
            segment.data_offset << 4,
            segment.flags,
            0xff,
            0xff,
            0,
            0,
            0,
            0,
        ]);
        frame.extend(&segment.bytes);
        frame
    }

    /// The frames, and for each what it carries of the stream.
    fn frames(&self) -> Vec<(Vec<u8>, Option<&Segment>)> {
        let control = |flags| Segment {
            flags,
            ..Segment::new(0, &[])
        };
        let mut frames = Vec::new();
        if self.handshake {
            frames.push((self.frame(true, ISN, 0, &control(SYN)), None));
            frames.push((self.frame(false, 77, ISN + 1, &control(SYN | ACK)), None));
            frames.push((self.frame(true, ISN + 1, 78, &control(ACK)), None));
        }
        for segment in &self.segments {
            let seq = ISN.wrapping_add(1).wrapping_add(segment.offset as u32);
            // A SYN takes a number of its own before its data.
            let seq = if segment.flags & SYN != 0 {
                seq.wrapping_sub(1)
            } else {
                seq
            };
            let ack = if segment.flags & ACK != 0 { 78 } else { 0 };
            frames.push((self.frame(true, seq, ack, segment), Some(segment)));
        }
        frames
    }

    /// Judges the frames.
    pub(crate) fn judge(&self) -> Result<Journey> {
        let frames = self.frames();
        let bytes: Vec<Vec<u8>> = frames.iter().map(|(frame, _)| frame.clone()).collect();
        let outcome = judge(&bytes)?;
        let len = self
            .segments
            .iter()
            .filter(|segment| segment.real)
            .map(|segment| (segment.offset.max(0) as usize) + segment.bytes.len())
            .max()
            .unwrap_or(0);
        let mut passed = vec![false; len];
        for (judged, (_, segment)) in outcome.frames.iter().zip(&frames) {
            let Some(segment) = segment.filter(|segment| segment.real) else {
                continue;
            };
            if judged.verdict == Some(Verdict::Pass) {
                let at = segment.offset.max(0) as usize;
                passed[at..at + segment.bytes.len()].fill(true);
            }
        }
        Ok(Journey {
            reached: passed.iter().all(|byte| *byte),
            outcome,
        })
    }
}

/// Judges frames by one image, which all cases share.
pub(crate) fn judge(frames: &[Vec<u8>]) -> Result<Outcome> {
    static SCHOOL: Mutex<Option<Loaded>> = Mutex::new(None);
    judge_by(&SCHOOL, false, frames)
}

/// The same where nothing passes of a connection whose start was not seen, as
/// on a network.
pub(crate) fn strict(frames: &[Vec<u8>]) -> Result<Outcome> {
    static SCHOOL: Mutex<Option<Loaded>> = Mutex::new(None);
    judge_by(&SCHOOL, true, frames)
}

fn judge_by(school: &Mutex<Option<Loaded>>, strict: bool, frames: &[Vec<u8>]) -> Result<Outcome> {
    let mut school = school.lock().unwrap_or_else(PoisonError::into_inner);
    if school.is_none() {
        let mut unloaded = School::new()?;
        unloaded.strict = strict;
        *school = Some(unloaded.load()?);
    }
    school.as_mut().context("no school")?.judge(frames)
}

/// What became of a connection.
pub(crate) struct Journey {
    /// The server got every byte of the hello.
    pub(crate) reached: bool,
    pub(crate) outcome: Outcome,
}

impl Journey {
    /// The reason of the last frame.
    pub(crate) fn reason(&self) -> Reason {
        self.outcome
            .frames
            .last()
            .map_or(Reason::Unknown, |frame| frame.reason)
    }
}

/// A host in a denied category, one that nothing speaks against.
pub(crate) const BLOCKED: &str = "www.play.games.example";
pub(crate) const ALLOWED: &str = "www.harmless.example";
/// Of the same length as [`BLOCKED`].
pub(crate) const ALLOWED_TWIN: &str = "www.harmless.kingdom.x";

/// The trick with a blocked host must fail, with an allowed one it must work.
///
/// # Panics
/// When either is not so.
pub(crate) fn both(trick: impl Fn(&str) -> Connection) {
    let blocked = trick(BLOCKED).judge().unwrap();
    assert!(
        !blocked.reached,
        "blocked host reached\n{}",
        blocked.outcome.table()
    );
    let allowed = trick(ALLOWED).judge().unwrap();
    assert!(
        allowed.reached,
        "allowed host not reached\n{}",
        allowed.outcome.table()
    );
}

/// The trick must fail whatever the host, for this reason.
///
/// # Panics
/// When it does not.
pub(crate) fn denied(reason: Reason, trick: impl Fn(&str) -> Connection) {
    for host in [BLOCKED, ALLOWED] {
        let journey = trick(host).judge().unwrap();
        assert!(
            !journey.reached,
            "{host} reached\n{}",
            journey.outcome.table()
        );
        assert_eq!(
            journey.reason(),
            reason,
            "{host}\n{}",
            journey.outcome.table()
        );
    }
}
