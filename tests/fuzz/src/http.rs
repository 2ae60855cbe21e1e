//! HTTP heads beside httparse.

use crate::Explained;
use crate::ours::{Answer, is_host, normal};
use filter_ebpf::abi::Reason;
use filter_ebpf::inspect::CHUNK;

/// What httparse shows of the heads in a stream.
#[derive(Debug, Default)]
struct Seen {
    /// Heads that are complete.
    heads: usize,
    /// Why the first one is not.
    first: Option<First>,
    /// Hosts of targets and Hosts, port and brackets off.
    hosts: Vec<String>,
    bad_host: bool,
    empty_host: bool,
    /// Heads that name no host.
    unnamed: usize,
    /// Bytes, or a broken head, behind a complete one.
    later: bool,
    bad_length: bool,
    /// A target that is neither a path, `*`, nor a URL with a host.
    odd_target: bool,
    /// A method longer than we compare.
    long_method: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Partial,
    Refused,
}

pub(crate) fn compare(input: &[u8], ours: &Answer) -> Result<Vec<Explained>, String> {
    let seen = look(input);
    explain(input, ours, &seen)
        .map(|reason| reason.into_iter().collect())
        .ok_or_else(|| format!("ours: {ours:?}, httparse: {seen:?}"))
}

fn explain(input: &[u8], ours: &Answer, seen: &Seen) -> Option<Option<Explained>> {
    if seen.heads == 0 {
        return Some(match (ours, seen.first) {
            (Answer::More, Some(First::Partial)) | (Answer::Failed(_), Some(First::Refused)) => {
                None
            }
            (Answer::Failed(_), _) => Some(Explained::WeFailEarlier),
            (Answer::More, _) => Some(Explained::WeWaitLonger),
            (_, Some(First::Refused)) => Some(Explained::JudgeStricter),
            // HTTP/0.9 is complete with its first line.
            _ if input.contains(&b'\n') => Some(Explained::JudgeWaits),
            _ => return None,
        });
    }
    let fine = !seen.bad_host && (!seen.empty_host || seen.hosts.is_empty());
    let mixed = seen.unnamed != 0 && !seen.hosts.is_empty();
    match ours {
        Answer::Name(name) if fine && !mixed && seen.hosts.iter().all(|host| host == name) => {
            (!seen.hosts.is_empty() || seen.later).then_some(None)
        }
        Answer::Unnamed if seen.hosts.is_empty() && fine => Some(None),
        Answer::Failed(_) if seen.bad_host => Some(Some(Explained::NameRules)),
        Answer::Failed(_) if seen.hosts.windows(2).any(|two| two[0] != two[1]) => {
            Some(Some(Explained::TwoNames))
        }
        Answer::Failed(_) if !fine => Some(Some(Explained::EmptyHost)),
        Answer::Failed(_) if mixed => Some(Some(Explained::TwoNames)),
        Answer::Failed(_) if seen.bad_length => Some(Some(Explained::ContentLength)),
        Answer::Failed(_) if seen.later => Some(Some(Explained::LaterHead)),
        Answer::Failed(_) if seen.odd_target => Some(Some(Explained::TargetForm)),
        Answer::Failed(Reason::UnknownProtocol | Reason::HelloTooLong) if seen.long_method => {
            Some(Some(Explained::OtherProtocol))
        }
        _ => None,
    }
}

fn look(input: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut left = input;
    while !left.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        let end = match request.parse(left) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => {
                seen.first = Some(First::Partial);
                seen.later = seen.heads != 0;
                break;
            }
            Err(_) => {
                seen.first = Some(First::Refused);
                seen.later = seen.heads != 0;
                break;
            }
        };
        seen.heads += 1;
        seen.later |= seen.heads > 1;
        let (head, rest) = left.split_at(end.min(left.len()));
        left = rest;
        let before = seen.hosts.len();
        let is_connect = take(&request, &mut seen);
        seen.unnamed += usize::from(seen.hosts.len() == before);
        let Some(body) = body(&request, is_connect, &mut seen) else {
            // Its chunks are ours alone to read.
            seen.later |= !left.is_empty();
            seen.bad_length |= request.version == Some(0) || is_mixed(head);
            break;
        };
        seen.bad_length |= body != 0 && is_mixed(head);
        let at = input.len() - left.len();
        if is_connect || is_passed_over(at, body) {
            seen.later |= !left.is_empty();
            break;
        }
        left = left.get(body..).unwrap_or_default();
    }
    seen
}

/// Whether some of a head's lines end with CRLF and others with a bare LF;
/// empty lines may come before it.
fn is_mixed(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    let ends = head.iter().filter(|byte| **byte == b'\n').count();
    let crlf = head.windows(2).filter(|two| two == b"\r\n").count();
    crlf != 0 && crlf != ends
}

/// Whether a body that begins at `at` is so long that our inspector does not
/// read to its end: what is behind it is another inspection's.
fn is_passed_over(at: usize, body: usize) -> bool {
    at + body >= at.next_multiple_of(CHUNK) + CHUNK
}

/// Target and Hosts of a head; whether it is CONNECT.
fn take(request: &httparse::Request<'_, '_>, seen: &mut Seen) -> bool {
    let method = request.method.unwrap_or_default();
    let target = request.path.unwrap_or_default();
    let is_connect = method.eq_ignore_ascii_case("connect");
    // Longer than any first line that we wait for.
    seen.long_method |= method.len() + target.len() > 2000;
    if is_connect {
        host(target.as_bytes(), seen);
    } else if let Some((scheme, rest)) = target.split_once("://")
        && !scheme.is_empty()
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        seen.bad_host |= authority.is_empty();
        host(authority.as_bytes(), seen);
    } else if !target.starts_with(['/', '*']) {
        seen.odd_target = true;
    }
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("host") {
            host(header.value.trim_ascii(), seen);
        }
    }
    is_connect
}

/// Takes `host[:port]`.
fn host(value: &[u8], seen: &mut Seen) {
    if value.is_empty() {
        seen.empty_host = true;
        return;
    }
    let (host, rest) = if let Some(inner) = value.strip_prefix(b"[") {
        let end = inner.iter().position(|b| *b == b']');
        let (host, rest) = inner.split_at(end.unwrap_or(inner.len()));
        seen.bad_host |= end.is_none() || !host.contains(&b':');
        (host, rest.get(1..).unwrap_or_default())
    } else {
        let end = value.iter().position(|b| *b == b':');
        let (host, rest) = value.split_at(end.unwrap_or(value.len()));
        (host, rest)
    };
    let port = rest.strip_prefix(b":").unwrap_or(rest);
    seen.bad_host |= (!rest.is_empty() && port.len() == rest.len())
        || !port.iter().all(u8::is_ascii_digit)
        || !is_host(host);
    seen.hosts.push(normal(&String::from_utf8_lossy(host)));
}

/// Bytes of the body; `None` when that is not told by a number.
fn body(request: &httparse::Request<'_, '_>, is_connect: bool, seen: &mut Seen) -> Option<usize> {
    let mut length = None;
    let mut chunked = false;
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            let known = header.value.trim_ascii().eq_ignore_ascii_case(b"chunked");
            seen.bad_length |= chunked || !known;
            chunked = true;
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            let digits = header.value.trim_ascii();
            let fine = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            // Larger than any input is large enough.
            let value = digits.iter().fold(0usize, |n, d| {
                (n * 10 + usize::from(d.wrapping_sub(b'0'))).min(1 << 24)
            });
            seen.bad_length |= !fine || length.is_some_and(|length| length != value);
            length = Some(value);
        }
    }
    seen.bad_length |= chunked && (length.is_some() || is_connect);
    seen.bad_length |= is_connect && length.is_some_and(|length| length != 0);
    if chunked {
        None
    } else {
        Some(length.unwrap_or(0))
    }
}
