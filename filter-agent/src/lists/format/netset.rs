//! Addresses and prefixes, plain, as `ipset save` writes them, or as Tor's
//! list of exits has them.

use super::{before_comment, words};
use crate::lists::emit::Emit;
use crate::lists::range::written;
use crate::lists::{IgnoredKind, Sink, parse_range};

pub(super) fn line<S: Sink + ?Sized>(text: &[u8], out: &mut Emit<'_, S>) {
    let text = before_comment(text, b"#;");
    let mut words = words(text);
    let Some(first) = words.next() else { return };
    if matches!(first, b"add" | b"-A" | b"--add") {
        let (Some(_set), Some(entry)) = (words.next(), words.next()) else {
            return out.ignore(IgnoredKind::Unknown, text);
        };
        if words.any(|option| option == b"nomatch") {
            return out.except_range(entry);
        }
        return match memchr::memchr(b',', entry) {
            // `hash:net,port` and the like match less than the prefix.
            Some(_) => out.ignore(IgnoredKind::Port, text),
            None => out.range(entry),
        };
    }
    if matches!(
        first,
        b"create" | b"-N" | b"flush" | b"destroy" | b"swap" | b"rename" | b"COMMIT" | b"-exist"
    ) {
        return out.ignore(IgnoredKind::Directive, text);
    }
    match (first, words.clone().next()) {
        (b"ExitAddress", Some(address)) => return out.range(address),
        (b"ExitNode" | b"Published" | b"LastStatus", Some(_)) => return,
        _ => {}
    }
    if let Some(entry) = text.strip_prefix(b"!") {
        return out.except_range(entry.trim_ascii());
    }
    let entry = text.strip_suffix(b",").unwrap_or(text);
    if let Some(written) = written(entry) {
        return out.written(written, entry);
    }
    // Columns after the address, or a stray name.
    match words.next() {
        Some(_) if parse_range(first).is_some() => out.range(first),
        Some(_) => out.ignore(IgnoredKind::Unknown, text),
        None => out.bare(entry),
    }
}
