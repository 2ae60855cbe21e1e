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
    let file = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut clients: BTreeMap<u16, Vec<Segment>> = BTreeMap::new();
    let mut left = file.get(24..).unwrap_or_default();
    let mut frame = 0;
    while let Some((header, rest)) = left.split_first_chunk::<16>() {
        let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let Some((bytes, rest)) = rest.split_at_checked(len) else {
            break;
        };
        left = rest;
        frame += 1;
        if let Some((port, segment)) = segment(frame, bytes) {
            clients.entry(port).or_default().push(segment);
        }
    }
    Ok(clients)
}

fn segment(frame: usize, bytes: &[u8]) -> Option<(u16, Segment)> {
    let be16 =
        |bytes: &[u8], at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    if be16(bytes, 12)? != 0x0800 {
        return None;
    }
    let ip = bytes.get(14..14 + usize::from(be16(bytes, 16)?))?;
    if *ip.get(9)? != 6 {
        return None;
    }
    let tcp = ip.get(usize::from(ip.first()? & 15) * 4..)?;
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
