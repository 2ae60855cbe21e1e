//! Messages changed by what they mean: letters re-cased, questions added,
//! names said by pointers, counts and labels that lie.

use crate::mutate::bytes as change_bytes;
use crate::{Random, Target};

/// `example` and one more label; type and class follow.
const QUESTION: &[u8] = b"\x03www\x0bschool-test\x07example\0\0\x01\0\x01";
const HEADER: usize = 12;

/// Messages to begin with: a plain one, none, the root's, EDNS with padding,
/// two questions of which one is a pointer, a long name.
pub(crate) const SEEDS: [&[u8]; 6] = [
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x0bschool-test\x07example\0\0\x01\0\x01",
    b"\x12\x34\x01\0\0\0\0\0\0\0\0\0",
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\0\0\x02\0\x01",
    b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\x01\x07bLoCkEd\x07eXaMpLe\0\0\x41\0\x01\0\0\x29\x04\xd0\0\0\x80\0\0\x0c\0\x0c\0\x08\0\0\0\0\0\0\0\0",
    b"\x12\x34\x01\0\0\x02\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01\xc0\x0c\0\x1c\0\x01",
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x3faaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x3fbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\x3fccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc\x3ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\0\0\x01\0\x01",
];

/// Changes a message.
pub(crate) fn mutated(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut message = seed.to_vec();
    for _ in 0..=random.below(4) {
        match random.below(13) {
            0 | 1 => recase(&mut message, random),
            2 | 3 => question(&mut message, other, random),
            4 => pointer(&mut message, random),
            5 => count(&mut message, random),
            6 => label(&mut message, random),
            7 => option(&mut message, random),
            8 => double(&mut message),
            9 => flags(&mut message, random),
            _ => change_bytes(Target::Dns, &mut message, other, random),
        }
    }
    message.truncate(1500);
    message
}

/// Mixed case (the 0x20 trick) all over, labels' lengths being no letters.
fn recase(message: &mut [u8], random: &mut Random) {
    let mut bits = random.number();
    for byte in message.iter_mut().skip(HEADER) {
        if byte.is_ascii_alphabetic() {
            bits = bits.rotate_left(1);
            *byte = if bits & 1 == 0 {
                byte.to_ascii_lowercase()
            } else {
                byte.to_ascii_uppercase()
            };
        }
    }
}

fn questions(message: &mut [u8], change: impl FnOnce(u16) -> u16) {
    if let Some([high, low]) = message.get_mut(4..6) {
        [*high, *low] = change(u16::from_be_bytes([*high, *low])).to_be_bytes();
    }
}

/// Another question behind the last byte, counted or not.
fn question(message: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    match random.below(5) {
        // The first name again, whole or from its second label on.
        0 => message.extend([0xc0, HEADER as u8, 0, 28, 0, 1]),
        1 => {
            let label = usize::from(message.get(HEADER).copied().unwrap_or(0));
            let first = message.get(HEADER..HEADER + 1 + label).map(<[u8]>::to_vec);
            message.extend(first.unwrap_or_default());
            message.extend([0xc0, (HEADER + 1 + label) as u8, 0, 65, 0, 1]);
        }
        2 => message.extend_from_slice(QUESTION),
        3 => message.extend_from_slice(other.get(HEADER..).unwrap_or_default()),
        _ => {
            let same = message.get(HEADER..).unwrap_or_default().to_vec();
            message.extend(same);
        }
    }
    if random.below(8) != 0 {
        questions(message, |count| count.wrapping_add(1));
    }
}

fn pointer(message: &mut Vec<u8>, random: &mut Random) {
    let at = HEADER + random.below(message.len().saturating_sub(HEADER));
    let to = random.below(message.len().min(200)) as u8;
    let end = (at + 2 * random.below(2)).min(message.len());
    if at <= end {
        message.splice(at..end, [0xc0, to]);
    }
}

fn count(message: &mut [u8], random: &mut Random) {
    let at = 4 + 2 * random.below(4);
    let value = random.below(11) as u8;
    if let Some([high, low]) = message.get_mut(at..at + 2) {
        [*high, *low] = [u8::from(random.below(16) == 0), value];
    }
}

/// A label's length that lies, or another label in front.
fn label(message: &mut Vec<u8>, random: &mut Random) {
    if message.len() <= HEADER {
        return;
    }
    if random.below(2) == 0 {
        let len = random.below(64);
        let label = [&[len as u8][..], &vec![b'x'; len]].concat();
        message.splice(HEADER..HEADER, label);
    } else if let Some(byte) = message.get_mut(HEADER) {
        *byte = byte.wrapping_add(random.below(5) as u8).wrapping_sub(2);
    }
}

/// EDNS with padding (RFC 6891, RFC 7830).
fn option(message: &mut Vec<u8>, random: &mut Random) {
    let padding = random.below(200);
    message.extend([0, 0, 41, 4, 0, 0, 0, 0, 0]);
    message.extend((padding as u16 + 4).to_be_bytes());
    message.extend([0, 12]);
    message.extend((padding as u16).to_be_bytes());
    message.resize(message.len() + padding, 0);
}

/// An answer, another opcode (NOTIFY, UPDATE, DSO), other bits.
fn flags(message: &mut [u8], random: &mut Random) {
    if let Some(byte) = message.get_mut(2) {
        let opcode = [0, 1, 2, 4, 5, 6, 15][random.below(7)];
        *byte = opcode << 3 | u8::from(random.below(8) == 0) << 7 | 1;
    }
    if let Some(byte) = message.get_mut(3) {
        *byte = random.number() as u8;
    }
}

/// All questions twice.
fn double(message: &mut Vec<u8>) {
    let body = message.get(HEADER..).unwrap_or_default().to_vec();
    message.extend(body);
    questions(message, |count| count.wrapping_mul(2));
}
