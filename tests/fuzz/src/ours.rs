//! The inspectors as the kernel runs them.

use filter_ebpf::abi::{CONTENT_STEP, FlowFlags, Hello, Reason};
use filter_ebpf::inspect::{CHUNK, CHUNK_ROOM, Chunk, Progress, feed};

/// What a stream told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Name(String),
    Unnamed,
    Failed(Reason),
    More,
}

impl Answer {
    /// Whether it is a name, or that there is none.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Name(_) | Self::Unnamed)
    }
}

/// An answer and how many bytes it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub answer: Answer,
    /// Bytes fed when the answer came.
    pub consumed: usize,
}

/// Feeds `stream`, cut before each of `cuts` (in order).
#[must_use]
pub fn judge(stream: &[u8], cuts: &[usize]) -> Judged {
    let mut hello = Hello::EMPTY;
    // Not zeros: what lies behind a chunk's end must not matter.
    let mut buffer = [0xa5; CHUNK_ROOM];
    let mut consumed = 0;
    let ends = cuts.iter().copied().chain([stream.len()]);
    for end in ends {
        let segment = stream.get(consumed..end).unwrap_or_default();
        for piece in segment.chunks(CHUNK) {
            if let Some(front) = buffer.get_mut(..piece.len()) {
                front.copy_from_slice(piece);
            }
            consumed += piece.len();
            let answer = match feed(&mut hello, &Chunk::new(&buffer, piece.len() as u32)) {
                Progress::More => continue,
                // Another head may follow in the same segment.
                Progress::Done(finding) if finding.unfinished != 0 && consumed < end => continue,
                Progress::Failed(reason) => Answer::Failed(reason),
                Progress::Done(finding) => told(&hello, finding.flags),
            };
            return Judged { answer, consumed };
        }
    }
    Judged {
        answer: Answer::More,
        consumed,
    }
}

/// Feeds a stream's segments as the kernel does, in steps of its chunk, until
/// one gives an answer: that segment's index, and the answer ([`Answer::More`]
/// behind the last one).
#[must_use]
pub fn judge_segments(segments: &[&[u8]]) -> (usize, Answer) {
    let mut hello = Hello::EMPTY;
    let mut buffer = [0xa5; CHUNK_ROOM];
    for (index, segment) in segments.iter().enumerate() {
        let mut left = *segment;
        while !left.is_empty() {
            let (piece, rest) = left.split_at(left.len().min(CONTENT_STEP));
            left = rest;
            buffer[..piece.len()].copy_from_slice(piece);
            let answer = match feed(&mut hello, &Chunk::new(&buffer, piece.len() as u32)) {
                Progress::More => continue,
                // Another head may follow in the same segment.
                Progress::Done(finding) if finding.unfinished != 0 && !left.is_empty() => continue,
                Progress::Failed(reason) => Answer::Failed(reason),
                Progress::Done(finding) => told(&hello, finding.flags),
            };
            return (index, answer);
        }
    }
    (segments.len(), Answer::More)
}

pub(crate) fn told(hello: &Hello, flags: u8) -> Answer {
    if flags & FlowFlags::NAMED == 0 {
        return Answer::Unnamed;
    }
    let name = hello.name.get(..usize::from(hello.name_len));
    Answer::Name(String::from_utf8_lossy(name.unwrap_or_default()).into())
}

/// A name as it is compared: lower case, one trailing dot stripped.
pub(crate) fn normal(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.to_ascii_lowercase()
}

/// Whether a host may be called that, by rules written down once more: not
/// empty, no empty label, letters, digits, `-`, `_`; or an IPv6 address.
pub(crate) fn is_host(name: &[u8]) -> bool {
    let Ok(name) = str::from_utf8(name) else {
        return false;
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= 255 && (name.split('.').all(label) || name.parse::<std::net::Ipv6Addr>().is_ok())
}
