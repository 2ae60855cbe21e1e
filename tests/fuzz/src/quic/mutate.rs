//! Recipes changed by what they mean: where the hello is cut, in which order
//! and packet its pieces go, what stands between them, whose keys protect
//! them.

use super::model::Stream;
use super::recipe::{Flags, Packet, read, write};
use crate::mutate::{bytes as change_bytes, hello as change_hello};
use crate::{Random, Target};

/// The recipe of datagrams as they were captured.
pub(crate) fn raw(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let packets: Vec<Packet> = datagrams
        .iter()
        .map(|datagram| Packet {
            flags: Flags::RAW,
            payload: datagram.clone(),
            ..Packet::default()
        })
        .collect();
    write(&packets)
}

/// The recipe of a ClientHello in padded packets of 1,100 bytes of it.
pub(crate) fn of_hello(hello: &[u8], version2: bool) -> Vec<u8> {
    let packets: Vec<Packet> = hello
        .chunks(1100)
        .enumerate()
        .map(|(i, data)| {
            let mut payload = Vec::new();
            crypto(&mut payload, i * 1100, data);
            Packet {
                flags: Flags::PADDED | if version2 { Flags::V2 } else { 0 },
                places: 0x10,
                number: i as u8,
                payload,
                ..Packet::default()
            }
        })
        .collect();
    write(&packets)
}

/// Changes a recipe.
pub(crate) fn mutated(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut packets = read(seed);
    for _ in 0..=random.below(2) {
        match random.below(10) {
            0..=4 => recut(&mut packets, random),
            5 | 6 => shuffle(&mut packets, random),
            7 => header(&mut packets, random),
            8 => plaintext(&mut packets, random),
            _ => {
                let mut input = write(&packets);
                change_bytes(Target::Quic, &mut input, other, random);
                packets = read(&input);
            }
        }
    }
    write(&packets)
}

/// Takes the hello out, sometimes changes it, and cuts it anew.
fn recut(packets: &mut Vec<Packet>, random: &mut Random) {
    let mut hello = Stream::of(packets).front();
    if hello.is_empty() {
        return;
    }
    if random.below(4) == 0 {
        change_hello(&mut hello, random);
    }
    let first = packets.first().map_or((Flags::PADDED, 0), |packet| {
        (
            packet.flags
                & (Flags::V2 | Flags::OTHER_SALT | Flags::PADDED | Flags::TOKEN | Flags::LONG),
            packet.places,
        )
    });
    let pieces = pieces(&hello, random);
    let count = 1 + random.below(4);
    let mut payloads = vec![Vec::new(); count.max(hello.len().div_ceil(1400))];
    let in_turn = random.below(2) == 0;
    let each = pieces.len().div_ceil(payloads.len()).max(1);
    for (i, (offset, data)) in pieces.iter().enumerate() {
        let at = if in_turn {
            i / each
        } else {
            random.below(payloads.len())
        };
        if let Some(payload) = payloads.get_mut(at) {
            between(payload, random);
            crypto(payload, *offset, data);
        }
    }
    *packets = payloads
        .into_iter()
        .enumerate()
        .map(|(i, payload)| Packet {
            flags: first.0,
            places: first.1,
            number: i as u8,
            payload,
            patch: (0, 0),
        })
        .collect();
    if random.below(2) == 0 {
        shuffle(packets, random);
    }
}

/// The hello in pieces: tiny, overlapping, said twice, out of order.
fn pieces(hello: &[u8], random: &mut Random) -> Vec<(usize, Vec<u8>)> {
    let most = match random.below(4) {
        0 => 1 + random.below(16),
        1 => 1 + random.below(200),
        _ => 1 + random.below(hello.len()),
    };
    // No more than a packet may hold.
    let most = most.max(hello.len() / 150);
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < hello.len() {
        let len = 1 + random.below(most);
        let overlap = if random.below(8) == 0 {
            random.below(40)
        } else {
            0
        };
        let from = at.saturating_sub(overlap);
        let data = hello.get(from..(at + len).min(hello.len()));
        pieces.push((from, data.unwrap_or_default().to_vec()));
        at += len;
    }
    if random.below(2) == 0 {
        for i in (1..pieces.len()).rev() {
            pieces.swap(i, random.below(i + 1));
        }
    }
    if random.below(8) == 0 {
        let again = pieces.get(random.below(pieces.len())).cloned();
        pieces.extend(again);
    }
    if random.below(12) == 0 {
        let at = random.below(pieces.len());
        if let Some((_, data)) = pieces.get_mut(at) {
            crate::mutate::flip(data, random);
        }
    }
    if random.below(12) == 0 {
        let at = random.below(pieces.len());
        if at < pieces.len() {
            pieces.remove(at);
        }
    }
    pieces
}

/// What may stand before a frame.
fn between(payload: &mut Vec<u8>, random: &mut Random) {
    const FRAMES: [&[u8]; 9] = [
        &[],
        &[],
        &[1],
        &[0; 3],
        &[0; 17],
        // ACK with a range, ACK with ECN counts.
        &[2, 5, 0, 1, 0, 0, 0],
        &[3, 0x40, 9, 0, 0, 0, 1, 2, 3],
        // An empty CRYPTO frame.
        &[6, 0, 0],
        &[0x1c, 0, 0, 2, b'b', b'y'],
    ];
    let frame = match random.below(400) {
        // What no Initial holds: STREAM.
        0 => Some(&[8, 0, 0][..]),
        1..=80 => random.pick(&FRAMES),
        _ => None,
    };
    payload.extend_from_slice(frame.unwrap_or_default());
}

/// Another order, a packet twice, none, in one datagram with the one before.
fn shuffle(packets: &mut Vec<Packet>, random: &mut Random) {
    let at = random.below(packets.len());
    let to = random.below(packets.len());
    if at >= packets.len() {
        return;
    }
    match random.below(8) {
        0 => {
            let again = packets.get(at).cloned();
            packets.extend(again);
        }
        1 => {
            packets.remove(at);
        }
        2 => {
            if let Some(packet) = packets.get_mut(at) {
                packet.flags ^= Flags::COALESCED;
            }
        }
        3 => packets.insert(
            at,
            Packet {
                flags: Flags::RAW | (Flags::COALESCED * random.below(2) as u8),
                payload: other_packet(random),
                ..Packet::default()
            },
        ),
        _ => packets.swap(at, to),
    }
}

/// What is no Initial: junk, 0-RTT, Handshake or Retry of both versions, a
/// version nobody knows or one to be greased, and a short header.
fn other_packet(random: &mut Random) -> Vec<u8> {
    const KINDS: [[u8; 5]; 7] = [
        [0xd0, 0, 0, 0, 1],
        [0xe0, 0, 0, 0, 1],
        [0xf0, 0, 0, 0, 1],
        [0xe0, 0x6b, 0x33, 0x43, 0xcf],
        [0xc0, 0x6b, 0x33, 0x43, 0xcf],
        [0xc0, 0, 0, 0, 9],
        [0xca, 0x1a, 0x2a, 0x3a, 0x4a],
    ];
    let mut packet: Vec<u8> = (0..random.below(60))
        .map(|_| random.number() as u8)
        .collect();
    let kind = random.below(KINDS.len() + 2);
    if let Some(kind) = KINDS.get(kind) {
        let connection = [8, 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08, 0, 30];
        packet.splice(0..0, kind.iter().copied().chain(connection));
    } else if let Some(first) = packet.first_mut() {
        *first = 0x40 | *first & 0x3f;
    }
    packet
}

/// How a packet is protected and addressed.
fn header(packets: &mut [Packet], random: &mut Random) {
    let choice = random.below(9);
    let (version, places) = (random.below(2) as u8, random.number() as u8);
    if choice < 3 {
        // All of them, as one client does it.
        for packet in &mut *packets {
            packet.flags = packet.flags & !Flags::V2 | version;
            packet.places = places & 0x33;
        }
        return;
    }
    let at = random.below(packets.len());
    let Some(packet) = packets.get_mut(at) else {
        return;
    };
    match choice {
        3 => packet.flags ^= Flags::V2,
        4 => packet.flags ^= Flags::OTHER_SALT,
        5 => packet.places = places,
        6 => packet.number = places,
        7 => {
            let flags = [Flags::PADDED, Flags::TOKEN, Flags::LONG];
            packet.flags ^= flags[random.below(flags.len())];
        }
        _ => {
            packet.flags |= Flags::PATCHED;
            // The header's bytes, more often than not.
            let at = if version == 0 { 40 } else { 1300 };
            packet.patch = (random.below(at) as u16, 1 << random.below(8));
        }
    }
}

/// Bytes of a plaintext.
fn plaintext(packets: &mut [Packet], random: &mut Random) {
    let at = random.below(packets.len());
    if let Some(packet) = packets.get_mut(at) {
        change_bytes(Target::Quic, &mut packet.payload, &[], random);
    }
}

fn crypto(to: &mut Vec<u8>, offset: usize, data: &[u8]) {
    to.push(6);
    varint(to, offset);
    varint(to, data.len());
    to.extend_from_slice(data);
}

fn varint(to: &mut Vec<u8>, value: usize) {
    if value < 64 {
        to.push(value as u8);
    } else {
        to.extend((value as u16 | 0x4000).to_be_bytes());
    }
}
