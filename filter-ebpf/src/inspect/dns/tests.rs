//! D01 by its forms: captures of dig and kdig, and crafted messages.

use std::boxed::Box;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::abi::Pod as _;
use crate::inspect::CHUNK_ROOM;

/// A name with type and length, or why there is none.
type Asked = Result<(String, u16, u32), Reason>;

fn fresh() -> Hello {
    Hello::from_bytes(&[0; size_of::<Hello>()]).unwrap()
}

fn text(hello: &Hello) -> String {
    String::from_utf8(hello.name[..usize::from(hello.name_len)].to_vec()).unwrap()
}

/// All that `pieces` of a datagram or stream ask for.
fn ask(pieces: &[&[u8]], framing: Framing) -> Vec<Asked> {
    let mut hello = fresh();
    let mut buffer = Box::new([0xa5; CHUNK_ROOM]);
    let mut asked = Vec::new();
    for piece in pieces {
        buffer[..piece.len()].copy_from_slice(piece);
        let chunk = Chunk::new(&buffer, piece.len() as u32);
        loop {
            match feed(&mut hello, &chunk, framing) {
                Progress::More => break,
                Progress::Failed(reason) => {
                    asked.push(Err(reason));
                    return asked;
                }
                Progress::Done(finding) => {
                    let named = finding.flags == FlowFlags::NAMED;
                    let name = if named { text(&hello) } else { ".".to_string() };
                    let query = query(&mut hello);
                    asked.push(Ok((name, query.kind, query.len)));
                }
            }
        }
    }
    asked
}

fn datagram(message: &[u8]) -> Asked {
    let mut asked = ask(&[message], Framing::Datagram);
    assert_eq!(asked.len(), 1);
    asked.remove(0)
}

fn header(questions: u8) -> Vec<u8> {
    std::vec![0x12, 0x34, 1, 0, 0, questions, 0, 0, 0, 0, 0, 0]
}

fn wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire.push(label.len() as u8);
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    wire
}

fn message(name: &str, kind: u8) -> Vec<u8> {
    let mut message = header(1);
    message.extend(wire(name));
    message.extend([0, kind, 0, 1]);
    message
}

fn name(asked: &Asked) -> Result<&str, Reason> {
    match asked {
        Ok((name, ..)) => Ok(name),
        Err(reason) => Err(*reason),
    }
}

#[test]
fn d01_mixed_case_edns_padding() {
    let mut query = message("wWw.BlOcKeD.eXaMpLe", 65);
    let len = query.len() as u32;
    // OPT with 100 bytes of padding (RFC 7830).
    query[11] = 1;
    query.extend([0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 104, 0, 12, 0, 100]);
    query.extend([0; 100]);
    let want = Ok(("www.blocked.example".to_string(), 65, len));
    assert_eq!(datagram(&query), want);
    assert_eq!(name(&datagram(&message("", 2))), Ok("."));
}

#[test]
fn d01_compression_pointers() {
    // The second question says the first one's name by a pointer, whole and
    // in part.
    let mut twice = message("www.blocked.example", 1);
    twice[5] = 2;
    let mut whole = twice.clone();
    whole.extend([0xc0, 12, 0, 28, 0, 1]);
    let want = Ok(("www.blocked.example".to_string(), 28, whole.len() as u32));
    assert_eq!(datagram(&whole), want);
    let mut part = twice.clone();
    part.extend([3, b'W', b'w', b'w', 0xc0, 16, 0, 28, 0, 1]);
    assert_eq!(name(&datagram(&part)), Ok("www.blocked.example"));

    // To itself, forwards, into the header, one to the other.
    for pointer in [
        &[0xc0, 37][..],
        &[0xc0, 60],
        &[0xc0, 4],
        &[1, b'a', 0xc0, 37],
        &[0xc0],
        &[0x80, 12],
        &[0x41, 12],
    ] {
        let mut message = twice.clone();
        message.extend(pointer);
        message.extend([0, 1, 0, 1]);
        assert_eq!(datagram(&message), Err(Reason::Malformed), "{pointer:x?}");
    }
}

#[test]
fn d01_several_questions() {
    let mut same = message("a.example", 1);
    same[5] = 2;
    same.extend(wire("A.example"));
    same.extend([0, 28, 0, 1]);
    assert_eq!(name(&datagram(&same)), Ok("a.example"));
    for other in ["b.example", "a.exampl", "a.example.x", ""] {
        let mut differs = message("a.example", 1);
        differs[5] = 2;
        differs.extend(wire(other));
        differs.extend([0, 1, 0, 1]);
        assert_eq!(datagram(&differs), Err(Reason::Malformed), "{other}");
    }
    let mut nine = header(9);
    for _ in 0..9 {
        nine.extend(wire("a.example"));
        nine.extend([0, 1, 0, 1]);
    }
    assert_eq!(datagram(&nine), Err(Reason::Malformed));
    assert_eq!(name(&datagram(&header(0))), Ok("."));
}

#[test]
fn d01_long_and_odd_names() {
    let label = "x".repeat(63);
    let longest = std::format!("{label}.{label}.{label}.{}", "y".repeat(61));
    assert_eq!(longest.len(), 253);
    assert_eq!(name(&datagram(&message(&longest, 1))), Ok(&longest[..]));
    let too_long = std::format!("{longest}y");
    assert_eq!(datagram(&message(&too_long, 1)), Err(Reason::Malformed));

    // A dot inside a label makes no new label; other bytes are shown as '?'.
    let mut odd = header(1);
    odd.extend([
        3, b'a', b'.', b'b', 4, 0, 0xc3, b' ', b'Z', 2, b'd', b'e', 0, 0, 1, 0, 1,
    ]);
    assert_eq!(name(&datagram(&odd)), Ok("a?b.?? z.de"));
}

#[test]
fn malformed_messages() {
    let whole = message("www.blocked.example", 1);
    for len in 0..whole.len() {
        assert_eq!(datagram(&whole[..len]), Err(Reason::Malformed), "{len}");
    }
    let mut answer = whole;
    answer[2] |= 0x80;
    assert_eq!(datagram(&answer), Err(Reason::Malformed));
}

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = Vec::new();
    for message in messages {
        stream.extend((message.len() as u16).to_be_bytes());
        stream.extend(message);
    }
    stream
}

/// Two messages in one stream, cut at every place.
#[test]
fn d01_tcp_split_and_pipelined() {
    let mut padded = message("second.example", 28);
    padded.extend([0; 30]);
    let stream = framed(&[
        message("First.example", 1),
        padded,
        message("third.example", 65),
    ]);
    let want = ask(&[&stream], Framing::Stream);
    let names: Vec<_> = want.iter().map(|asked| name(asked).unwrap()).collect();
    assert_eq!(names, ["first.example", "second.example", "third.example"]);
    for cut in 0..stream.len() {
        let (front, back) = stream.split_at(cut);
        assert_eq!(ask(&[front, back], Framing::Stream), want, "{cut}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(ask(&bytes, Framing::Stream), want);
    let short = framed(&[std::vec![0; 11]]);
    assert_eq!(ask(&[&short], Framing::Stream), [Err(Reason::Malformed)]);
}

/// Queries of dig and kdig; the TCP ones among them lie in one segment.
#[test]
fn captures_of_real_clients() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/captures/dns-dig-kdig.pcap"
    );
    let pcap = std::fs::read(path).unwrap();
    let word = |at: usize| u32::from_le_bytes(pcap[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 24;
    let mut names = Vec::new();
    while at + 16 <= pcap.len() {
        let frame = &pcap[at + 16..at + 16 + word(at + 8)];
        at += 16 + word(at + 8);
        if frame[12..14] != [8, 0] {
            continue;
        }
        let ip = &frame[14..];
        let ip = &ip[..usize::from(u16::from_be_bytes([ip[2], ip[3]]))];
        let segment = &ip[usize::from(ip[0] & 15) * 4..];
        if segment[2..4] != [0, 53] {
            continue;
        }
        let (payload, framing) = if ip[9] == 17 {
            (&segment[8..], Framing::Datagram)
        } else {
            (
                &segment[usize::from(segment[12] >> 4) * 4..],
                Framing::Stream,
            )
        };
        for asked in ask(&[payload], framing) {
            names.push(asked.unwrap().0);
        }
    }
    let longest = names.iter().map(String::len).max();
    assert!(names.len() >= 8, "{names:?}");
    assert!(names.iter().any(|name| name == "."), "the root");
    assert!(
        names.iter().any(|name| name.contains(' ')),
        "an escaped space"
    );
    assert!(longest >= Some(240), "{longest:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300) {
        let _ = ask(&[&bytes], Framing::Datagram);
        let whole = ask(&[&bytes], Framing::Stream);
        let (front, back) = bytes.split_at(cut.min(bytes.len()));
        let parts = ask(&[front, back], Framing::Stream);
        // Only a pointer may be read in one piece and not in two.
        if !bytes.iter().any(|byte| *byte >= 0xc0) {
            prop_assert_eq!(whole, parts);
        }
    }

    #[test]
    fn any_name(labels in prop::collection::vec("[a-zA-Z0-9_-]{1,20}", 1..8), kind in any::<u8>()) {
        let name = labels.join(".");
        let asked = datagram(&message(&name, kind)).unwrap();
        prop_assert_eq!(asked, (name.to_ascii_lowercase(), u16::from(kind), name.len() as u32 + 18));
    }
}
