//! T21, T22: plain HTTP and proxies.

use filter_ebpf::abi::Reason;

use super::hello::hello;
use super::stream::{ALLOWED, BLOCKED, Connection, Segment, both, cut, pieces};

fn plain(text: &str) -> Connection {
    Connection::new(cut(text.as_bytes(), &[])).port(80)
}

#[test]
fn t21_host_in_all_its_shapes() {
    for shape in [
        "GET / HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n\r\n",
        "GET / HTTP/1.1\r\nUser-Agent: x\r\nhOsT:{}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:   {}:8080  \r\n\r\n",
        "GET http://{}/x HTTP/1.1\r\nHost: {}\r\n\r\n",
        "GET http://{}:81/ HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\nHost: {}\n\n",
        "\r\nPOST /a HTTP/1.1\r\nHost: {}.\r\nContent-Length: 3\r\n\r\nabc",
        "GET / HTTP/1.1\r\nX: y\r\nHost: {}\r\nHost: {}\r\n\r\n",
    ] {
        both(|host| plain(&shape.replace("{}", host)));
    }
}

#[test]
fn t21_split_over_segments() {
    for size in [1, 3, 20] {
        both(|host| {
            let text = format!("GET / HTTP/1.1\r\nA: b\r\nHost: {host}\r\n\r\n");
            Connection::new(pieces(text.as_bytes(), size)).port(80)
        });
    }
}

#[test]
fn t21_hosts_that_differ() {
    for text in [
        format!("GET / HTTP/1.1\r\nHost: {ALLOWED}\r\nHost: {BLOCKED}\r\n\r\n"),
        format!("GET http://{BLOCKED}/ HTTP/1.1\r\nHost: {ALLOWED}\r\n\r\n"),
        format!("GET http://{ALLOWED}/ HTTP/1.1\r\nHost: {BLOCKED}\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost: {ALLOWED}\r\n\r\nGET / HTTP/1.1\r\nHost: {BLOCKED}\r\n\r\n"
        ),
    ] {
        let journey = plain(&text).judge().unwrap();
        assert!(!journey.reached, "{text}\n{}", journey.outcome.table());
    }
}

#[test]
fn t21_missing_host() {
    let journey = plain("GET / HTTP/1.1\r\nAccept: */*\r\n\r\n")
        .judge()
        .unwrap();
    assert!(!journey.reached);
    assert_eq!(
        journey.reason(),
        Reason::Unnamed,
        "{}",
        journey.outcome.table()
    );
}

#[test]
fn t21_the_next_request_of_a_kept_alive_connection() {
    let first = format!("GET / HTTP/1.1\r\nHost: {ALLOWED}\r\n\r\n");
    for host in [BLOCKED, ALLOWED] {
        let second = format!("GET /2 HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let mut segments = cut(first.as_bytes(), &[]);
        let (head, tail) = second.as_bytes().split_at(25);
        segments.push(Segment::new(first.len(), head));
        segments.push(Segment::new(first.len() + 25, tail));
        let journey = Connection::new(segments).port(80).judge().unwrap();
        assert_eq!(
            journey.reached,
            host == ALLOWED,
            "{}",
            journey.outcome.table()
        );
    }
}

#[test]
fn t21_a_pipelined_request_cut_by_a_segment() {
    let first = format!("GET / HTTP/1.1\r\nHost: {ALLOWED}\r\n\r\n");
    for host in [BLOCKED, ALLOWED] {
        let text = format!("{first}GET /2 HTTP/1.1\r\nHost: {host}\r\n\r\n");
        for behind in [1, 10, 30] {
            let segments = cut(text.as_bytes(), &[first.len() + behind]);
            let journey = Connection::new(segments).port(80).judge().unwrap();
            let reached = host == ALLOWED;
            assert_eq!(
                journey.reached,
                reached,
                "{behind}\n{}",
                journey.outcome.table()
            );
        }
    }
}

#[test]
fn t21_a_body_is_no_request() {
    let text = format!("POST / HTTP/1.1\r\nHost: {ALLOWED}\r\nContent-Length: 40\r\n\r\n");
    let mut segments = cut(text.as_bytes(), &[]);
    segments.push(Segment::new(text.len(), b"Hello world, this is no method"));
    segments.push(Segment::new(text.len() + 30, b"GETwhatever"));
    let journey = Connection::new(segments).port(80).judge().unwrap();
    assert!(journey.reached, "{}", journey.outcome.table());
}

#[test]
fn t22_connect_and_socks() {
    both(|host| {
        plain(&format!(
            "CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n"
        ))
        .port(3128)
    });
    both(|host| {
        let greeting = [5, 1, 0];
        let mut request = vec![5, 1, 0, 3, host.len() as u8];
        request.extend(host.as_bytes());
        request.extend([1, 187]);
        Connection::new(vec![Segment::new(0, &greeting), Segment::new(3, &request)]).port(1080)
    });
    let mut socks4a = vec![4, 1, 1, 187, 0, 0, 0, 1, b'u', 0];
    socks4a.extend(BLOCKED.as_bytes());
    socks4a.push(0);
    let journey = Connection::new(cut(&socks4a, &[]))
        .port(1080)
        .judge()
        .unwrap();
    assert!(!journey.reached, "{}", journey.outcome.table());
}

/// A proxy's tunnel once it is open: another hello, judged like any other.
#[test]
fn t22_what_goes_through_the_tunnel() {
    let connect = format!("CONNECT {ALLOWED}:443 HTTP/1.1\r\nHost: {ALLOWED}:443\r\n\r\n");
    // By an address that the client asked for by itself.
    let socks4 = [4, 1, 1, 187, 93, 184, 216, 35, 0];
    let socks5 = [5, 1, 0, 1, 93, 184, 216, 35, 1, 187];
    let greeting: &[u8] = &[5, 1, 0];
    let ways: [&[&[u8]]; 3] = [&[connect.as_bytes()], &[&socks4], &[greeting, &socks5]];
    for way in ways {
        for size in [1400, 90, 1] {
            both(|host| {
                let hello = hello(host);
                let mut segments = Vec::new();
                let mut at = 0;
                for bytes in way.iter().copied().chain(hello.chunks(size)) {
                    segments.push(Segment::new(at, bytes));
                    at += bytes.len();
                }
                Connection::new(segments).port(3128)
            });
        }
    }
}
