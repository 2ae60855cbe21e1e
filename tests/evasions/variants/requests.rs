//! T21, T22: requests behind requests, bodies, proxies.

use filter_ebpf::abi::{Reason, Verdict};

use crate::hello::hello;
use crate::stream::{ALLOWED, BLOCKED};
use crate::wire::Wire;

fn get(host: &str) -> String {
    format!("GET /2 HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// Sends these pieces one behind another; the last one's verdict must follow
/// the host's.
fn told(what: &str, vlan: u16, confirm: bool, pieces: impl Fn(&str) -> Vec<Vec<u8>>) {
    for (host, passes) in [(BLOCKED, false), (ALLOWED, true)] {
        let mut wire = Wire::open_in(vlan, 80);
        let mut at = 0;
        for piece in pieces(host) {
            wire = wire.send(at, &piece);
            at += piece.len();
            if confirm {
                wire = wire.acked(at);
            }
        }
        let outcome = wire.judge();
        let last = outcome.frames.iter().rfind(|frame| !frame.egress).unwrap();
        assert_eq!(
            last.verdict == Some(Verdict::Pass),
            passes,
            "{what} {host}\n{}",
            outcome.table()
        );
    }
}

const ROOMS: [u16; 2] = [10, 50];

#[test]
fn t21_a_request_behind_a_body() {
    let binary = [1_u8; 40];
    let length = format!("POST /1 HTTP/1.1\r\nHost: {ALLOWED}\r\nContent-Length: 40\r\n\r\n");
    let chunked =
        format!("POST /1 HTTP/1.1\r\nHost: {ALLOWED}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunks = [
        &b"14;x=y\r\n"[..],
        &binary[..20],
        b"\r\n14\r\n",
        &binary[20..],
        b"\r\n0\r\nA: b\r\n\r\n",
    ]
    .concat();
    for vlan in ROOMS {
        for confirm in [false, true] {
            for (name, head, body) in [
                ("length", &length, &binary.to_vec()),
                ("chunked", &chunked, &chunks),
            ] {
                let joined = |host: &str| [head.as_bytes(), body, get(host).as_bytes()].concat();
                told(&format!("{name} in one"), vlan, confirm, |host| {
                    vec![joined(host)]
                });
                let len = joined(BLOCKED).len() - get(BLOCKED).len();
                for cut in 1..len + 10 {
                    told(
                        &format!("{name} cut at {cut} {vlan} {confirm}"),
                        vlan,
                        confirm,
                        |host| {
                            let bytes = joined(host);
                            vec![bytes[..cut].to_vec(), bytes[cut..].to_vec()]
                        },
                    );
                }
                told(&format!("{name} in threes"), vlan, confirm, |host| {
                    joined(host).chunks(3).map(<[u8]>::to_vec).collect()
                });
            }
        }
    }
}

#[test]
fn t21_long_bodies_pass_and_end() {
    let body = vec![b'G'; 60_000];
    for (head, body) in [
        (
            format!("PUT / HTTP/1.1\r\nHost: {ALLOWED}\r\nContent-Length: 60000\r\n\r\n"),
            body.clone(),
        ),
        (
            format!("PUT / HTTP/1.1\r\nHost: {ALLOWED}\r\nTransfer-Encoding: Chunked\r\n\r\n"),
            body.chunks(9_000)
                .flat_map(|chunk| {
                    [format!("{:X}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()
                })
                .chain(*b"0\r\n\r\n")
                .collect(),
        ),
    ] {
        told("long body", 10, true, |host| {
            let mut pieces = vec![head.as_bytes().to_vec()];
            pieces.extend(body.chunks(1400).map(<[u8]>::to_vec));
            pieces.push(get(host).into_bytes());
            pieces
        });
        told("large segments", 10, false, |host| {
            let all = [head.as_bytes(), &body, get(host).as_bytes()].concat();
            all.chunks(20_000).map(<[u8]>::to_vec).collect()
        });
    }
}

/// Several of them in one segment, as a network card merges them.
#[test]
fn t21_long_bodies_in_one_segment() {
    let head = format!("PUT / HTTP/1.1\r\nHost: {ALLOWED}\r\nContent-Length: 7000\r\n\r\n");
    let put = [head.as_bytes(), &[b'G'; 7_000]].concat();
    for puts in 1..4 {
        told(&format!("{puts} bodies"), 10, false, |host| {
            vec![[&put.repeat(puts)[..], get(host).as_bytes()].concat()]
        });
        // What is no request ends them.
        Wire::open(80)
            .send(0, &[&put.repeat(puts)[..], b"\x01\x02\x03"].concat())
            .passes(&format!("{puts} bodies, and no request"));
    }
}

/// A segment that repeats the end of one request before the next.
#[test]
fn t21_a_request_behind_bytes_sent_again() {
    let first = get(ALLOWED);
    for confirm in [false, true] {
        for back in 1..=first.len() {
            for (host, passes) in [(BLOCKED, false), (ALLOWED, true)] {
                let mut wire = Wire::open(80).send(0, first.as_bytes());
                if confirm {
                    wire = wire.acked(first.len());
                }
                let at = first.len() - back;
                let wire = wire.send(at, [&first[at..], &get(host)].concat().as_bytes());
                assert_eq!(
                    wire.last().0 == Verdict::Pass,
                    passes,
                    "{host} {back} {confirm}"
                );
            }
        }
    }
}

/// Two requests that no server gets, and then another in place of the first.
#[test]
fn t21_decoys_before_the_last_request() {
    let (first, next) = (get("www.harmless.kingdom.x"), get(ALLOWED));
    let real = get(BLOCKED);
    assert_eq!(real.len(), first.len());
    for vlan in ROOMS {
        Wire::open_in(vlan, 80)
            .send(0, first.as_bytes())
            .send(first.len(), next.as_bytes())
            .send(0, real.as_bytes())
            .refused("in place of the first");
        Wire::open_in(vlan, 80)
            .send(0, first.as_bytes())
            .send(first.len(), next.as_bytes())
            .send(0, &real.as_bytes()[..20])
            .send(20, &real.as_bytes()[20..])
            .refused("in parts");
    }
}

/// Bytes that are no request, which no server gets, and then a request in
/// their place.
#[test]
fn t21_a_decoy_that_looks_like_the_end_of_requests() {
    for more in ["", "Upgrade: websocket\r\nConnection: Upgrade\r\n"] {
        let first = format!("GET / HTTP/1.1\r\nHost: {ALLOWED}\r\n{more}\r\n");
        let next = get(BLOCKED);
        for decoy in [
            &[1_u8; 300][..],
            b"\x16",
            b"\x05\x01\x00",
            b"G\0",
            b"HELO you\r\n",
        ] {
            for vlan in ROOMS {
                let at = first.len();
                Wire::open_in(vlan, 80)
                    .send(0, first.as_bytes())
                    .acked(at)
                    .send(at, decoy)
                    .send(at, next.as_bytes())
                    .refused(&format!("{decoy:?}"));
            }
        }
    }
}

#[test]
fn t21_odd_beginnings() {
    for vlan in ROOMS {
        for before in [
            "\r\n".repeat(5),
            "\r\n".repeat(1200),
            "\n".repeat(3000),
            " ".to_owned(),
            "\t \r\n".to_owned(),
        ] {
            for cut in [1, 2, 2100] {
                told(
                    &format!("{} line ends", before.len()),
                    vlan,
                    false,
                    |host| {
                        let bytes = format!("{before}{}", get(host)).into_bytes();
                        let cut = cut.min(bytes.len() - 1);
                        vec![bytes[..cut].to_vec(), bytes[cut..].to_vec()]
                    },
                );
            }
        }
        for method in [
            "get",
            "PROPFIND",
            "OPTIONS",
            "X",
            &"M".repeat(25),
            &"M".repeat(200),
        ] {
            told(&format!("method {method} {vlan}"), vlan, false, |host| {
                vec![get(host).replacen("GET", method, 1).into_bytes()]
            });
        }
        // Longer than any first line that is waited for.
        for method in ["OPTIONS", "PROPFIND", "GET"] {
            let wire = |host: &str| {
                let text = format!(
                    "{method} /{} HTTP/1.1\r\nHost: {host}\r\n\r\n",
                    "a".repeat(3000)
                );
                Wire::open_in(vlan, 80)
                    .send(0, &text.as_bytes()[..1500])
                    .send(1500, &text.as_bytes()[1500..])
            };
            wire(BLOCKED).refused(method);
        }
    }
}

#[test]
fn t21_lengths_that_servers_read_differently() {
    let next = get(BLOCKED);
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: 4294967301\r\nContent-Length: 5",
        "Content-Length: 0x5",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Content-Length : 5",
        "Transfer-Encoding\t: chunked",
        "Content-Length: 5\r\nX: y\r\n Content-Length: 0",
        "X: y\nContent-Length: 5",
        "Content-Length: 5\nX: y",
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: {ALLOWED}\r\n{headers}\r\n\r\n");
        Wire::open(80).send(0, text.as_bytes()).refused(headers);
        Wire::open(80)
            .send(0, text.as_bytes())
            .send(text.len(), b"\x01\x01\x01\x01\x01")
            .send(text.len() + 5, next.as_bytes())
            .refused(headers);
    }
}

/// Chunks whose ends servers see at different places, or that some do not see
/// at all. For us an allowed request follows.
#[test]
fn t21_chunks_that_servers_read_differently() {
    let next = get(ALLOWED);
    for (version, chunks) in [
        ("1.0", "5\r\n\x01\x01\x01\x01\x01\r\n0\r\n\r\n"),
        ("1.1", "5\n\x01\x01\x01\x01\x01\r\n0\r\n\r\n"),
        ("1.1", "5;\n\x01\x01\x01\x01\x01\r\n0\r\n\r\n"),
        ("1.1", "5\r\n\x01\x01\x01\x01\x01\n0\r\n\r\n"),
        ("1.1", "0\n\r\n"),
        ("1.1", "0\r\nA: b\n\r\n"),
        ("1.1", "0\r\n\n"),
    ] {
        let head = format!(
            "POST / HTTP/{version}\r\nHost: {ALLOWED}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let body = [chunks.as_bytes(), next.as_bytes()].concat();
        for cut in [0, 1, 3, chunks.len() - 1, chunks.len()] {
            let mut wire = Wire::open(80).send(0, head.as_bytes());
            if cut != 0 {
                wire = wire.send(head.len(), &body[..cut]);
            }
            wire.send(head.len() + cut, &body[cut..])
                .refused(&format!("{version} {chunks:?} {cut}"));
        }
    }
}

/// A line that begins with a blank: a part of the line before, a header of its
/// own, or nothing.
#[test]
fn t21_lines_that_begin_with_a_blank() {
    for lines in [
        format!("Host: {ALLOWED}\r\nX: y\r\n Host: {BLOCKED}"),
        format!("Host: {ALLOWED}\r\n\tHost: {BLOCKED}"),
        format!(" X: y\r\nHost: {ALLOWED}"),
        format!("Host:\r\n {ALLOWED}"),
        format!("Host : {ALLOWED}\r\nX: y"),
    ] {
        let text = format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n");
        for cut in [1, 20, text.len() / 2, text.len() - 3] {
            let (first, second) = text.as_bytes().split_at(cut);
            let reason = Wire::open(80)
                .send(0, first)
                .send(cut, second)
                .refused(&lines);
            assert_eq!(reason, Reason::Malformed, "{lines}");
        }
    }
}

/// What a proxy that may be reached carries is judged like the rest.
#[test]
fn t22_hellos_inside_tunnels() {
    let socks5 = |host: &str| {
        let mut request = vec![5, 1, 0, 5, 1, 0, 3, host.len() as u8];
        request.extend(host.as_bytes());
        request.extend([1, 187]);
        request
    };
    let starts = [
        format!("CONNECT {ALLOWED}:443 HTTP/1.1\r\nHost: {ALLOWED}:443\r\n\r\n").into_bytes(),
        socks5(ALLOWED),
        vec![5, 1, 0, 5, 1, 0, 1, 93, 184, 216, 35, 1, 187],
        vec![4, 1, 1, 187, 93, 184, 216, 35, b'u', 0],
    ];
    for start in &starts {
        for size in [1, 50, 2000] {
            told(&format!("{start:?} {size}"), 10, true, |host| {
                let mut pieces = vec![start.clone()];
                pieces.extend(hello(host).chunks(size).map(<[u8]>::to_vec));
                pieces
            });
        }
        // Nobody talks into a tunnel that is not open.
        Wire::open(1080)
            .send(0, &[&start[..], &hello(BLOCKED)].concat())
            .refused("at once");
    }
}
