//! Any datagrams, in any order: no panic, and the bounds hold.

use proptest::prelude::*;

use super::*;

const DCID: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];

/// A naive reading of the same datagrams' frames: the hello is complete with
/// the frame that fills its last gap, and a conflict is a byte said twice.
fn model(frames: &[(usize, Vec<u8>)]) -> Result<Option<Vec<u8>>, ()> {
    let mut bytes: [Option<u8>; CHUNK] = [None; CHUNK];
    for (offset, data) in frames {
        for (i, byte) in data.iter().enumerate() {
            match bytes[offset + i] {
                Some(there) if there != *byte => return Err(()),
                _ => bytes[offset + i] = Some(*byte),
            }
        }
    }
    let there: Vec<u8> = bytes.iter().map_while(|byte| *byte).collect();
    let total = match there.get(..4) {
        Some(header) => 4 + usize::from(u16::from_be_bytes([header[2], header[3]])),
        None => return Ok(None),
    };
    Ok(there.get(..total).map(<[u8]>::to_vec))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes(datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4)) {
        let mut connection = Connection::new();
        for mut datagram in datagrams {
            let _ = connection.datagram(&datagram);
            if datagram.len() > 5 {
                datagram[0] |= 0xc0;
                datagram[1..5].copy_from_slice(&V1.to_be_bytes());
                let _ = connection.datagram(&datagram);
            }
        }
    }

    #[test]
    fn flipped_bytes(flips in prop::collection::vec((0_usize..1200, any::<u8>()), 1..8)) {
        let hello = client_hello("blocked.example", 200);
        let mut packet = Packet::v1(DCID).padded(&crypto(0, &hello));
        for (at, value) in flips {
            let len = packet.len();
            packet[at % len] = value;
        }
        let mut connection = Connection::new();
        let _ = connection.datagram(&packet);
        let _ = connection.datagram(&packet);
    }

    #[test]
    fn frames_as_the_model_reads_them(
        pieces in prop::collection::vec((0_usize..300, 1_usize..120, 0_u32..60), 1..14)
    ) {
        let hello = client_hello("blocked.example", 150);
        let mut connection = Connection::new();
        let mut said = Vec::new();
        for (number, (at, len, flaw)) in pieces.into_iter().enumerate() {
            let at = at.min(hello.len() - 1);
            let mut data = hello[at..(at + len).min(hello.len())].to_vec();
            if flaw == 0 {
                data[0] ^= 0x80;
            }
            let packet = Packet::v1(DCID).number(number as u64);
            let outcome = connection.datagram(&packet.padded(&crypto(at, &data)));
            said.push((at, data));
            match model(&said) {
                Err(()) => prop_assert_eq!(outcome, Outcome::Failed(Reason::Conflict)),
                Ok(Some(whole)) if whole[0] == 1 => {
                    prop_assert!(matches!(outcome, Outcome::Complete | Outcome::Settled));
                    prop_assert_eq!(&connection.hello.buffer.bytes[..whole.len()], &whole[..]);
                }
                Ok(_) => prop_assert!(
                    matches!(outcome, Outcome::Pending | Outcome::Failed(_)),
                    "{:?}", outcome
                ),
            }
            if matches!(outcome, Outcome::Failed(_)) {
                break;
            }
        }
    }
}
