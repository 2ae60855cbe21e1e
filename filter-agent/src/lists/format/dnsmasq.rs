//! dnsmasq's configuration: the directives that name domains.

use super::before_comment;
use crate::lists::emit::Emit;
use crate::lists::range::address;
use crate::lists::{IgnoredKind, Scope, Sink};

pub(super) fn line<S: Sink + ?Sized>(text: &[u8], out: &mut Emit<'_, S>) {
    let text = before_comment(text, b"#");
    if text.is_empty() {
        return;
    }
    let mut halves = text.splitn(2, |&b| b == b'=');
    let key = halves.next().unwrap_or(b"").trim_ascii();
    let key = key.strip_prefix(b"--").unwrap_or(key);
    let value = halves.next().unwrap_or(b"").trim_ascii();
    let domains = match key {
        b"address" | b"server" | b"local" | b"ipset" | b"nftset" => value.strip_prefix(b"/"),
        _ => None,
    };
    let Some(domains) = domains else {
        return out.ignore(IgnoredKind::Directive, text);
    };
    // After the last slash stands what to answer or whom to ask; prefixes in
    // `nftset` hold no slash.
    let Some(last) = memchr::memrchr(b'/', domains) else {
        return out.ignore(IgnoredKind::Unknown, text);
    };
    let (domains, target) = (
        domains.get(..last).unwrap_or(&[]),
        domains.get(last + 1..).unwrap_or(&[]),
    );
    // `#` in `server` means: ask as usual, that is, an exception to a line
    // about a domain above.
    let exception = key == b"server" && target == b"#";
    if key == b"address" && address(target).is_some_and(|a| !a.is_unspecified() && !a.is_loopback())
    {
        // As `address=/www.google.com/216.239.38.120` for a safe search.
        return out.ignore(IgnoredKind::Rewrite, text);
    }
    for domain in domains.split(|&b| b == b'/') {
        match domain {
            b"" => {}
            b"#" => out.ignore(IgnoredKind::Wildcard, text),
            _ => {
                let name = domain
                    .strip_prefix(b"*.")
                    .or_else(|| domain.strip_prefix(b"."))
                    .unwrap_or(domain);
                if memchr::memchr(b'*', name).is_some() {
                    out.ignore(IgnoredKind::Wildcard, text);
                } else {
                    out.name(name, Scope::Subtree, exception);
                }
            }
        }
    }
}
