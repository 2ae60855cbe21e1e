use super::{Answer, concat, feed_all, is_complete_only_with_last_byte, judge, malformed, named};
use crate::abi::Reason;

fn unknown() -> Answer {
    Answer::Failed(Reason::UnknownProtocol)
}

fn text(head: &str) -> Answer {
    judge(head.as_bytes())
}

#[test]
fn t21_host_as_people_write_it() {
    for host in [
        "Host: blocked.example",
        "host: blocked.example",
        "hOsT:BLOCKED.example.",
        "Host:   \t blocked.example \t ",
        "Host: blocked.example:8080",
        "Host: blocked.example:",
        "Accept: */*\r\nHost: blocked.example\r\nX: y",
        "Cookie : a\r\nHost: blocked.example",
        "Content-Type: a\r\nTe: b\r\nHosting: x.example\r\nHost: blocked.example",
        "Host: blocked.example\r\nHost: Blocked.Example:80",
        "Hos: other.example\r\nHostt: other.example\r\nHost: blocked.example",
    ] {
        for version in ["HTTP/1.1", "HTTP/1.0", "HTTP/1.1 "] {
            let head = std::format!("GET /a?b=c {version}\r\n{host}\r\n\r\n");
            assert_eq!(text(&head), named("blocked.example"), "{head:?}");
            assert!(is_complete_only_with_last_byte(head.as_bytes()));
            let bare = head.replace("\r\n", "\n");
            assert_eq!(text(&bare), named("blocked.example"), "{bare:?}");
        }
    }
}

#[test]
fn t21_target_forms() {
    for line in [
        "GET http://blocked.example/ HTTP/1.1",
        "GET HTTP://Blocked.Example:80/x?y#z HTTP/1.1",
        "GET http://blocked.example HTTP/1.1",
        "GET https://blocked.example?x HTTP/1.1",
        "CONNECT blocked.example:443 HTTP/1.1",
        "connect blocked.example:443 HTTP/1.1",
    ] {
        for rest in [
            "\r\n",
            "\r\nHost: blocked.example\r\n",
            "\r\nHost: BLOCKED.example:443\r\n",
        ] {
            let head = std::format!("{line}{rest}\r\n");
            assert_eq!(text(&head), named("blocked.example"), "{head:?}");
        }
        let other = std::format!("{line}\r\nHost: allowed.example\r\n\r\n");
        assert_eq!(text(&other), malformed(), "{other:?}");
        let empty = std::format!("{line}\r\nHost:\r\n\r\n");
        assert_eq!(text(&empty), malformed(), "{empty:?}");
    }
    for method in ["GET", "POST", "OPTIONS", "M-SEARCH", "get"] {
        for target in ["*", "/", "  /two/blanks"] {
            let head = std::format!("{method} {target} HTTP/1.1\r\nHost: blocked.example\r\n\r\n");
            assert_eq!(text(&head), named("blocked.example"), "{head:?}");
        }
    }
}

#[test]
fn t21_empty_lines_before_the_request() {
    let head = "\r\n\n\r\nGET / HTTP/1.1\r\nHost: blocked.example\r\n\r\n";
    assert_eq!(text(head), named("blocked.example"));
    // However many: some servers read on, and so does the caller up to its cap.
    for before in ["\n".repeat(2100), "\r\n".repeat(1500), " \t".repeat(20)] {
        assert_eq!(text(&before), Answer::More);
        assert_eq!(text(&(before + head)), named("blocked.example"));
    }
}

#[test]
fn t21_addresses() {
    for (host, name) in [
        ("192.0.2.1:80", "192.0.2.1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("[::1]:80", "::1"),
    ] {
        let head = std::format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(text(&head), named(name));
        let head = std::format!("CONNECT {host} HTTP/1.1\r\n\r\n");
        assert_eq!(text(&head), named(name));
    }
    for host in [
        "[::1",
        "[]",
        "[blocked.example]",
        "[::1]x",
        "[::1]:x",
        "::1",
        "[1:2]",
        "[fe80::1%25eth0]",
    ] {
        let head = std::format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(text(&head), malformed(), "{host}");
    }
}

#[test]
fn t21_no_host() {
    for rest in ["", "Host:\r\n", "Host: \r\n", "Accept: x\r\n"] {
        let head = std::format!("GET / HTTP/1.0\r\n{rest}\r\n");
        assert_eq!(text(&head), Answer::Unnamed);
    }
    // HTTP/0.9 has nothing else to say.
    assert_eq!(text("GET /\r\n"), Answer::Unnamed);
    assert_eq!(text("GET / \n"), Answer::Unnamed);
    assert_eq!(
        text("GET http://blocked.example/\r\n"),
        named("blocked.example")
    );
}

#[test]
fn t21_two_hosts_in_anybodys_eyes() {
    for lines in [
        "Host: allowed.example\r\nHost: blocked.example",
        "Host: allowed.example\r\nX: y\r\nhost:\tblocked.example",
        "Host: allowed.example, blocked.example",
        "Host: allowed.example blocked.example",
        "Host: allowed.example\r\n blocked.example",
        "Host: allowed.example\r\nHost:",
        "Host: allowed.example@blocked.example",
        "Host: allowed.example/blocked.example",
        "Host: allowed.example:80:90",
        "Host: allowed.example:8a",
        "Host: a%2eexample",
        "Host: allowed.example\0",
        "Host: .",
        "X: y\rHost: blocked.example",
        "X: y\r\rHost: blocked.example",
        " Host: blocked.example",
        "Host: allowed.example\r\nX: y\r\n Host: blocked.example",
        "Host: allowed.example\r\nX: y\r\n\tz",
        "Host:\r\n allowed.example",
        "Host : allowed.example",
        "Host\t: allowed.example",
        "Content-Length : 3",
        "Content-Length: 3\r\n ",
        "transfer-encoding \t: chunked",
        "Host blocked.example",
        "Host\r\n: blocked.example",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: x",
        "Content-Length: 1 2",
        "Content-Length:\r\n 5",
        "\0Host: blocked.example",
    ] {
        let head = std::format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n");
        assert_eq!(text(&head), malformed(), "{head:?}");
    }
    for line in [
        "GET http://user@blocked.example/ HTTP/1.1",
        "GET http://allowed.example:80@blocked.example/ HTTP/1.1",
        "GET http:///x HTTP/1.1",
        "GET http:/x HTTP/1.1",
        "GET blocked.example HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET / HTTP/1.12",
        "GET / HTTP/1.1 x",
        "GET / HTTP",
        "CONNECT blocked.example/ HTTP/1.1",
        "FOO bar HTTP/1.1",
    ] {
        let head = std::format!("{line}\r\nHost: allowed.example\r\n\r\n");
        assert_eq!(text(&head), malformed(), "{head:?}");
    }
}

#[test]
fn t21_heads_behind_one_another() {
    let first = "GET / HTTP/1.1\r\nHost: allowed.example\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: 5\r\n\r\nHost:";
    let other = "GET / HTTP/1.1\r\nHost: blocked.example\r\n\r\n";
    let feed = |parts: &[&str]| {
        let stream = parts.concat();
        feed_all([stream.as_bytes()].into_iter()).0
    };
    for head in [first, post] {
        assert_eq!(feed(&[head]), named("allowed.example"));
        assert_eq!(feed(&[head, first]), named("allowed.example"));
        assert_eq!(feed(&[head, first, post, "\r\n"]), named("allowed.example"));
        assert_eq!(feed(&[head, other]), malformed());
        assert_eq!(feed(&[head, first, other]), malformed());
        assert_eq!(feed(&[head, "\x16\x03\x01"]), malformed());
        assert_eq!(feed(&[head, "junk\r\n"]), malformed());
    }
    assert_eq!(feed(&[&post[..post.len() - 2]]), named("allowed.example"));
    let unnamed = "GET / HTTP/1.0\r\n\r\n";
    assert_eq!(feed(&[unnamed, unnamed]), Answer::Unnamed);
    assert_eq!(feed(&[unnamed, first]), malformed());
    assert_eq!(feed(&[first, unnamed]), malformed());
    let chunked = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n";
    assert_eq!(feed(&[chunked]), named("a.example"));
    let tunnel = "CONNECT a.example:443 HTTP/1.1\r\n\r\n";
    assert_eq!(feed(&[tunnel]), named("a.example"));
    assert_eq!(feed(&[tunnel, "\x16\x03\x01"]), malformed());
}

#[test]
fn t21_a_head_that_goes_on_in_the_next_segment_is_fed_on() {
    use crate::inspect::{CHUNK_ROOM, Chunk, Finding, Progress, feed};
    let first = "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n";
    let stream = |second: &str| concat(&[first.as_bytes(), second.as_bytes()]);
    let run = |stream: &[u8], cut: usize| {
        let mut hello = super::fresh();
        let mut buffer = [0; CHUNK_ROOM];
        let mut answers = [Progress::More; 2];
        for (piece, answer) in [&stream[..cut], &stream[cut..]].iter().zip(&mut answers) {
            buffer[..piece.len()].copy_from_slice(piece);
            *answer = feed(&mut hello, &Chunk::new(&buffer, piece.len() as u32));
            let _ = crate::inspect::name::literal(&mut hello);
        }
        answers
    };
    let at_head = Progress::Done(Finding {
        flags: 1,
        unfinished: Finding::AT_HEAD,
    });
    let open = Progress::Done(Finding {
        flags: 1,
        unfinished: Finding::INSIDE_HEAD,
    });
    let same = stream(first);
    let other = stream("GET / HTTP/1.1\r\nHost: blocked.example\r\n\r\n");
    for cut in first.len() + 1..same.len() - 1 {
        assert_eq!(run(&same, cut), [open, at_head], "{cut}");
        let failed = Progress::Failed(Reason::Malformed);
        assert!(run(&other, cut).contains(&failed), "{cut}");
    }
    assert_eq!(run(&same, first.len()), [at_head, at_head]);
}

#[test]
fn t21_text_that_is_not_http() {
    for first in [
        "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        "EHLO mail.school-test.example\r\n",
        "NICK someone\r\nUSER someone 0 * :Some One\r\n",
        "USER anonymous\r\n",
        "OPTIONS rtsp://camera.example/ RTSP/1.0\r\n",
        "REGISTER sip:phone.example SIP/2.0\r\n",
        "get key\r\n",
        "* OK IMAP ready\r\n",
        "a1 LOGIN x y\r\n",
        "MAIL FROM:<a@b.example>\r\n",
        "{\"id\":1,\"method\":\"mining.subscribe\"}\n",
        "GET\r\n",
        "GET \r\n",
    ] {
        assert_eq!(text(first), unknown(), "{first:?}");
    }
    // HTTP/2 without TLS names its hosts where nobody reads them.
    assert_eq!(text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), malformed());
    let long = std::format!("FOO /{}", "x".repeat(3000));
    assert_eq!(text(&long), Answer::Failed(Reason::HelloTooLong));
    assert_eq!(text(&"x".repeat(2050)), unknown());
    let method = "x".repeat(30) + " / HTTP/1.1\r\nHost: blocked.example\r\n\r\n";
    assert_eq!(text(&method), named("blocked.example"));
    // A web server's method may have a long target.
    assert_eq!(
        text(&std::format!("GET /{}", "x".repeat(3000))),
        Answer::More
    );
}

#[test]
fn t21_a_line_of_any_length_does_not_hide_host() {
    for len in 0..40 {
        let fill = "x".repeat(len);
        let head =
            std::format!("GET /{fill} HTTP/1.1\r\nX: {fill}\r\nHost: blocked.example\r\n\r\n");
        assert_eq!(text(&head), named("blocked.example"));
    }
}

/// The answer to a stream that comes in one piece: what is cut, the kernel
/// goes on with by the connection's flow.
fn at_once(stream: &str) -> Answer {
    feed_all([stream.as_bytes()].into_iter()).0
}

#[test]
fn t21_bodies_of_both_kinds_end_where_they_say() {
    let head =
        |length: &str| std::format!("POST / HTTP/1.1\r\nHost: a.example\r\n{length}\r\n\r\n");
    let next = "GET / HTTP/1.1\r\nHost: blocked.example\r\n\r\n";
    for (length, body) in [
        ("Content-Length: 5", "12345"),
        ("Content-Length: 0", ""),
        ("Transfer-Encoding: chunked", "5\r\n12345\r\n0\r\n\r\n"),
        (
            "transfer-encoding:CHUNKED ",
            "005;x=\"y\"\r\n12345\r\n0 \r\nA: b\r\n\r\n",
        ),
    ] {
        // The second head names another host: it was read.
        let both = std::format!("{}{body}{next}", head(length));
        assert_eq!(at_once(&both), malformed(), "{length}");
        let same = both.replace("blocked.example", "a.example");
        assert_eq!(at_once(&same), named("a.example"), "{length}");
    }
    for length in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\n x",
        "Content-Length: 4294967301\r\nContent-Length: 5",
    ] {
        assert_eq!(at_once(&head(length)), malformed(), "{length}");
    }
    for chunk in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "10000005\r\n12345",
        "100000000000000\r\n",
        "5\r\n123456",
        " 5\r\n",
        "5\n12345\r\n",
        "5;x\n12345\r\n",
        "5\r\n12345\n",
        "0\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\n\n",
    ] {
        let whole = std::format!("{}{chunk}", head("Transfer-Encoding: chunked"));
        let answer = at_once(&whole);
        if chunk.starts_with("10000005") {
            assert_eq!(answer, named("a.example"));
        } else {
            assert_eq!(answer, malformed(), "{chunk}");
        }
    }
}

/// Chunks in a version that has none, and line ends of both kinds: some
/// servers see a body there, others the next request.
#[test]
fn t21_a_body_that_not_every_server_sees() {
    let post = "POST / HTTP/1.1\r\nHost: a.example\r\n";
    for (head, body) in [
        (
            post.replace("1.1", "1.0") + "Transfer-Encoding: chunked\r\n\r\n",
            "0\r\n\r\n",
        ),
        (
            post.replace("1.1", "0.9") + "Transfer-Encoding: chunked\r\n\r\n",
            "0\r\n\r\n",
        ),
        (std::format!("{post}X: y\nContent-Length: 3\r\n\r\n"), "abc"),
        (std::format!("{post}Content-Length: 3\nX: y\r\n\r\n"), "abc"),
        (std::format!("{post}Content-Length: 3\r\n\n"), "abc"),
        (
            std::format!("{post}X: y\nTransfer-Encoding: chunked\r\n\r\n"),
            "0\r\n\r\n",
        ),
    ] {
        assert_eq!(at_once(&(head.clone() + body)), malformed(), "{head:?}");
        assert_eq!(text(&head), malformed(), "{head:?}");
    }
    // Clients that end all lines alike, and those whose heads have no body.
    let old = "POST / HTTP/1.0\nHost: a.example\nContent-Length: 3\n\nabc";
    for fine in [
        old,
        &old.replace('\n', "\r\n"),
        "GET / HTTP/1.0\r\nX: y\nHost: a.example\r\n\r\n",
        "POST / HTTP/1.0\nHost: a.example\nContent-Length: 0\r\n\r\n",
    ] {
        assert_eq!(at_once(fine), named("a.example"), "{fine:?}");
    }
}
