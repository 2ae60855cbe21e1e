use super::{Answer, concat, is_complete_only_with_last_byte, judge, malformed, named};
use crate::abi::{Protocol, Reason};
use crate::inspect::plain::restarts;

#[test]
fn t22_socks4_names_an_address_or_a_host() {
    let v4 = concat(&[&[4, 1, 1, 187, 192, 0, 2, 10], b"user\0"]);
    assert_eq!(judge(&v4), named("192.0.2.10"));
    assert!(is_complete_only_with_last_byte(&v4));
    let v4a = concat(&[&[4, 1, 1, 187, 0, 0, 0, 1], b"\0", b"Blocked.example\0"]);
    assert_eq!(judge(&v4a), named("blocked.example"));
    assert!(is_complete_only_with_last_byte(&v4a));
    assert_eq!(judge(&[4, 1, 1, 187, 0, 0, 0, 1, 0, 0]), malformed());
    assert_eq!(
        judge(&[4, 2, 1, 187, 1, 1, 1, 1, 0]),
        Answer::Failed(Reason::Proxy)
    );
    assert_eq!(
        judge(&[4, 9, 1, 187]),
        Answer::Failed(Reason::UnknownProtocol)
    );
}

#[test]
fn t22_socks5_names_its_target() {
    let greetings: [&[u8]; 2] = [&[5, 1, 0], &[5, 3, 0, 1, 2, 1, 3, 1, 2, 3, 2, 8, 9]];
    for greeting in greetings {
        assert_eq!(judge(greeting), Answer::More);
        let request = |kind: &[u8], address: &[u8]| {
            let stream = concat(&[greeting, &[5, 1, 0], kind, address, &[1, 187]]);
            assert!(is_complete_only_with_last_byte(&stream));
            judge(&stream)
        };
        assert_eq!(
            request(&[3, 15], b"Blocked.example"),
            named("blocked.example")
        );
        assert_eq!(request(&[1], &[255, 0, 20, 3]), named("255.0.20.3"));
        let address = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(
            request(&[4], &address),
            named("2001:0db8:0000:0000:0000:0000:0000:0001")
        );
        let stream = |rest: &[u8]| judge(&concat(&[greeting, rest]));
        assert_eq!(stream(&[5, 3, 0, 1]), Answer::Failed(Reason::Proxy));
        assert_eq!(stream(&[5, 1, 0, 2]), malformed());
        assert_eq!(stream(&[5, 1, 0, 3, 0]), malformed());
        assert_eq!(stream(&[5, 1, 0, 3, 2, b'a', 0, 1, 1]), malformed());
        assert_eq!(stream(&[7]), Answer::Failed(Reason::Proxy));
    }
    assert_eq!(judge(&[5, 0, 11]), Answer::Failed(Reason::UnknownProtocol));
}

#[test]
fn t20_a_hello_after_plain_text_is_looked_at() {
    for was in [Protocol::Http, Protocol::Tcp, Protocol::Tls] {
        assert!(restarts(22, was));
        for first in [0, 20, 23, 4, 5, 128, 255, b'{', b'"'] {
            assert!(!restarts(first, was), "{first}");
        }
    }
    for first in *b"GPgh\r\n" {
        assert!(restarts(first, Protocol::Http), "{first}");
        assert!(!restarts(first, Protocol::Tcp), "{first}");
    }
}

#[test]
fn t20_a_body_that_begins_like_a_hello_is_no_contradiction() {
    let bodies: [&[u8]; 7] = [
        &[22, 3, 200, 0, 9, 7, 7, 7, 7, 7],
        &[22, 3, 1, 0xff, 0xff],
        &[22, 8, 8, 0, 9, 0x99, 1, 2, 3],
        b"Some text that goes on\r\nand on",
        b"a=b&c=d",
        b"Name,Value\n1,2\n",
        b"POST scriptum\n",
    ];
    for body in bodies {
        assert_eq!(
            judge(body),
            Answer::Failed(Reason::UnknownProtocol),
            "{body:?}"
        );
    }
}
