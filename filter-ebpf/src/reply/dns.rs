//! Answers to DNS queries, in the resolver's name (RFC 1035 §4.1).
//!
//! The question and the ID go back as they came, with the case of its letters
//! (0x20), so that the client takes the answer for its own. Names are never
//! compressed further than by one pointer to the question.

use super::{BUFFER, Meta, MetaFlags, ip, put16, transport_sum};
use crate::{
    abi::SafeAddress,
    bpf::opaque,
    inspect::{
        Chunk,
        dns::{Query, qtype},
    },
};

/// What a query is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The name does not exist.
    NxDomain,
    /// The name exists, but has no such record (RFC 2308 §2.2).
    Empty,
    /// An A record with the safe address.
    V4,
    /// An AAAA record with it.
    V6,
}

/// Bytes of header and questions that are answered: a name of 255 bytes.
const QUESTION_MAX: u32 = 272;
/// An AAAA record behind a pointer, and an OPT record with an error code.
const RECORD_MAX: u32 = 28;
const OPT: u32 = 17;
/// Room for the message; a multiple of four.
const MESSAGE_MAX: u32 = QUESTION_MAX + RECORD_MAX + OPT + 3;
const UDP_HEADER: u32 = 8;
/// Seconds that a forged address is kept: a lesson may end any minute.
const TTL: u32 = 30;
/// What we take over UDP (RFC 9715 §3.1's 1400 less headers, as resolvers
/// commonly say).
const UDP_SIZE: u16 = 1232;

/// Writes IP, UDP and DNS headers and the answer to `message`, from the
/// server to the client; the whole length. `None` where the questions are too
/// long to be answered.
///
/// A negative answer carries no SOA record, so nobody caches it (RFC 2308
/// §5). A query with EDNS gets EDNS back, with the reason as an extended
/// error (RFC 8914).
#[inline(always)]
pub fn answer(
    meta: &Meta,
    message: &Chunk<'_>,
    query: &Query,
    answer: Answer,
    safe: &SafeAddress,
    out: &mut [u8; BUFFER],
    sum: impl Fn(&[u8], u32, u32) -> u32,
) -> Option<u32> {
    let l4 = if meta.flags & MetaFlags::IPV6 != 0 {
        40
    } else {
        20
    };
    let start = l4 + UDP_HEADER as usize;
    if query.len < 12 || query.len > QUESTION_MAX || query.len > message.len() {
        return None;
    }
    // Without a branch, of which the verifier would follow each pair.
    let mut i = 0;
    while i < MESSAGE_MAX as usize {
        let inside = opaque((i as u64).wrapping_sub(u64::from(query.len))) >> 63;
        out[start + i] = message.byte(i as u32) as u8 & (inside * 0xff) as u8;
        i += 1;
    }
    let edns = has_edns(message, query.len);
    let (records, code, error) = match answer {
        // Blocked, Filtered, Forged Answer (RFC 8914 §4.16, §4.18, §4.5).
        Answer::NxDomain => (0, 3, 15),
        Answer::Empty => (0, 0, 17),
        Answer::V4 | Answer::V6 => (1, 0, 4),
    };
    // QR; opcode and RD as asked.
    out[start + 2] = out[start + 2] & 0x79 | 0x80;
    // RA; CD as asked.
    out[start + 3] = out[start + 3] & 0x10 | 0x80 | code;
    put16(out, start + 6, records);
    put16(out, start + 8, 0);
    put16(out, start + 10, u16::from(edns));

    let mut end = Writer {
        out,
        at: start as u32 + query.len,
    };
    match answer {
        Answer::NxDomain | Answer::Empty => {}
        Answer::V4 => {
            end.record(qtype::A, 4);
            end.bytes(&safe.v4);
        }
        Answer::V6 => {
            end.record(qtype::AAAA, 16);
            end.bytes(&safe.v6);
        }
    }
    if edns {
        end.bytes(&[0]);
        end.number(qtype::OPT);
        end.number(UDP_SIZE);
        end.bytes(&[0; 4]);
        end.bytes(&[0, 6, 0, 15, 0, 2]);
        end.number(error);
    }
    let message_len = end.at.wrapping_sub(start as u32);

    put16(out, l4, meta.key.server_port);
    put16(out, l4 + 2, meta.key.client_port);
    let len = UDP_HEADER + message_len;
    put16(out, l4 + 4, len as u16);
    put16(out, l4 + 6, 0);
    ip(meta, 17, len, out, &sum);
    // What lies past the message is zero.
    let checksum = transport_sum(meta, 17, len, UDP_HEADER + MESSAGE_MAX, out, &sum);
    // Zero would say "none" (RFC 768).
    put16(out, l4 + 6, if checksum == 0 { 0xffff } else { checksum });
    Some(l4 as u32 + len)
}

/// Whether an OPT record follows the questions at once, as every client
/// writes it (RFC 6891 §6.1.1).
#[inline(always)]
fn has_edns(message: &Chunk<'_>, at: u32) -> bool {
    let byte = |index| message.get(index).unwrap_or(0xff);
    byte(at) == 0 && byte(at + 1) == 0 && byte(at + 2) == qtype::OPT as u8
}

/// Appends behind a place that only the packet tells.
struct Writer<'a> {
    out: &'a mut [u8; BUFFER],
    at: u32,
}

impl Writer<'_> {
    #[inline(always)]
    fn bytes<const N: usize>(&mut self, bytes: &[u8; N]) {
        let mut i = 0;
        while i < N {
            let at = opaque(u64::from(self.at)) as usize & (BUFFER - 1);
            self.out[at] = bytes[i];
            self.at = self.at.wrapping_add(1);
            i += 1;
        }
    }

    #[inline(always)]
    fn number(&mut self, number: u16) {
        self.bytes(&number.to_be_bytes());
    }

    /// A record's head: the name by a pointer to the question, type, class
    /// IN, time to live, length.
    #[inline(always)]
    fn record(&mut self, kind: u16, len: u16) {
        self.bytes(&[0xc0, 12]);
        self.number(kind);
        self.number(1);
        self.bytes(&TTL.to_be_bytes());
        self.number(len);
    }
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::vec::Vec;

    use super::*;
    use crate::abi::{Hello, Pod as _};
    use crate::inspect::{CHUNK_ROOM, Progress, dns};

    /// One's complement sum of 16-bit words as they lie in memory.
    fn sum(bytes: &[u8], len: u32, seed: u32) -> u32 {
        let mut sum = u64::from(seed & 0xffff) + u64::from(seed >> 16);
        for pair in bytes[..len as usize].chunks(2) {
            let last = pair.get(1).copied().unwrap_or(0);
            sum += u64::from(u16::from_ne_bytes([pair[0], last]));
        }
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u32
    }

    fn meta(ipv6: bool) -> Meta {
        let mut meta = Meta {
            flags: if ipv6 { MetaFlags::IPV6 } else { 0 },
            ..Meta::default()
        };
        meta.key.client = [1; 16];
        meta.key.server = [2; 16];
        meta.key.client_port = 40_000;
        meta.key.server_port = 53;
        meta
    }

    const EDNS: [u8; 11] = [0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0];

    fn question(name: &str, kind: u16, edns: bool) -> Vec<u8> {
        let mut message = std::vec![0xbe, 0xef, 1, 0x10, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
        for label in name.split('.') {
            message.push(label.len() as u8);
            message.extend(label.as_bytes());
        }
        message.push(0);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        if edns {
            message.extend(EDNS);
        }
        message
    }

    /// The reply from its IP header on.
    fn reply(question: &[u8], what: Answer, ipv6: bool) -> Option<Vec<u8>> {
        let mut bytes = Box::new([0xa5; CHUNK_ROOM]);
        bytes[..question.len()].copy_from_slice(question);
        let chunk = Chunk::new(&bytes, question.len() as u32);
        let mut hello = Hello::from_bytes(&[0; size_of::<Hello>()]).unwrap();
        let progress = dns::feed(&mut hello, &chunk, dns::Framing::Datagram);
        assert!(matches!(progress, Progress::Done(_)), "{progress:?}");
        let query = dns::query(&mut hello);
        let mut out = Box::new([0x5a; BUFFER]);
        let safe = SafeAddress {
            v4: [192, 0, 2, 7],
            families: 3,
            v6: [7; 16],
        };
        let len = answer(&meta(ipv6), &chunk, &query, what, &safe, &mut out, sum)?;
        Some(out[..len as usize].to_vec())
    }

    /// Checks headers and checksums, and that the message is exactly this.
    fn check(name: &str, kind: u16, what: Answer, code: u8, record: &[u8], error: u8) {
        for (ipv6, edns) in [(false, false), (false, true), (true, false), (true, true)] {
            let asked = question(name, kind, edns);
            let packet = reply(&asked, what, ipv6).unwrap();
            let len = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
            let (l4, addresses) = if ipv6 {
                assert_eq!(len(4) + 40, packet.len());
                (40, &packet[8..40])
            } else {
                assert_eq!(sum(&packet, 20, 0), 0xffff, "IP header");
                assert_eq!(len(2), packet.len());
                (20, &packet[12..20])
            };
            let udp = &packet[l4..];
            assert_eq!(udp[..4], [0, 53, 0x9c, 0x40]);
            assert_eq!(len(l4 + 4), udp.len());
            let seed = (17 + udp.len() as u32).to_be();
            let seed = sum(addresses, addresses.len() as u32, seed);
            assert_eq!(sum(udp, udp.len() as u32, seed), 0xffff, "UDP");

            // ID, RD, CD and the question's letters as they came.
            let records = u8::from(!record.is_empty());
            let mut want = std::vec![0xbe, 0xef, 0x81, 0x90 | code, 0, 1, 0, records];
            want.extend([0, 0, 0, u8::from(edns)]);
            want.extend(&asked[12..asked.len() - if edns { EDNS.len() } else { 0 }]);
            want.extend(record);
            if edns {
                want.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 6, 0, 15, 0, 2, 0, error]);
            }
            assert_eq!(udp[8..], want);
        }
    }

    #[test]
    fn denied_name() {
        check("wWw.BLOCKED.example", 1, Answer::NxDomain, 3, &[], 15);
    }

    #[test]
    fn d03_https_is_empty() {
        check("www.example", qtype::HTTPS, Answer::Empty, 0, &[], 17);
    }

    #[test]
    fn safe_addresses() {
        let mut record = std::vec![0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4];
        record.extend([192, 0, 2, 7]);
        check("www.Example", 1, Answer::V4, 0, &record, 4);
        let mut record = std::vec![0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 30, 0, 16];
        record.extend([7; 16]);
        check("www.Example", 28, Answer::V6, 0, &record, 4);
    }

    #[test]
    fn the_longest_name_is_answered() {
        let label = "x".repeat(63);
        let name = std::format!("{label}.{label}.{label}.{}", "y".repeat(61));
        check(&name, 28, Answer::NxDomain, 3, &[], 15);
        let mut two = question(&name, 28, false);
        two[5] = 2;
        let again = two[12..].to_vec();
        two.extend(again);
        assert_eq!(reply(&two, Answer::NxDomain, false), None);
    }
}
