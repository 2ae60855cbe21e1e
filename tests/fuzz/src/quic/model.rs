//! CRYPTO frames read in the most obvious way, to hold ours against.

use super::recipe::{Flags, Packet};

/// Longest stream that is looked at, as in the filter.
const LONGEST: usize = 4096;

/// What the CRYPTO frames of a plaintext say, in order; `None` when it is no
/// sequence of an Initial's frames.
pub(super) fn frames(plain: &[u8]) -> Option<Vec<(usize, &[u8])>> {
    let mut frames = Vec::new();
    let mut left = plain;
    while let Some((kind, rest)) = left.split_first() {
        left = rest;
        match kind {
            0 | 1 => {}
            2 | 3 => {
                let [_, _, ranges, _] = varints(&mut left)?;
                for _ in 0..ranges {
                    let [_, _] = varints(&mut left)?;
                }
                if *kind == 3 {
                    let [_, _, _] = varints(&mut left)?;
                }
            }
            6 => {
                let [offset, len] = varints(&mut left)?;
                let (data, rest) = left.split_at_checked(usize::try_from(len).ok()?)?;
                left = rest;
                frames.push((usize::try_from(offset).ok()?, data));
            }
            0x1c => {
                let [_, _, reason] = varints(&mut left)?;
                left = left.get(usize::try_from(reason).ok()?..)?;
            }
            _ => return None,
        }
    }
    Some(frames)
}

/// How long a handshake message is, with its header.
fn told([a, b, c]: [u8; 3]) -> usize {
    4 + u32::from_be_bytes([0, a, b, c]) as usize
}

fn varints<const N: usize>(left: &mut &[u8]) -> Option<[u64; N]> {
    let mut values = [0; N];
    for value in &mut values {
        let (first, _) = left.split_first()?;
        let (bytes, rest) = left.split_at_checked(1 << (first >> 6))?;
        *left = rest;
        let number = bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        *value = number & (u64::MAX >> (66 - 8 * bytes.len()));
    }
    Some(values)
}

/// The stream that all packets' frames make together.
#[derive(Debug, Default)]
pub(super) struct Stream {
    bytes: Vec<Option<u8>>,
    /// A byte was said twice, differently.
    pub(super) conflict: bool,
    /// A frame reaches further than the filter keeps.
    pub(super) too_long: bool,
    /// It began, at one time or another, with a message that is no ClientHello
    /// or is longer than that.
    pub(super) refused: bool,
    /// More frames than the filter reads of a packet.
    pub(super) many: bool,
}

impl Stream {
    pub(super) fn of(packets: &[Packet]) -> Self {
        let mut stream = Self::default();
        for packet in packets.iter().filter(|packet| !packet.has(Flags::RAW)) {
            stream.add(&packet.plain());
        }
        stream
    }

    /// Adds what a packet says.
    fn add(&mut self, plain: &[u8]) {
        let Some(frames) = frames(plain) else {
            return;
        };
        // The filter's bound on frames; its bound on turns is no shorter.
        self.many |= frames.len() > 512 || plain.len() > 2048;
        for (offset, data) in frames {
            let Some(end) = offset.checked_add(data.len()).filter(|end| *end <= LONGEST) else {
                self.too_long = true;
                continue;
            };
            if self.bytes.len() < end {
                self.bytes.resize(end, None);
            }
            for (there, byte) in self.bytes.iter_mut().skip(offset).zip(data) {
                self.conflict |= there.is_some_and(|there| there != *byte);
                *there = Some(*byte);
            }
        }
        if let Some([Some(kind), Some(a), Some(b), Some(c)]) = self.bytes.first_chunk() {
            self.refused |= *kind != 1 || told([*a, *b, *c]) > LONGEST;
        }
    }

    /// The bytes from the front to the first gap.
    pub(super) fn front(&self) -> Vec<u8> {
        self.bytes.iter().map_while(|byte| *byte).collect()
    }

    /// The ClientHello when all of it is there.
    pub(super) fn hello(&self) -> Option<Vec<u8>> {
        let front = self.front();
        let [1, a, b, c] = front.first_chunk()? else {
            return None;
        };
        front.get(..told([*a, *b, *c])).map(<[u8]>::to_vec)
    }

    /// Whether bytes stand behind a complete ClientHello.
    pub(super) fn is_followed(&self) -> bool {
        self.hello()
            .is_some_and(|hello| self.front().len() > hello.len())
    }
}
