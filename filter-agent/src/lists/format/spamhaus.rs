//! Spamhaus DROP: `prefix ; SBL…`, or a JSON object a line.

use serde::Deserialize;

use super::before_comment;
use crate::lists::emit::Emit;
use crate::lists::{IgnoredKind, Sink};

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    cidr: Option<&'a str>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a str>,
}

pub(super) fn line<S: Sink + ?Sized>(text: &[u8], out: &mut Emit<'_, S>) {
    let text = text.trim_ascii();
    if !text.starts_with(b"{") {
        let entry = before_comment(text, b"#;");
        // `prefix;SBL` without a blank is seen, too.
        let entry = entry
            .split(|&b| b == b';')
            .next()
            .unwrap_or(entry)
            .trim_ascii();
        if !entry.is_empty() {
            out.range(entry);
        }
        return;
    }
    match serde_json::from_slice(text) {
        Ok(Record {
            cidr: Some(prefix), ..
        }) => out.range(prefix.as_bytes()),
        Ok(Record {
            kind: Some("metadata"),
            ..
        }) => {}
        // ASN-DROP names autonomous systems, not addresses.
        Ok(_) => out.ignore(IgnoredKind::Directive, text),
        Err(_) => out.ignore(IgnoredKind::Unknown, text),
    }
}
