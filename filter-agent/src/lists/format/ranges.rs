//! Ranges `a-b`: plain, P2P (`text:a-b`) and DAT (`a - b , level , text`).

use super::before_comment;
use crate::lists::emit::Emit;
use crate::lists::range::{RANGE_MAX, written};
use crate::lists::{IgnoredKind, Sink, parse_range};

pub(super) fn line<S: Sink + ?Sized>(text: &[u8], out: &mut Emit<'_, S>) {
    // `#` and `;` may stand inside a description.
    let text = text.trim_ascii();
    if text.is_empty() || matches!(text.first(), Some(b'#' | b';')) || text.starts_with(b"//") {
        return;
    }
    let mut columns = text.split(|&b| b == b',').map(column);
    let first = columns.next().unwrap_or(b"");
    if let Some(written) = written(first) {
        return match columns.next() {
            // Above 127 a DAT file permits the range.
            Some(level) if level_of(level).is_some_and(|level| level > 127) => {
                out.ignore(IgnoredKind::Permitted, text);
            }
            // `first,last` of country tables.
            Some(last) if is_single(first) && is_single(last) => {
                out.range(&[first, b"-", last].concat());
            }
            _ => out.written(written, first),
        };
    }
    // P2P: the description comes first and may hold colons; the range is
    // the longest text after a colon that reads as one.
    // No range is longer than two addresses and blanks.
    let mut from = text.len().saturating_sub(RANGE_MAX + 1);
    while let Some(at) = memchr::memchr(b':', text.get(from..).unwrap_or(&[])) {
        from += at + 1;
        let rest = text.get(from..).unwrap_or(&[]).trim_ascii();
        if memchr::memchr(b'-', rest).is_some() && parse_range(rest).is_some() {
            return out.range(rest);
        }
    }
    out.range(before_comment(text, b"#;"));
}

/// A column of a table, which may be quoted.
pub(in crate::lists) fn column(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    let inside = text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\""));
    inside.unwrap_or(text)
}

fn level_of(text: &[u8]) -> Option<u32> {
    (text.len() <= 4 && text.iter().all(u8::is_ascii_digit))
        .then(|| str::from_utf8(text).ok()?.parse().ok())?
}

fn is_single(text: &[u8]) -> bool {
    crate::lists::range::address(text).is_some()
}
