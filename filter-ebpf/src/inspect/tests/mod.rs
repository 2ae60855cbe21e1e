//! The inspectors by the ids of the evasion cases: every stream is cut at
//! every byte, and every way of cutting it must give one answer.

mod http;
mod literal;
mod name;
mod plain;
mod tls;

use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

use super::{CHUNK, CHUNK_ROOM, Chunk, Finding, Progress, feed};
use crate::abi::{FlowFlags, Hello, Pod as _, Reason};

/// The answer to a stream: a name, why there is none, or that more is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Name(String),
    /// A name, and the hello carries ECH.
    Ech(String),
    Unnamed,
    Failed(Reason),
    More,
}

pub(super) fn named(name: &str) -> Answer {
    Answer::Name(name.into())
}

pub(super) fn malformed() -> Answer {
    Answer::Failed(Reason::Malformed)
}

pub(super) fn fresh() -> Hello {
    Hello::from_bytes(&[0; size_of::<Hello>()]).unwrap()
}

/// Feeds `pieces` until the answer is there; also says how many were needed.
pub(super) fn feed_all<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Answer, usize) {
    let mut hello = fresh();
    let mut buffer = Box::new([0xa5; CHUNK_ROOM]);
    let mut fed = 0;
    for piece in pieces.flat_map(|piece| piece.chunks(CHUNK)) {
        fed += 1;
        buffer[..piece.len()].copy_from_slice(piece);
        let answer = match feed(&mut hello, &Chunk::new(&buffer, piece.len() as u32)) {
            Progress::More => continue,
            Progress::Failed(reason) => Answer::Failed(reason),
            Progress::Done(finding) => answer(finding, &hello),
        };
        return (answer, fed);
    }
    (Answer::More, fed)
}

fn answer(finding: Finding, hello: &Hello) -> Answer {
    let name = &hello.name[..usize::from(hello.name_len)];
    let name = String::from_utf8(name.to_vec()).unwrap();
    match finding.flags {
        FlowFlags::NAMED => Answer::Name(name),
        flags if flags == FlowFlags::NAMED | FlowFlags::ECH => Answer::Ech(name),
        _ => Answer::Unnamed,
    }
}

/// The answer to `stream`, the same for every cut into two and for pieces of
/// every size from 1 to 9 bytes.
pub(super) fn judge(stream: &[u8]) -> Answer {
    let (whole, _) = feed_all([stream].into_iter());
    for cut in 0..stream.len() {
        let (left, right) = stream.split_at(cut);
        let (cut_answer, _) = feed_all([left, right].into_iter());
        assert_eq!(cut_answer, whole, "cut at byte {cut}");
    }
    for size in 1..10 {
        let (cut_answer, _) = feed_all(stream.chunks(size));
        assert_eq!(cut_answer, whole, "pieces of {size} bytes");
    }
    whole
}

/// All bytes but the last must not be enough.
pub(super) fn is_complete_only_with_last_byte(stream: &[u8]) -> bool {
    let (short, _) = feed_all([&stream[..stream.len() - 1]].into_iter());
    let (_, fed) = feed_all(stream.chunks(1));
    short == Answer::More && fed == stream.len()
}

pub(super) fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
