//! Answers beside what aioquic seals for the same IDs, version and frames.

use std::boxed::Box;
use std::vec::Vec;

use super::*;
use crate::inspect::quic::{V1, header::V2, zeroed};

const DCID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
const LONG: [u8; 20] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
];

fn head(version: u32, dcid: &[u8], scid: &[u8]) -> Vec<u8> {
    let first = if version == V2 { 0xd0 } else { 0xc0 };
    let mut head = std::vec![first];
    head.extend(version.to_be_bytes());
    head.push(dcid.len() as u8);
    head.extend(dcid);
    head.push(scid.len() as u8);
    head.extend(scid);
    head
}

/// A working memory in which an earlier answer has left something.
fn refusal(head: &[u8]) -> (Box<Refusal>, Option<Kind>) {
    let mut refusal: Box<Refusal> = Box::new(zeroed());
    refusal.head = [0xa5; HEAD];
    refusal.packet = [0x5a; PACKET];
    refusal.ghash.input = [0x5a; ghash::INPUT];
    refusal.ghash.state = [1, 2];
    refusal.head[..head.len().min(HEAD)].copy_from_slice(&head[..head.len().min(HEAD)]);
    let kind = refusal.read(head.len().min(HEAD) as u32);
    (refusal, kind)
}

fn packet(refusal: &Refusal) -> Vec<u8> {
    let (packet, len) = refusal.packet();
    assert!(packet[len as usize..].iter().all(|byte| *byte == 0));
    packet[..len as usize].to_vec()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

/// Version, both IDs, the ID behind the keys where it is another, the packet.
type Close<'a> = (u32, &'a [u8], &'a [u8], Option<&'a [u8]>, &'a str);

#[test]
fn closes_as_sealed_by_aioquic() {
    let mut turned = LONG;
    turned.reverse();
    let cases: [Close<'_>; 4] = [
        (
            V1,
            &DCID,
            &[],
            None,
            "c00000000100088394c8f03e5157080032cf6aa8511aa3d3cbd3a585489d455ca17d828a\
             f2bddcca326968cffe928a48e80ab017b68f87565ec13b9f3180c4022642c6",
        ),
        (
            V2,
            &DCID,
            &LONG,
            None,
            "d36b3343cf140102030405060708090a0b0c0d0e0f1011121314088394c8f03e51570800\
             3248381650d38befda497985cedcc0c367ac65666aa3cc3ade5d0b9a9ba0c366e07d3467\
             4c2e93f74d12787678319c9e854881",
        ),
        // The server's own ID in the header, the keys of the first one.
        (
            V1,
            &LONG,
            &turned,
            Some(&DCID),
            "c0000000011414131211100f0e0d0c0b0a09080706050403020114010203040506070809\
             0a0b0c0d0e0f10111213140032cf6aa8511aa3d3cbd3a585489d455ca17d828af2bddcca\
             326968cffe928a48e80ab0686b5a60c0dd3eaa913d0547721d359f",
        ),
        (
            V1,
            &[],
            &[9],
            None,
            "c50000000101090000320839690c8253517606d60e52ca1670067678595c0d70bb9bb165\
             b7ad42c1f2be64cb45234df831d900c7b1b115b1cbcf9b77",
        ),
    ];
    for (version, dcid, scid, known, want) in cases {
        let (mut refusal, kind) = refusal(&head(version, dcid, scid));
        assert_eq!(kind, Some(Kind::Initial));
        let mut id = [0; CID_MAX];
        if let Some(known) = known {
            id[..known.len()].copy_from_slice(known);
            assert!(refusal.known(&id, known.len() as u32));
        } else {
            id[..dcid.len()].copy_from_slice(dcid);
            assert!(!refusal.known(&id, dcid.len() as u32));
        }
        refusal.close();
        assert_eq!(packet(&refusal), hex(want), "{version:#x} {dcid:?}");
        // A second answer from the same memory.
        refusal.close();
        assert_eq!(packet(&refusal), hex(want), "again");
    }
}

/// RFC 9000 §17.2.1.
#[test]
fn offers_one_version() {
    for (dcid, scid) in [(&DCID[..], &[][..]), (&[], &LONG), (&LONG, &DCID)] {
        let (mut refusal, kind) = refusal(&head(0xff00_001d, dcid, scid));
        assert_eq!(kind, Some(Kind::UnknownVersion));
        refusal.negotiate(V1);
        let mut want = std::vec![0xc0, 0, 0, 0, 0, scid.len() as u8];
        want.extend(scid);
        want.push(dcid.len() as u8);
        want.extend(dcid);
        want.extend([0, 0, 0, 1]);
        assert_eq!(packet(&refusal), want);
    }
}

#[test]
fn what_has_no_answer() {
    let whole = head(V1, &DCID, &LONG);
    assert_eq!(refusal(&whole).1, Some(Kind::Initial));
    // Cut short, IDs that are too long.
    for len in 0..whole.len() {
        assert_eq!(refusal(&whole[..len]).1, None, "{len}");
    }
    assert_eq!(refusal(&head(V1, &[7; 21], &DCID)).1, None);
    assert_eq!(refusal(&head(V1, &DCID, &[7; 21])).1, None);
    // A negotiation, handshakes, Retry, 1-RTT.
    assert_eq!(refusal(&head(0, &DCID, &LONG)).1, None);
    for first in [0xe0, 0xf0, 0x40] {
        let mut other = whole.clone();
        other[0] = first;
        assert_eq!(refusal(&other).1, None, "{first:#x}");
    }
    let mut early = whole;
    early[0] = 0xd0;
    assert_eq!(refusal(&early).1, Some(Kind::Early));
}
