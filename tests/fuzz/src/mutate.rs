//! Mutations: blind ones of bytes, and those that know what the bytes are.

use crate::{Random, Target};

const HTTP_WORDS: [&[u8]; 33] = [
    b"Host:",
    b"host: ",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"/",
    b"http://",
    b"@",
    b"[",
    b"]",
    b".",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"GET ",
    b"CONNECT ",
    b"POST ",
    b"\r\n\r\n",
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n",
    b"5",
    b"::1",
    b"blocked.example",
    b"\0",
    b"Host: allowed.example\r\n",
    b"GET / HTTP/1.1\r\n",
    b"*",
    b" :",
    b"\r\n ",
    b"3\r\nabc\r\n0\r\n\r\n",
];
const TLS_WORDS: [&[u8]; 14] = [
    &[22, 3, 1],
    &[20, 3, 3, 0, 1, 1],
    &[21, 3, 1, 0, 2, 1, 0],
    &[22, 3, 1, 0, 0],
    &[0, 0],
    &[1],
    &[0, 0, 0, 8, 0, 6, 0, 0, 3, b'a', b'.', b'b'],
    &[0, 0, 3, b'c', b'.', b'd'],
    &[1, 0, 1, b'x'],
    &[0xfe, 0x0d, 0, 2, 0, 0],
    b".",
    b"\0",
    b"::1",
    &[0xff, 0xff],
];

/// Frames, whole and half.
const QUIC_WORDS: [&[u8]; 10] = [
    &[0],
    &[1],
    &[6, 0, 1, 1],
    &[6, 0x44, 0, 2, 0xaa, 0xbb],
    &[6, 0x4f, 0xff, 1, 0],
    &[2, 0, 0, 0, 0],
    &[3, 0, 0, 0, 0, 1, 1, 1],
    &[0x1c, 0, 0, 0],
    &[0x40, 0],
    &[0xff; 8],
];
const DNS_WORDS: [&[u8]; 10] = [
    &[0],
    &[0xc0, 12],
    &[0xc0],
    &[1, b'A'],
    &[3, b'.', b' ', 0xc3],
    &[0, 1, 0, 1],
    &[0, 65, 0, 1],
    &[0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0],
    &[63],
    &[0x40],
];

/// Input `random` made of `seeds`; never longer than a few chunks.
#[must_use]
pub fn mutated(target: Target, seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let (seed, other) = (pick(seeds, random), pick(seeds, random));
    match target {
        Target::Quic => return crate::quic::mutated(seed, other, random),
        Target::Dns => return crate::dns::mutated(seed, other, random),
        Target::Tls | Target::Http => {}
    }
    let mut input = seed.to_vec();
    for _ in 0..=random.below(4) {
        match random.below(8) {
            0 if target == Target::Tls => input = recut(&input, random),
            1 if target == Target::Tls => first_hello(&mut input, random),
            _ => bytes(target, &mut input, other, random),
        }
    }
    input.truncate(12 * 1024);
    input
}

/// One change that knows no more than the protocol's words.
pub(crate) fn bytes(target: Target, input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    match random.below(7) {
        0 | 1 => word(target, input, random),
        2 => flip(input, random),
        3 => remove(input, random),
        4 => repeat(input, random),
        5 if !other.is_empty() => splice(input, other, random),
        _ => replace(input, random),
    }
}

fn pick<'a>(seeds: &'a [Vec<u8>], random: &mut Random) -> &'a [u8] {
    let at = random.below(seeds.len());
    seeds.get(at).map_or(&[], Vec::as_slice)
}

/// Changes the hello in a stream whose first record holds all of it; the
/// record's length follows.
fn first_hello(input: &mut Vec<u8>, random: &mut Random) {
    let Some((header, rest)) = input.split_first_chunk::<5>() else {
        return;
    };
    let len = usize::from(u16::from_be_bytes([header[3], header[4]])).min(rest.len());
    let mut message = rest.get(..len).unwrap_or_default().to_vec();
    hello(&mut message, random);
    let told = (message.len() as u16).to_be_bytes();
    input.splice(3..5 + len, told.into_iter().chain(message));
}

/// Changes a ClientHello by its structure: extensions in another order, one
/// of them twice, gone or emptied, all lengths still true; or one that lies.
pub(crate) fn hello(message: &mut Vec<u8>, random: &mut Random) {
    if random.below(4) == 0 {
        nudge_length(message, random);
        return;
    }
    let Some((start, mut extensions)) = extensions(message) else {
        return;
    };
    let at = random.below(extensions.len());
    let to = random.below(extensions.len());
    match random.below(6) {
        0 => {
            for i in (1..extensions.len()).rev() {
                extensions.swap(i, random.below(i + 1));
            }
        }
        1 => extensions.swap(at, to),
        2 => {
            let again = extensions[at].clone();
            extensions.insert(to, again);
        }
        3 => {
            extensions.remove(at);
        }
        // GREASE (RFC 8701) and padding in front.
        4 => {
            let len = random.below(600);
            let mut extension = vec![0x1a, 0x1a];
            extension.extend((len as u16).to_be_bytes());
            extension.resize(4 + len, 0x55);
            extensions.insert(to, extension);
        }
        _ => bytes(Target::Tls, &mut extensions[at], &[], random),
    }
    message.truncate(start);
    let body = extensions.concat();
    message.extend((body.len() as u16).to_be_bytes());
    message.extend(body);
    let told = (message.len() as u32).saturating_sub(4).to_be_bytes();
    if let Some(length) = message.get_mut(1..4) {
        length.copy_from_slice(&told[1..]);
    }
}

/// Where the extensions' length lies in a ClientHello (RFC 8446 §4.1.2), and
/// the extensions whole; `None` when there are none or they do not fit.
fn extensions(message: &[u8]) -> Option<(usize, Vec<Vec<u8>>)> {
    let be16 = |at: usize| {
        let bytes = message.get(at..at + 2)?;
        Some(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
    };
    let mut at = 4 + 2 + 32;
    at += 1 + usize::from(*message.get(at)?);
    at += 2 + be16(at)?;
    at += 1 + usize::from(*message.get(at)?);
    let start = at;
    let end = at + 2 + be16(at)?;
    at += 2;
    let mut extensions = Vec::new();
    while at < end {
        let next = at + 4 + be16(at + 2)?;
        extensions.push(message.get(at..next.min(end))?.to_vec());
        at = next;
    }
    (!extensions.is_empty()).then_some((start, extensions))
}

/// A place, more often near the front, where the lengths are.
fn place(len: usize, random: &mut Random) -> usize {
    let end = if random.below(3) == 0 {
        len
    } else {
        len.min(160)
    };
    random.below(end)
}

pub(crate) fn flip(input: &mut [u8], random: &mut Random) {
    let at = place(input.len(), random);
    if let Some(byte) = input.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

fn replace(input: &mut [u8], random: &mut Random) {
    let at = place(input.len(), random);
    if let Some(byte) = input.get_mut(at) {
        *byte = random.number() as u8;
    }
}

fn word(target: Target, input: &mut Vec<u8>, random: &mut Random) {
    let words: &[&[u8]] = match target {
        Target::Tls => &TLS_WORDS,
        Target::Http => &HTTP_WORDS,
        Target::Quic => &QUIC_WORDS,
        Target::Dns => &DNS_WORDS,
    };
    let at = place(input.len() + 1, random);
    let over = random.below(2) * random.below(4);
    let end = (at + over).min(input.len());
    if let Some(word) = random.pick(words) {
        input.splice(at..end, word.iter().copied());
    }
}

fn remove(input: &mut Vec<u8>, random: &mut Random) {
    let at = place(input.len(), random);
    let end = (at + 1 + random.below(16)).min(input.len());
    input.drain(at..end);
}

fn repeat(input: &mut Vec<u8>, random: &mut Random) {
    let at = place(input.len(), random);
    let end = (at + 1 + random.below(64)).min(input.len());
    let part = input.get(at..end).unwrap_or_default().to_vec();
    input.splice(at..at, part);
}

fn splice(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let keep = place(input.len() + 1, random);
    let from = random.below(other.len());
    input.truncate(keep);
    input.extend_from_slice(other.get(from..).unwrap_or_default());
}

/// Moves a two-byte number a little, as a lie in a length field does.
fn nudge_length(input: &mut [u8], random: &mut Random) {
    let at = place(input.len(), random);
    if let Some([high, low]) = input.get_mut(at..at + 2) {
        let delta = (random.below(9) as u16).wrapping_sub(4);
        let value = u16::from_be_bytes([*high, *low]).wrapping_add(delta);
        [*high, *low] = value.to_be_bytes();
    }
}

/// Puts the first record's content into records of other sizes.
fn recut(input: &[u8], random: &mut Random) -> Vec<u8> {
    let Some((header, rest)) = input.split_first_chunk::<5>() else {
        return input.to_vec();
    };
    let len = usize::from(u16::from_be_bytes([header[3], header[4]])).min(rest.len());
    let (content, behind) = rest.split_at(len);
    let most = 1 + random.below(content.len().max(1));
    let mut output = Vec::new();
    let mut left = content;
    while !left.is_empty() {
        let (fragment, other) = left.split_at((1 + random.below(most)).min(left.len()));
        output.extend_from_slice(&header[..3]);
        output.extend_from_slice(&(fragment.len() as u16).to_be_bytes());
        output.extend_from_slice(fragment);
        left = other;
    }
    output.extend_from_slice(behind);
    output
}
