use std::vec;
use std::vec::Vec;

use super::{Answer, concat, feed_all, is_complete_only_with_last_byte, judge, malformed, named};
use crate::abi::Reason;

const HOST: u8 = 0;

fn u16s(value: usize) -> [u8; 2] {
    (value as u16).to_be_bytes()
}

/// An entry of a server_name list.
fn entry(kind: u8, name: &[u8]) -> Vec<u8> {
    concat(&[&[kind], &u16s(name.len()), name])
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    concat(&[&kind.to_be_bytes(), &u16s(body.len()), body])
}

fn server_name(entries: &[Vec<u8>]) -> Vec<u8> {
    let list = entries.concat();
    extension(0, &concat(&[&u16s(list.len()), &list]))
}

fn sni(name: &str) -> Vec<u8> {
    server_name(&[entry(HOST, name.as_bytes())])
}

/// Extensions as real clients have them around the name.
fn padding(len: usize) -> Vec<u8> {
    extension(21, &vec![0; len])
}

/// A handshake message with these extensions; `tail` follows them.
fn message(extensions: &[Vec<u8>], tail: &[u8]) -> Vec<u8> {
    let extensions = extensions.concat();
    with_block(&concat(&[&u16s(extensions.len()), &extensions, tail]))
}

fn with_block(block: &[u8]) -> Vec<u8> {
    let body = concat(&[
        &[3, 3],
        &[0x5a; 32],
        &[4, 1, 2, 3, 4],
        &[0, 4, 0x13, 1, 0x13, 2],
        &[1, 0],
        block,
    ]);
    let length = (body.len() as u32).to_be_bytes();
    concat(&[&[1], &length[1..], &body])
}

fn record(kind: u8, fragment: &[u8]) -> Vec<u8> {
    concat(&[&[kind, 3, 1], &u16s(fragment.len()), fragment])
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    message
        .chunks(size)
        .flat_map(|fragment| record(22, fragment))
        .collect()
}

fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    records(&message(extensions, &[]), 16384)
}

#[test]
fn t01_name_anywhere_in_two_segments() {
    let stream = hello(&[padding(30), sni("www.school-test.example"), padding(9)]);
    assert_eq!(judge(&stream), named("www.school-test.example"));
    assert!(is_complete_only_with_last_byte(&stream));
}

#[test]
fn t10_records_of_one_byte() {
    let message = message(&[padding(3), sni("blocked.example"), padding(0)], &[]);
    for size in [1, 2, 3, 7, 64] {
        let stream = records(&message, size);
        assert_eq!(
            judge(&stream),
            named("blocked.example"),
            "records of {size}"
        );
        assert!(is_complete_only_with_last_byte(&stream));
    }
}

#[test]
fn t10_a_whole_hello_in_records_of_one_byte_fits_the_steps() {
    let stream = records(&message(&[padding(1900), sni("blocked.example")], &[]), 1);
    let (answer, _) = feed_all([&stream[..]].into_iter());
    assert_eq!(answer, named("blocked.example"));
}

#[test]
fn t12_idle_records_are_skipped_and_bounded() {
    let idle = [
        record(20, &[1]),
        record(21, &[1, 0]),
        record(22, &[]),
        record(24, &[0; 20]),
    ];
    let hello = hello(&[sni("blocked.example")]);
    for first in &idle {
        let stream = concat(&[first, &hello]);
        assert_eq!(judge(&stream), named("blocked.example"));
    }
    // Between the parts of a hello too.
    let message = message(&[sni("blocked.example")], &[]);
    let (left, right) = message.split_at(60);
    let stream = concat(&[&record(22, left), &idle.concat(), &record(22, right)]);
    assert_eq!(judge(&stream), named("blocked.example"));

    let many = |n| concat(&[&record(21, &[1, 0]).repeat(n), &hello]);
    assert_eq!(judge(&many(8)), named("blocked.example"));
    assert_eq!(judge(&many(9)), malformed());
    assert_eq!(judge(&record(22, &[]).repeat(9)), malformed());
}

#[test]
fn t13_record_version_is_ignored() {
    for version in [[3, 0], [3, 4], [0, 0], [0x7f, 0xff]] {
        let mut stream = hello(&[sni("blocked.example")]);
        stream[1..3].copy_from_slice(&version);
        assert_eq!(judge(&stream), named("blocked.example"));
    }
}

#[test]
fn t13_sslv2_is_told_from_other_binary_protocols() {
    let sslv2 = [0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10];
    assert_eq!(judge(&sslv2), Answer::Failed(Reason::Sslv2));
    let compatible = [0x80, 0x2e, 1, 3, 1, 0, 0x15, 0, 0, 0, 0x10];
    assert_eq!(judge(&compatible), Answer::Failed(Reason::Sslv2));
    let other = [0x80, 0x2e, 7, 3, 1, 0, 0x15];
    assert_eq!(judge(&other), Answer::Failed(Reason::UnknownProtocol));
    let others: [&[u8]; 6] = [
        &[22, 9, 9, 0, 4, 9, 9, 9, 9],
        // Of a size that no record has.
        &[22, 3, 1, 0x48, 1],
        // No message, by type, by length.
        &[22, 3, 1, 0, 9, 0x77, 0, 1, 1],
        &[22, 3, 1, 0, 9, 2, 1, 1, 1],
        // Application data, and a type of record that does not exist.
        &[23, 3, 3, 0, 9, 1],
        &[20, 1, 1, 0, 1, 1, 77, 1, 1, 1, 1],
    ];
    for other in others {
        assert_eq!(
            judge(other),
            Answer::Failed(Reason::UnknownProtocol),
            "{other:?}"
        );
    }
}

#[test]
fn t14_bytes_after_the_extensions_do_not_matter() {
    let stream = records(&message(&[sni("blocked.example")], &[9; 7]), 16384);
    assert_eq!(judge(&stream), named("blocked.example"));
}

#[test]
fn t14_a_lie_in_a_length_is_denied() {
    let honest = message(&[padding(2), sni("blocked.example"), padding(4)], &[]);
    // Offsets of the two-byte lengths: extensions, padding, server_name, its
    // list, the name, the last padding.
    let block = 4 + 2 + 32 + 5 + 6 + 2;
    let sni_at = block + 2 + 6;
    for at in [block, sni_at + 2, sni_at + 4, sni_at + 7] {
        for delta in [-1i16, 1, 255] {
            let mut lie = honest.clone();
            let field = &mut lie[at..at + 2];
            let value = i16::from_be_bytes([field[0], field[1]]) + delta;
            field.copy_from_slice(&value.to_be_bytes());
            assert_eq!(judge(&records(&lie, 16384)), malformed(), "{at} {delta}");
        }
    }
    // The message ends before its extensions do.
    let mut lie = honest.clone();
    lie[3] -= 1;
    assert_eq!(judge(&records(&lie, 16384)), malformed());
    // Extensions that end inside an extension's header.
    let stream = records(&with_block(&[0, 3, 0, 21, 0]), 16384);
    assert_eq!(judge(&stream), malformed());
    // Another message first: HelloRequest, ServerHello.
    assert_eq!(judge(&record(22, &[0, 0, 0, 0])), malformed());
    assert_eq!(judge(&record(22, &[2, 0, 0, 4, 3, 3, 0, 0])), malformed());
}

#[test]
fn t15_a_name_behind_many_extensions_or_much_padding() {
    let mut extensions: Vec<_> = (0..1000).map(|i| extension(0x4a00 + i, &[])).collect();
    extensions.push(sni("blocked.example"));
    let (answer, _) = feed_all([&hello(&extensions)[..]].into_iter());
    assert_eq!(answer, named("blocked.example"));
    let message = message(&[padding(20000), sni("blocked.example")], &[]);
    let (answer, _) = feed_all([&records(&message, 16384)[..]].into_iter());
    assert_eq!(answer, named("blocked.example"));
}

#[test]
fn t16_case_and_trailing_dot() {
    for sent in ["BlOcKeD.eXaMpLe", "blocked.example.", "BLOCKED.EXAMPLE."] {
        assert_eq!(judge(&hello(&[sni(sent)])), named("blocked.example"));
    }
    let punycode = "XN--80AKHBYKNJ4F.example";
    assert_eq!(
        judge(&hello(&[sni(punycode)])),
        named("xn--80akhbyknj4f.example")
    );
    let odd = "a_b-1.example";
    assert_eq!(judge(&hello(&[sni(odd)])), named(odd));
}

#[test]
fn t16_what_no_host_is_called_is_denied() {
    let bad: [&[u8]; 15] = [
        b"",
        b".",
        b"..",
        b".example",
        b"a..example",
        b"a.example..",
        b"blocked.example\0.allowed.example",
        b"blocked.example allowed.example",
        b"blocked.example/",
        b"a%2eexample",
        b"[::1]",
        b"blocked.example:443",
        b"user@blocked.example",
        "школа.example".as_bytes(),
        b"\xff\xfe.example",
    ];
    for name in bad {
        let stream = hello(&[server_name(&[entry(HOST, name)])]);
        assert_eq!(judge(&stream), malformed(), "{name:?}");
    }
}

#[test]
fn t16_the_longest_name() {
    let label = "a".repeat(63);
    let longest = [&label[..], &label, &label, &label[..61]].join(".");
    assert_eq!(longest.len(), 253);
    assert_eq!(judge(&hello(&[sni(&longest)])), named(&longest));
    assert_eq!(
        judge(&hello(&[sni(&(longest.clone() + "."))])),
        named(&longest)
    );
    let fits = "a".repeat(255);
    assert_eq!(judge(&hello(&[sni(&fits)])), named(&fits));
    assert_eq!(judge(&hello(&[sni(&(fits.clone() + "."))])), named(&fits));
    for len in [256, 257, 300, 20000] {
        let (answer, _) = feed_all([&hello(&[sni(&"a".repeat(len))])[..]].into_iter());
        assert_eq!(answer, malformed(), "{len}");
    }
}

#[test]
fn t17_several_names_must_be_one() {
    let twice = |a: &str, b: &str| {
        let one = server_name(&[entry(HOST, a.as_bytes()), entry(HOST, b.as_bytes())]);
        let in_list = judge(&hello(&[one]));
        let in_two = judge(&hello(&[sni(a), padding(1), sni(b)]));
        assert_eq!(in_list, in_two);
        in_list
    };
    assert_eq!(twice("a.example", "A.example."), named("a.example"));
    assert_eq!(twice("a.example.", "a.example"), named("a.example"));
    for other in [
        "b.example",
        "a.exampl",
        "a.example.x",
        "a.examplex",
        "example",
    ] {
        assert_eq!(twice("a.example", other), malformed(), "{other}");
        assert_eq!(twice(other, "a.example"), malformed(), "{other}");
    }
}

#[test]
fn t17_another_type_of_name_is_passed_over() {
    let entries = [
        entry(1, b"allowed.example"),
        entry(HOST, b"blocked.example"),
        entry(7, &[]),
    ];
    assert_eq!(
        judge(&hello(&[server_name(&entries)])),
        named("blocked.example")
    );
    let only_other = server_name(&[entry(1, b"allowed.example")]);
    assert_eq!(judge(&hello(&[only_other])), Answer::Unnamed);
}

#[test]
fn t17_an_address_is_a_name() {
    for address in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
        assert_eq!(judge(&hello(&[sni(address)])), named(address));
    }
    for no_address in ["a:b", "1:2:3", "2001:db8::1::", "x:443"] {
        assert_eq!(
            judge(&hello(&[sni(no_address)])),
            malformed(),
            "{no_address}"
        );
    }
}

#[test]
fn t18_no_server_name() {
    assert_eq!(judge(&hello(&[padding(5)])), Answer::Unnamed);
    assert_eq!(judge(&hello(&[])), Answer::Unnamed);
    let without_block = records(&with_block(&[]), 16384);
    assert_eq!(judge(&without_block), Answer::Unnamed);
    assert!(is_complete_only_with_last_byte(&without_block));
}

#[test]
fn t19_ech_beside_the_outer_name() {
    for kind in [0xfe0d, 0xffce] {
        let stream = hello(&[extension(kind, &[0; 200]), sni("outer.example")]);
        assert_eq!(judge(&stream), Answer::Ech("outer.example".into()));
    }
}
