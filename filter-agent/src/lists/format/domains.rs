//! Plain lists: an entry a line.

use super::before_comment;
use crate::lists::emit::Emit;
use crate::lists::{IgnoredKind, Sink};

pub(super) fn line<S: Sink + ?Sized>(text: &[u8], out: &mut Emit<'_, S>) {
    let entry = match text.first() {
        // Most lines: a name up to the end of the line.
        Some(first) if first.is_ascii_alphanumeric() && !has_blank(text) => text,
        Some(b'#' | b';' | b'!') | None => return,
        _ => without_slashes(before_comment(text, b"#;!")),
    };
    if entry.is_empty() || entry.starts_with(b"//") {
        return;
    }
    let entry = entry.strip_suffix(b",").unwrap_or(entry);
    if has_blank(entry) && crate::lists::parse_range(entry).is_none() {
        return out.ignore(IgnoredKind::Unknown, text);
    }
    out.bare(before_hash(entry));
}

/// Without a comment in `//`, as JSON with comments has it.
fn without_slashes(text: &[u8]) -> &[u8] {
    let at = memchr::memmem::find(text, b" //");
    at.map_or(text, |at| text.get(..at).unwrap_or(text).trim_ascii_end())
}

/// `name#comment`; in a URL the mark begins a fragment.
fn before_hash(entry: &[u8]) -> &[u8] {
    match memchr::memchr2(b'#', b'/', entry) {
        Some(at) if at > 0 && entry.get(at) == Some(&b'#') => entry.get(..at).unwrap_or(entry),
        _ => entry,
    }
}

fn has_blank(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_whitespace)
}
