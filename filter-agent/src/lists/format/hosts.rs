//! Hosts files, as `hosts(5)` has them: an address and its names.

use super::{before_comment, words};
use crate::lists::emit::Emit;
use crate::lists::range::address;
use crate::lists::{IgnoredKind, Sink};

pub(super) fn line<S: Sink + ?Sized>(text: &[u8], out: &mut Emit<'_, S>) {
    // In hosts files a comment needs no blank before it.
    let text = match memchr::memchr(b'#', text) {
        Some(at) => text.get(..at).unwrap_or(text),
        None => text,
    };
    let mut words = words(text);
    let Some(first) = words.next() else { return };
    // A zone (`fe80::1%lo0`) is no part of the address.
    let bare = first.split(|&b| b == b'%').next().unwrap_or(first);
    // Some lists write `0` for 0.0.0.0, as inet_aton(3) reads it.
    let bare = if bare == b"0" { b"0.0.0.0" } else { bare };
    let Some(target) = address(bare) else {
        let entry = before_comment(text, b";!");
        return match entry {
            b"" => {}
            _ if words.next().is_none() => out.bare(entry),
            _ => out.ignore(IgnoredKind::Unknown, text),
        };
    };
    let sinkhole = target.is_unspecified() || target.is_loopback();
    let mut named = false;
    for name in words {
        named = true;
        if boilerplate(name) || address(name).is_some() {
            out.ignore(IgnoredKind::Boilerplate, text);
        } else if sinkhole {
            out.bare(name);
        } else {
            out.ignore(IgnoredKind::Rewrite, text);
        }
    }
    if !named {
        out.ignore(IgnoredKind::Unknown, text);
    }
}

/// The names by which machines call themselves.
fn boilerplate(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] = [
        b"localhost",
        b"localhost.localdomain",
        b"local",
        b"broadcasthost",
        b"localhost6.localdomain6",
    ];
    name.starts_with(b"ip6-") || NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}
