//! What ordinary stacks do, and must not be refused for.

use filter_ebpf::abi::{Reason, Verdict};

use crate::hello::{PADDING, handshake, hello, record, records, sni, usual};
use crate::stream::{ACK, ALLOWED, PSH, SYN};
use crate::wire::Wire;

fn long(bytes: usize) -> Vec<u8> {
    let mut extensions = usual();
    extensions.push((PADDING, vec![0x42; bytes]));
    extensions.push(sni(ALLOWED));
    records(&handshake(&extensions), 16_384)
}

fn record_of_data() -> Vec<u8> {
    record(23, [3, 3], &[9; 60])
}

/// Segments that the server did not get come again, whole, in parts and
/// joined.
#[test]
fn lost_segments_of_long_hellos_come_again() {
    for bytes in [500, 3_000, 6_000, 7_500] {
        let hello = long(bytes);
        let mut wire = Wire::open(443);
        for (i, piece) in hello.chunks(1400).enumerate() {
            wire = wire.send(i * 1400, piece);
        }
        for size in [1400, 700, 2100] {
            for (i, piece) in hello.chunks(size).enumerate() {
                wire = wire.send(i * size, piece);
            }
        }
        wire.acked(hello.len())
            .send(hello.len(), &record_of_data())
            .passes(&format!("{bytes}"));
    }
}

/// A keep-alive of some stacks carries a byte of nothing that the server has
/// already.
#[test]
fn keep_alives_with_a_byte_of_nothing() {
    let hello = hello(ALLOWED);
    let data = record_of_data();
    // Behind the hello, and behind the data.
    Wire::open(443)
        .send(0, &hello)
        .acked(hello.len())
        .client(ACK, hello.len() as i64 - 1, &[0])
        .send(hello.len(), &data)
        .acked(hello.len() + data.len())
        .client(ACK, (hello.len() + data.len()) as i64 - 1, &[0])
        .send(hello.len() + data.len(), &data)
        .passes("TLS");
    let get = format!("GET / HTTP/1.1\r\nHost: {ALLOWED}\r\n\r\n");
    Wire::open(80)
        .client(ACK, -1, &[0])
        .send(0, get.as_bytes())
        .acked(get.len())
        .client(ACK, get.len() as i64 - 1, &[0])
        .client(ACK, get.len() as i64 - 1, b"")
        .send(get.len(), get.as_bytes())
        .passes("HTTP");
}

#[test]
fn syns_that_come_late_or_twice() {
    let hello = hello(ALLOWED);
    Wire::new(443)
        .client(SYN, -1, b"")
        .client(SYN, -1, b"")
        .syn_ack(0)
        .syn_ack(0)
        .client(ACK, 0, b"")
        .send(0, &hello[..90])
        .client(SYN, -1, b"")
        .syn_ack(0)
        .send(90, &hello[90..])
        .client(SYN, -1, b"")
        .syn_ack(0)
        .acked(hello.len())
        .client(SYN, -1, b"")
        .send(hello.len(), &record_of_data())
        .passes("duplicates");
}

/// TCP Fast Open, taken by the server in whole, in part and not at all.
#[test]
fn fast_open_taken_or_not() {
    let hello = hello(ALLOWED);
    for sent in [60, hello.len()] {
        for taken in [0, 30, sent] {
            let mut wire = Wire::new(443)
                .client(SYN, -1, &hello[..sent])
                .syn_ack(taken as u32)
                .syn_ack(taken as u32)
                .client(ACK, taken as i64, b"");
            if taken < hello.len() {
                wire = wire.send(taken, &hello[taken..]);
            }
            wire.acked(hello.len())
                .send(hello.len(), &record_of_data())
                .passes(&format!("{sent} {taken}"));
        }
    }
}

/// A connection that was forgotten is told so at once.
#[test]
fn a_connection_of_which_nothing_is_known_is_reset() {
    let wire = Wire::new(443).client(ACK | PSH, 5_000, &record_of_data());
    assert_eq!(wire.last(), (Verdict::Reject, Reason::Midstream));
}

/// Plain protocols where they pass: a conversation, a file, data sent again.
#[test]
fn plain_conversations_go_on() {
    let lines = ["\u{1}hello\r\n", "\u{1}more\r\n", "Get me\r\n", "\u{5}\r\n"];
    let mut wire = Wire::open_in(50, 25);
    let mut at = 0;
    for line in lines {
        wire = wire.send(at, line.as_bytes());
        wire = wire.send(at, line.as_bytes());
        at += line.len();
    }
    for i in 0..20_usize {
        let piece: Vec<u8> = (0..1000).map(|j| ((i * 31 + j * 7) % 256) as u8).collect();
        wire = wire.send(at, &piece);
        if i % 5 == 4 {
            wire = wire.send(at, &piece);
        }
        at += piece.len();
    }
    wire.passes("plain");
}

/// Heads and bodies as clients write them: curl, Python's http.client, apt,
/// BITS, browsers, and old devices that end lines with a bare LF.
#[test]
fn requests_as_clients_write_them() {
    let chunks = "1000\r\n".to_owned() + &"x".repeat(4096) + "\r\n3\r\nabc\r\n0\r\n\r\n";
    for text in [
        "PUT /f HTTP/1.1\r\nHost: {}\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\
         Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
            .to_owned()
            + &chunks,
        "POST / HTTP/1.1\r\nAccept-Encoding: identity\r\nHost: {}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
            .to_owned()
            + &chunks,
        "POST / HTTP/1.1\r\nHost: {}:80\r\nAccept-Encoding: identity\r\nContent-Length: 3\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\na=b"
            .to_owned(),
        "GET /debian/dists/bookworm/InRelease HTTP/1.1\r\nHost: {}\r\n\
         User-Agent: Debian APT-HTTP/1.3 (2.6.1)\r\nCache-Control: max-age=0\r\n\r\n"
            .to_owned(),
        "HEAD /f.cab HTTP/1.1\r\nConnection: Keep-Alive\r\nAccept: */*\r\n\
         Accept-Encoding: identity\r\nUser-Agent: Microsoft BITS/7.8\r\nHost: {}\r\n\r\n"
            .to_owned(),
        "BITS_POST /up HTTP/1.1\r\nHost: {}\r\nBITS-Packet-Type: Fragment\r\n\
         Content-Range: bytes 0-2/3\r\nContent-Length: 3\r\n\r\nabc"
            .to_owned(),
        "GET / HTTP/1.1\r\nHost: {}\r\nCookie: a=b; c=d\r\nReferer: http://{}/\r\n\
         Upgrade-Insecure-Requests: 1\r\n\r\n"
            .to_owned(),
        "POST /cgi HTTP/1.0\nHost: {}\nContent-length: 3\n\nabc".to_owned(),
        "GET /firmware HTTP/1.0\r\nHost: {}\n\r\n".to_owned(),
    ] {
        let bytes = text.replace("{}", ALLOWED).into_bytes();
        let mut wire = Wire::open(80);
        for (i, piece) in bytes.chunks(1400).enumerate() {
            wire = wire.send(i * 1400, piece);
        }
        // Kept alive: the same again.
        wire.acked(bytes.len())
            .send(bytes.len(), &bytes[..bytes.len().min(1400)])
            .passes(&text);
    }
}

/// A WebSocket behind its request.
#[test]
fn web_sockets_go_on() {
    let head = format!(
        "GET /chat HTTP/1.1\r\nHost: {ALLOWED}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    );
    let mut wire = Wire::open(80).send(0, head.as_bytes()).acked(head.len());
    let mut at = head.len();
    for i in 0..40_u8 {
        let mut frame = vec![0x82, 0x80 | 100, i, 3, 5, 7];
        frame.extend((0..100_u8).map(|j| j.wrapping_mul(i) ^ 0x47));
        wire = wire.send(at, &frame[..60]);
        at += 60;
        wire = wire.send(at, &frame[60..]);
        at += frame.len() - 60;
    }
    wire.passes("WebSocket");
}
