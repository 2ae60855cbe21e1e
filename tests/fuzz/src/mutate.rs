//! Mutations: blind ones of bytes, and those that know what the bytes are.

use crate::{Random, Target};

const HTTP_WORDS: [&[u8]; 30] = [
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

/// Input `random` made of `seeds`; never longer than a few chunks.
#[must_use]
pub fn mutated(target: Target, seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = pick(seeds, random).to_vec();
    for _ in 0..=random.below(4) {
        match random.below(8) {
            0 if target == Target::Tls => input = recut(&input, random),
            1 if target == Target::Tls => nudge_length(&mut input, random),
            0..=2 => word(target, &mut input, random),
            3 => flip(&mut input, random),
            4 => remove(&mut input, random),
            5 => repeat(&mut input, random),
            6 => splice(&mut input, pick(seeds, random), random),
            _ => replace(&mut input, random),
        }
    }
    input.truncate(12 * 1024);
    input
}

fn pick<'a>(seeds: &'a [Vec<u8>], random: &mut Random) -> &'a [u8] {
    let at = random.below(seeds.len());
    seeds.get(at).map_or(&[], Vec::as_slice)
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

fn flip(input: &mut [u8], random: &mut Random) {
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
