//! Frames of any link type as Ethernet frames, which is what the program
//! reads.

use super::capture::Record;

/// LINKTYPE_ numbers that are understood.
mod link_type {
    pub(super) const NULL: u32 = 0;
    pub(super) const ETHERNET: u32 = 1;
    pub(super) const RAW_BSD: u32 = 12;
    pub(super) const RAW_OPENBSD: u32 = 14;
    pub(super) const RAW: u32 = 101;
    pub(super) const LOOP: u32 = 108;
    pub(super) const LINUX_SLL: u32 = 113;
    pub(super) const IPV4: u32 = 228;
    pub(super) const IPV6: u32 = 229;
    pub(super) const LINUX_SLL2: u32 = 276;
}

const ETH_IPV4: u16 = 0x0800;
const ETH_IPV6: u16 = 0x86dd;
/// Locally administered addresses for frames that had none.
const CLIENT: [u8; 6] = [2, 0, 0, 0, 0, 1];
const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const BROADCAST: [u8; 6] = [0xff; 6];
const MULTICAST: [u8; 6] = [1, 0, 0x5e, 0, 0, 1];

/// Longest frame the kernel's test run takes: a page less its head room and
/// tail, and seventeen pages of fragments.
pub(crate) const MAX_LEN: usize = 65_536 + 64;

/// Writes the frame as Ethernet into `frame`; false for a link type that
/// carries no IP in a way known here. What the recorder cut off comes back
/// as zeros, so that lengths are those of the real frame.
pub(crate) fn write(record: &Record, frame: &mut Vec<u8>) -> bool {
    frame.clear();
    let data = record.data.as_slice();
    let written = match record.link_type {
        link_type::ETHERNET => {
            frame.extend_from_slice(data);
            true
        }
        link_type::RAW | link_type::RAW_BSD | link_type::RAW_OPENBSD => {
            let ethertype = match data.first().map(|byte| byte >> 4) {
                Some(6) => ETH_IPV6,
                _ => ETH_IPV4,
            };
            header(frame, ROUTER, ethertype, data)
        }
        link_type::IPV4 => header(frame, ROUTER, ETH_IPV4, data),
        link_type::IPV6 => header(frame, ROUTER, ETH_IPV6, data),
        link_type::NULL | link_type::LOOP => loopback(frame, data),
        link_type::LINUX_SLL => cooked(frame, data),
        link_type::LINUX_SLL2 => cooked2(frame, data),
        _ => false,
    };
    if written {
        let cut = (record.original_len as usize).saturating_sub(data.len());
        let len = (frame.len() + cut).min(MAX_LEN);
        frame.resize(len, 0);
    }
    written
}

fn header(frame: &mut Vec<u8>, to: [u8; 6], ethertype: u16, payload: &[u8]) -> bool {
    frame.extend(to);
    frame.extend(CLIENT);
    frame.extend(ethertype.to_be_bytes());
    frame.extend_from_slice(payload);
    true
}

/// BSD loopback: the address family in the recorder's byte order, or (LOOP)
/// in network order; the small numbers in use tell which.
fn loopback(frame: &mut Vec<u8>, data: &[u8]) -> bool {
    let Some((family, payload)) = data.split_first_chunk() else {
        return true;
    };
    let family = u32::from_le_bytes(*family).min(u32::from_be_bytes(*family));
    let ethertype = match family {
        2 => ETH_IPV4,
        // NetBSD and OpenBSD, FreeBSD, macOS, Linux.
        24 | 28 | 30 | 10 => ETH_IPV6,
        _ => return false,
    };
    header(frame, ROUTER, ethertype, payload)
}

/// LINKTYPE_LINUX_SLL: 16 bytes, the packet type first, the protocol last.
fn cooked(frame: &mut Vec<u8>, data: &[u8]) -> bool {
    let Some(([_, kind, .., p, q], payload)) = data.split_first_chunk::<16>() else {
        return true;
    };
    header(
        frame,
        destination(*kind),
        ethertype(*p, *q, payload),
        payload,
    )
}

/// LINKTYPE_LINUX_SLL2: 20 bytes, the protocol first, the packet type at 10.
fn cooked2(frame: &mut Vec<u8>, data: &[u8]) -> bool {
    let Some(([p, q, _, _, _, _, _, _, _, _, kind, ..], payload)) = data.split_first_chunk::<20>()
    else {
        return true;
    };
    header(
        frame,
        destination(*kind),
        ethertype(*p, *q, payload),
        payload,
    )
}

/// Numbers below 1536 are no Ethernet types: 802.2 frames, which have a
/// length there.
fn ethertype(p: u8, q: u8, payload: &[u8]) -> u16 {
    let protocol = u16::from_be_bytes([p, q]);
    if protocol < 1536 {
        payload.len().min(1500) as u16
    } else {
        protocol
    }
}

fn destination(packet_type: u8) -> [u8; 6] {
    match packet_type {
        1 => BROADCAST,
        2 => MULTICAST,
        _ => ROUTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(link_type: u32, data: &[u8], original_len: u32) -> Option<Vec<u8>> {
        let record = Record {
            link_type,
            original_len,
            data: data.to_vec(),
            ..Record::default()
        };
        let mut frame = vec![9; 9];
        write(&record, &mut frame).then_some(frame)
    }

    #[test]
    fn every_link_type_ends_as_the_same_ip_packet() {
        let v4 = [0x45, 1, 2, 3];
        let v6 = [0x60, 1, 2, 3];
        let wrap = |head: &[u8], payload: &[u8]| [head, payload].concat();
        let sll = |kind: u8, p: [u8; 2]| {
            [&[0, kind, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0], p.as_slice()].concat()
        };
        let sll2 = |kind: u8, p: [u8; 2]| {
            let mut head = [0; 20];
            head[..2].copy_from_slice(&p);
            head[10] = kind;
            head.to_vec()
        };
        let cases: Vec<(u32, Vec<u8>, u16, &[u8])> = vec![
            (101, v4.to_vec(), 0x0800, &v4),
            (12, v6.to_vec(), 0x86dd, &v6),
            (14, v4.to_vec(), 0x0800, &v4),
            (228, v4.to_vec(), 0x0800, &v4),
            (229, v6.to_vec(), 0x86dd, &v6),
            (0, wrap(&[2, 0, 0, 0], &v4), 0x0800, &v4),
            (0, wrap(&[0, 0, 0, 30], &v6), 0x86dd, &v6),
            (108, wrap(&[0, 0, 0, 2], &v4), 0x0800, &v4),
            (113, wrap(&sll(0, [8, 0]), &v4), 0x0800, &v4),
            (113, wrap(&sll(4, [0x86, 0xdd]), &v6), 0x86dd, &v6),
            (276, wrap(&sll2(0, [8, 0]), &v4), 0x0800, &v4),
        ];
        for (link_type, data, ethertype, payload) in cases {
            let frame = frame(link_type, &data, data.len() as u32).unwrap();
            assert_eq!(frame[12..14], ethertype.to_be_bytes(), "link {link_type}");
            assert_eq!(&frame[14..], payload, "link {link_type}");
        }
        assert!(frame(105, &v4, 4).is_none(), "802.11 is not understood");
        let broadcast = frame(113, &wrap(&sll(1, [8, 0]), &v4), 20).unwrap();
        assert_eq!(broadcast[..6], BROADCAST);
    }

    #[test]
    fn what_was_cut_off_comes_back_as_zeros() {
        let cut = frame(1, &[7; 20], 60).unwrap();
        assert_eq!(cut.len(), 60);
        assert_eq!(cut[20..], [0; 40]);
        assert!(frame(1, &[7; 20], u32::MAX).unwrap().len() <= MAX_LEN);
        assert!(frame(101, &[], 0).unwrap().len() == 14);
        assert!(frame(113, &[1, 2], 2).unwrap().is_empty());
    }
}
