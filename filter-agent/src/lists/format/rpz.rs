//! Response policy zones (draft-vixie-dnsop-dns-rpz), as master files
//! (RFC 1035 section 5).

use std::borrow::Cow;

use super::words;
use crate::lists::emit::Emit;
use crate::lists::range::address;
use crate::lists::{IgnoredKind, Scope, Sink};

/// A zone being read.
#[derive(Default)]
pub(in crate::lists) struct Zone {
    /// The apex, without trailing dot: what policy names end in when they
    /// are written out.
    apex: Vec<u8>,
    /// `$ORIGIN` below the apex; empty at it.
    origin: Vec<u8>,
    /// `$ORIGIN .`: every name is written out.
    at_root: bool,
    /// The owner of the last record, for lines that begin with a blank.
    owner: Vec<u8>,
    /// Open parentheses.
    depth: u32,
}

/// Where zones send search engines: those are to be asked, not blocked.
const SAFE_SEARCH: [&[u8]; 8] = [
    b"forcesafesearch.google.com",
    b"restrict.youtube.com",
    b"restrictmoderate.youtube.com",
    b"strict.bing.com",
    b"safe.duckduckgo.com",
    b"familysearch.yandex.ru",
    b"forcesafe.search.brave.com",
    b"safesearch.pixabay.com",
];

/// What a record does with its name.
enum Action {
    Block,
    Pass,
    Leave(IgnoredKind),
    /// The zone's own administration.
    Silent,
}

impl Zone {
    pub(super) fn line<S: Sink + ?Sized>(&mut self, text: &[u8], out: &mut Emit<'_, S>) {
        let text = without_comment(text);
        let inside = self.depth > 0;
        for at in memchr::memchr2_iter(b'(', b')', text) {
            match text.get(at) {
                Some(b'(') => self.depth = self.depth.saturating_add(1),
                _ => self.depth = self.depth.saturating_sub(1),
            }
        }
        if inside || text.is_empty() {
            return;
        }
        if text.starts_with(b"$") {
            return self.directive(text, out);
        }
        let mut words = words(text);
        if !text.starts_with(b" ") && !text.starts_with(b"\t") {
            self.owner.clear();
            self.owner.extend_from_slice(words.next().unwrap_or(b""));
            self.owner.make_ascii_lowercase();
        }
        let Some(kind) = words.find(|word| !is_ttl(word) && !is_class(word)) else {
            return;
        };
        let rdata = words.next().unwrap_or(b"");
        match self.action(kind, rdata) {
            Action::Silent => {}
            Action::Leave(kind) => out.ignore(kind, text),
            Action::Block => self.deliver(false, text, out),
            Action::Pass => self.deliver(true, text, out),
        }
    }

    fn directive<S: Sink + ?Sized>(&mut self, text: &[u8], out: &mut Emit<'_, S>) {
        let mut words = words(text);
        let (key, value) = (words.next().unwrap_or(b""), words.next().unwrap_or(b""));
        if key.eq_ignore_ascii_case(b"$TTL") {
            return;
        }
        if !key.eq_ignore_ascii_case(b"$ORIGIN") {
            return out.ignore(IgnoredKind::Directive, text);
        }
        let value = value.to_ascii_lowercase();
        self.at_root = value == b".";
        let written_out = value.strip_suffix(b".").unwrap_or(&value);
        if self.apex.is_empty() {
            self.apex = written_out.to_vec();
            self.origin.clear();
        } else {
            self.origin = below(written_out, &self.apex).to_vec();
        }
    }

    fn action(&mut self, kind: &[u8], rdata: &[u8]) -> Action {
        if kind.eq_ignore_ascii_case(b"SOA") {
            if let Some(apex) = self.owner.strip_suffix(b".") {
                self.apex = apex.to_vec();
                self.origin.clear();
            }
            return Action::Silent;
        }
        if kind.eq_ignore_ascii_case(b"NS") {
            return Action::Silent;
        }
        if kind.eq_ignore_ascii_case(b"A") || kind.eq_ignore_ascii_case(b"AAAA") {
            return match address(rdata) {
                Some(address) if address.is_unspecified() || address.is_loopback() => Action::Block,
                _ => Action::Leave(IgnoredKind::Rewrite),
            };
        }
        if !kind.eq_ignore_ascii_case(b"CNAME") {
            return Action::Leave(IgnoredKind::Directive);
        }
        let target = rdata.strip_suffix(b".").unwrap_or(rdata);
        let is = |word: &[u8]| target.eq_ignore_ascii_case(word);
        if rdata.is_empty() {
            Action::Leave(IgnoredKind::Unknown)
        } else if is(b"") || is(b"*") || is(b"rpz-drop") {
            Action::Block
        } else if is(b"rpz-tcp-only") {
            Action::Leave(IgnoredKind::Action)
        } else if is(b"rpz-passthru") || is(&self.name()) {
            // The old spelling of passthru: a CNAME to itself.
            Action::Pass
        } else if SAFE_SEARCH.iter().any(|safe| is(safe)) {
            Action::Leave(IgnoredKind::Rewrite)
        } else {
            // A walled garden: the page that stands in place of the host.
            Action::Block
        }
    }

    /// The owner without the zone's apex; empty for the apex itself.
    fn name(&self) -> Cow<'_, [u8]> {
        if self.owner == b"@" {
            return self.origin.as_slice().into();
        }
        match self.owner.strip_suffix(b".") {
            Some(written_out) => below(written_out, &self.apex).into(),
            None if self.at_root => below(&self.owner, &self.apex).into(),
            None if self.origin.is_empty() => self.owner.as_slice().into(),
            None => [self.owner.as_slice(), b".", &self.origin].concat().into(),
        }
    }

    fn deliver<S: Sink + ?Sized>(&self, exception: bool, text: &[u8], out: &mut Emit<'_, S>) {
        const TRIGGERS: [&[u8]; 4] = [b"rpz-ip", b"rpz-client-ip", b"rpz-nsip", b"rpz-nsdname"];
        let name = self.name();
        let last = name.rsplit(|&b| b == b'.').next().unwrap_or(b"");
        if TRIGGERS.contains(&last) {
            return out.ignore(IgnoredKind::IpTrigger, text);
        }
        if name.is_empty() {
            return out.ignore(IgnoredKind::Directive, text);
        }
        let (host, scope) = match name.strip_prefix(b"*.") {
            Some(host) => (host, Scope::Subtree),
            None => (&*name, Scope::Exact),
        };
        if memchr::memchr(b'*', host).is_some() {
            return out.ignore(IgnoredKind::Wildcard, text);
        }
        out.name(host, scope, exception);
    }
}

/// `name` without `apex` at its end; all of it when it lies elsewhere.
fn below<'a>(name: &'a [u8], apex: &[u8]) -> &'a [u8] {
    if name == apex {
        return b"";
    }
    match name.strip_suffix(apex) {
        Some(rest) if !apex.is_empty() => rest.strip_suffix(b".").unwrap_or(name),
        _ => name,
    }
}

/// The line before a `;` that is not quoted, without blanks at its end.
fn without_comment(text: &[u8]) -> &[u8] {
    let mut quoted = false;
    for at in memchr::memchr2_iter(b'"', b';', text) {
        match text.get(at) {
            Some(b'"') => quoted = !quoted,
            _ if !quoted => return text.get(..at).unwrap_or(text).trim_ascii_end(),
            _ => {}
        }
    }
    text.trim_ascii_end()
}

/// Digits with or without the units of BIND (`1h30m`).
fn is_ttl(word: &[u8]) -> bool {
    word.first().is_some_and(u8::is_ascii_digit)
        && word
            .iter()
            .all(|b| b.is_ascii_digit() || b"smhdwSMHDW".contains(b))
}

fn is_class(word: &[u8]) -> bool {
    [&b"IN"[..], b"CH", b"HS"]
        .iter()
        .any(|class| class.eq_ignore_ascii_case(word))
}
