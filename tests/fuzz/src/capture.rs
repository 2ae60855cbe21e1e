//! The client's side of TCP connections in the captures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A payload a client sent.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Frame in the file, from 1.
    pub frame: usize,
    pub sequence: u32,
    pub payload: Vec<u8>,
}

/// Where the captures lie.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../captures")
}

/// Segments with payload towards port 443, by client port, in the file's
/// order. The captures are Ethernet and IPv4, little endian pcap.
///
/// # Errors
/// When the file cannot be read.
pub fn clients(path: &Path) -> Result<BTreeMap<u16, Vec<Segment>>> {
    let mut clients: BTreeMap<u16, Vec<Segment>> = BTreeMap::new();
    for (frame, bytes) in (1..).zip(frames(path)?) {
        if let Some((port, segment)) = segment(frame, &bytes) {
            clients.entry(port).or_default().push(segment);
        }
    }
    Ok(clients)
}

/// UDP payloads towards `port`, by client port, likewise.
///
/// # Errors
/// When the file cannot be read.
pub fn datagrams(path: &Path, port: u16) -> Result<BTreeMap<u16, Vec<Vec<u8>>>> {
    let mut clients: BTreeMap<u16, Vec<Vec<u8>>> = BTreeMap::new();
    for bytes in frames(path)? {
        if let Some((17, udp)) = transport(&bytes)
            && be16(udp, 2) == Some(port)
            && let (Some(client), Some(payload)) = (be16(udp, 0), udp.get(8..))
        {
            clients.entry(client).or_default().push(payload.to_vec());
        }
    }
    Ok(clients)
}

/// All frames of a file.
fn frames(path: &Path) -> Result<Vec<Vec<u8>>> {
    let file = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut frames = Vec::new();
    let mut left = file.get(24..).unwrap_or_default();
    while let Some((header, rest)) = left.split_first_chunk::<16>() {
        let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let Some((bytes, rest)) = rest.split_at_checked(len) else {
            break;
        };
        left = rest;
        frames.push(bytes.to_vec());
    }
    Ok(frames)
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// Protocol and content of an IPv4 packet.
fn transport(bytes: &[u8]) -> Option<(u8, &[u8])> {
    if be16(bytes, 12)? != 0x0800 {
        return None;
    }
    let ip = bytes.get(14..14 + usize::from(be16(bytes, 16)?))?;
    Some((*ip.get(9)?, ip.get(usize::from(ip.first()? & 15) * 4..)?))
}

fn segment(frame: usize, bytes: &[u8]) -> Option<(u16, Segment)> {
    let (6, tcp) = transport(bytes)? else {
        return None;
    };
    let payload = tcp.get(usize::from(tcp.get(12)? >> 4) * 4..)?;
    if payload.is_empty() || be16(tcp, 2)? != 443 {
        return None;
    }
    let sequence = u32::from_be_bytes(*tcp.get(4..)?.first_chunk()?);
    let segment = Segment {
        frame,
        sequence,
        payload: payload.to_vec(),
    };
    Some((be16(tcp, 0)?, segment))
}
