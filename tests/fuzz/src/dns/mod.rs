//! DNS queries beside hickory-proto.

mod mutate;

use filter_ebpf::abi::{Hello, Reason};
use filter_ebpf::inspect::dns::{Framing, feed, query};
use filter_ebpf::inspect::{CHUNK, CHUNK_ROOM, Chunk, Progress};
use hickory_proto::op::{Header, MessageType, Query};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder, DecodeError};

use crate::ours::{Answer, told};
use crate::{Explained, Random};

pub(crate) use mutate::{SEEDS, mutated};

/// Bytes before the questions (RFC 1035 §4.1.1).
const HEADER: usize = 12;

/// What our inspector says about a message in a datagram, and the type of
/// its last question.
#[must_use]
pub fn judge(message: &[u8]) -> (Answer, u16) {
    let mut buffer = [0xa5; CHUNK_ROOM];
    let len = message.len().min(CHUNK);
    buffer[..len].copy_from_slice(&message[..len]);
    let mut hello = Hello::EMPTY;
    let chunk = Chunk::new(&buffer, len as u32);
    let answer = answer(&mut hello, &chunk, Framing::Datagram);
    (answer, query(&mut hello).kind)
}

fn answer(hello: &mut Hello, chunk: &Chunk<'_>, framing: Framing) -> Answer {
    match feed(hello, chunk, framing) {
        Progress::More => Answer::More,
        Progress::Failed(reason) => Answer::Failed(reason),
        Progress::Done(finding) => told(hello, finding.flags),
    }
}

/// All answers of a TCP stream, cut before each of `cuts`.
fn stream(stream: &[u8], cuts: &[usize]) -> Vec<Answer> {
    let mut buffer = [0xa5; CHUNK_ROOM];
    let mut hello = Hello::EMPTY;
    let mut answers = Vec::new();
    let mut at = 0;
    for end in cuts.iter().copied().chain([stream.len()]) {
        for piece in stream.get(at..end).unwrap_or_default().chunks(CHUNK) {
            at += piece.len();
            buffer[..piece.len()].copy_from_slice(piece);
            let chunk = Chunk::new(&buffer, piece.len() as u32);
            loop {
                match answer(&mut hello, &chunk, Framing::Stream) {
                    Answer::More => break,
                    failed @ Answer::Failed(_) => {
                        answers.push(failed);
                        return answers;
                    }
                    named => answers.push(named),
                }
            }
        }
    }
    answers
}

/// What hickory reads of a message's question section.
#[derive(Debug)]
struct Seen {
    is_answer: bool,
    names: Vec<String>,
    questions: u16,
    last: u16,
}

/// An error says whether it was no more than a name that a pointer leads into
/// the middle of.
fn look(message: &[u8]) -> Result<Seen, bool> {
    let overlaps = |error: DecodeError| matches!(error, DecodeError::LabelOverlapsWithOther { .. });
    let mut decoder = BinDecoder::new(message);
    let header = Header::read(&mut decoder).map_err(overlaps)?;
    let mut seen = Seen {
        is_answer: header.metadata.message_type == MessageType::Response,
        names: Vec::new(),
        questions: header.counts.queries,
        last: 0,
    };
    for _ in 0..seen.questions {
        let query = Query::read(&mut decoder).map_err(overlaps)?;
        let labels: Vec<String> = query.name().iter().map(shown).collect();
        seen.names.push(labels.join("."));
        seen.last = query.query_type().into();
    }
    Ok(seen)
}

/// A label as the filter shows it: in lower case, and with `?` for what
/// would break a text or look like two labels.
fn shown(label: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b' ' | 0x21..=0x2d | 0x2f..=0x7e => char::from(byte.to_ascii_lowercase()),
        _ => '?',
    };
    label.iter().map(shown).collect()
}

pub(crate) fn compare(message: &[u8], random: &mut Random) -> Result<Vec<Explained>, String> {
    let message = message.get(..CHUNK).unwrap_or(message);
    let (ours, kind) = judge(message);
    in_a_stream(message, &ours, random)?;
    hold_against(message, &ours, kind)
}

pub(crate) fn hold_against(
    message: &[u8],
    ours: &Answer,
    kind: u16,
) -> Result<Vec<Explained>, String> {
    let seen = look(message);
    explain(
        message,
        ours,
        kind,
        seen.as_ref().map_err(|overlaps| *overlaps),
    )
    .map(|reason| reason.into_iter().collect())
    .ok_or_else(|| format!("ours: {ours:?} type {kind}, hickory: {seen:?}"))
}

fn explain(
    message: &[u8],
    ours: &Answer,
    kind: u16,
    seen: Result<&Seen, bool>,
) -> Option<Option<Explained>> {
    let seen = match (seen, ours) {
        (Ok(seen), _) => seen,
        (Err(_), Answer::Failed(_)) => return Some(None),
        (Err(true), Answer::Name(_)) => return Some(Some(Explained::DnsOverlap)),
        (Err(_), _) => return None,
    };
    let agree = seen.names.windows(2).all(|two| two[0] == two[1]);
    let first = seen.names.first().map(String::as_str).unwrap_or_default();
    Some(match ours {
        Answer::Name(name) if agree && name == first && kind == seen.last => None,
        Answer::Unnamed if agree && first.is_empty() && kind == seen.last => None,
        Answer::Failed(Reason::Malformed) if seen.is_answer => Some(Explained::DnsAnswer),
        Answer::Failed(Reason::Malformed) if seen.questions > 8 => Some(Explained::DnsQuestions),
        Answer::Failed(Reason::Malformed) if !agree => Some(Explained::TwoNames),
        Answer::Failed(Reason::Malformed) if odd_pointer(message) => Some(Explained::DnsPointers),
        _ => return None,
    })
}

/// Whether two bytes behind the header may be a pointer: into the header, or
/// one of more than we follow.
fn odd_pointer(message: &[u8]) -> bool {
    let pairs = message.get(HEADER..).unwrap_or_default().windows(2);
    let mut pointers = 0;
    let mut into_header = false;
    for pair in pairs {
        if pair[0] >= 0xc0 {
            pointers += 1;
            into_header |= pair[0] == 0xc0 && usize::from(pair[1]) < HEADER;
        }
    }
    into_header || pointers > 8
}

/// The same message twice in a TCP stream, whole and cut: the same answers.
fn in_a_stream(message: &[u8], ours: &Answer, random: &mut Random) -> Result<(), String> {
    let mut framed = Vec::with_capacity(2 * message.len() + 4);
    for _ in 0..2 {
        framed.extend((message.len() as u16).to_be_bytes());
        framed.extend_from_slice(message);
    }
    let whole = stream(&framed, &[]);
    // A pointer cannot reach into what another chunk held, and where a
    // message is shorter than its questions the next one's bytes are not
    // taken for its own.
    let pointers = message.iter().any(|byte| *byte >= 0xc0);
    let long = framed.len() > CHUNK;
    if !(long && pointers) && whole.first() != Some(ours) {
        return Err(format!("in a datagram: {ours:?}, in a stream: {whole:?}"));
    }
    let cuts = random.cuts(framed.len());
    let cut = stream(&framed, &cuts);
    if pointers || cut == whole {
        return Ok(());
    }
    Err(format!("whole: {whole:?}, cut at {cuts:?}: {cut:?}"))
}
