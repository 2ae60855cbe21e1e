//! unbound's configuration (`unbound.conf(5)`): local zones and local data.

use super::{before_comment, words};
use crate::lists::emit::Emit;
use crate::lists::range::address;
use crate::lists::{IgnoredKind, Scope, Sink};

/// A configuration being read.
#[derive(Default)]
pub(in crate::lists) struct Zones {
    /// The last zone of the type `redirect`, in lower case: its data speaks
    /// for everything below.
    redirect: Vec<u8>,
}

impl Zones {
    pub(super) fn line<S: Sink + ?Sized>(&mut self, text: &[u8], out: &mut Emit<'_, S>) {
        let text = before_comment(text, b"#");
        let Some(at) = memchr::memchr(b':', text) else {
            return match text {
                b"" => {}
                _ => out.ignore(IgnoredKind::Unknown, text),
            };
        };
        let (key, value) = text.split_at(at);
        let value = value.get(1..).unwrap_or(&[]).trim_ascii();
        match key {
            b"local-zone" => self.zone(value, text, out),
            b"local-data" => self.data(value, text, out),
            // The head of a clause.
            _ if value.is_empty() => {}
            _ => out.ignore(IgnoredKind::Directive, text),
        }
    }

    fn zone<S: Sink + ?Sized>(&mut self, value: &[u8], text: &[u8], out: &mut Emit<'_, S>) {
        let mut words = words(value);
        let (Some(name), Some(kind)) = (words.next(), words.next()) else {
            return out.ignore(IgnoredKind::Unknown, text);
        };
        let name = unquoted(name);
        match unquoted(kind) {
            b"always_nxdomain" | b"always_nodata" | b"always_null" | b"always_refuse"
            | b"always_deny" | b"refuse" | b"deny" | b"static" | b"inform_deny" => {
                out.name(name, Scope::Subtree, false);
            }
            b"always_transparent" | b"transparent" | b"typetransparent" => {
                out.name(name, Scope::Subtree, true);
            }
            b"redirect" | b"inform_redirect" => {
                let name = name.strip_suffix(b".").unwrap_or(name);
                self.redirect = name.to_ascii_lowercase();
            }
            _ => out.ignore(IgnoredKind::Action, text),
        }
    }

    /// `"name [ttl] [class] A address"`.
    fn data<S: Sink + ?Sized>(&mut self, value: &[u8], text: &[u8], out: &mut Emit<'_, S>) {
        let mut words = words(unquoted(value));
        let name = words.next().unwrap_or(b"");
        let is_address = |word: &&[u8]| matches!(*word, b"A" | b"AAAA" | b"a" | b"aaaa");
        let target = match words.find(is_address) {
            Some(_) => words.next().and_then(address),
            None => None,
        };
        if !target.is_some_and(|target| target.is_unspecified() || target.is_loopback()) {
            return out.ignore(IgnoredKind::Rewrite, text);
        }
        let redirected = name
            .strip_suffix(b".")
            .unwrap_or(name)
            .eq_ignore_ascii_case(&self.redirect);
        let scope = if redirected {
            Scope::Subtree
        } else {
            Scope::Exact
        };
        out.name(name, scope, false);
    }
}

fn unquoted(text: &[u8]) -> &[u8] {
    let inside = |quote: &[u8]| text.strip_prefix(quote)?.strip_suffix(quote);
    inside(b"\"").or_else(|| inside(b"'")).unwrap_or(text)
}
