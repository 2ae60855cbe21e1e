//! AdGuard and Adblock Plus rules, as far as they name whole hosts.
//!
//! Grammar: AdGuard's "DNS filtering rules syntax". A rule with a modifier
//! that is not known here is left out whole: applied without it, it would
//! block more than its author meant.

use super::words;
use crate::lists::emit::Emit;
use crate::lists::range::address;
use crate::lists::{IgnoredKind, Scope, Sink};

/// A list being read.
#[derive(Default)]
pub(in crate::lists) struct Rules {
    /// Conditions (`!#if`) that are open.
    conditions: u32,
}

impl Rules {
    pub(super) fn line<S: Sink + ?Sized>(&mut self, text: &[u8], out: &mut Emit<'_, S>) {
        let text = text.trim_ascii();
        if let Some(directive) = text.strip_prefix(b"!#") {
            if directive.starts_with(b"if") {
                self.conditions = self.conditions.saturating_add(1);
            } else if directive.starts_with(b"endif") {
                self.conditions = self.conditions.saturating_sub(1);
            } else if directive.starts_with(b"include") {
                out.ignore(IgnoredKind::Include, text);
            }
        } else if self.conditions == 0 {
            rule(text, out);
        } else if !text.is_empty() && !text.starts_with(b"!") {
            // Meant for some browser or other, and none is asked about.
            out.ignore(IgnoredKind::Modifier, text);
        }
    }
}

fn rule<S: Sink + ?Sized>(text: &[u8], out: &mut Emit<'_, S>) {
    match text.first() {
        None | Some(b'!') => return,
        Some(b'[') if text.ends_with(b"]") => return,
        _ => {}
    }
    if is_cosmetic(text) {
        return out.ignore(IgnoredKind::Cosmetic, text);
    }
    if text.starts_with(b"#") {
        return;
    }
    let (rule, exception) = match text.strip_prefix(b"@@") {
        Some(rule) => (rule, true),
        None => (text, false),
    };
    let (pattern, modifiers) = split_modifiers(rule);
    if let Some(modifiers) = modifiers
        && !modifiers
            .split(|&b| b == b',')
            .all(|modifier| is_kept(modifier.trim_ascii(), exception))
    {
        return out.ignore(IgnoredKind::Modifier, text);
    }
    let (host, scope) = match (pattern.strip_prefix(b"||"), pattern.strip_prefix(b"|")) {
        (Some(host), _) => (host, Scope::Subtree),
        (_, Some(host)) => (host, Scope::Exact),
        _ => return bare(pattern, exception, text, out),
    };
    // `|https://name^` and `|https://name/` are all that a host encrypts.
    let https = host
        .strip_prefix(b"https://")
        .filter(|_| scope == Scope::Exact);
    let host = match https {
        Some(host) => host.strip_suffix(b"/").unwrap_or(host),
        None => host,
    };
    let end = host.strip_suffix(b"|").unwrap_or(host);
    let end = end.strip_suffix(b"^").unwrap_or(end);
    if let Some(kind) = not_a_host(end) {
        return out.ignore(kind, text);
    }
    // `||*.name^` means what is below; there is no such entry without the
    // name itself.
    out.entry(end, scope, exception);
}

/// A rule without an anchor: a bare host, a line of a hosts file, or a
/// pattern for paths.
fn bare<S: Sink + ?Sized>(pattern: &[u8], exception: bool, text: &[u8], out: &mut Emit<'_, S>) {
    let mut words = words(pattern);
    let first = words.next().unwrap_or(b"");
    if exception || !pattern.contains(&b' ') && !pattern.contains(&b'\t') {
        let host = pattern.strip_suffix(b"^").unwrap_or(pattern);
        return match not_a_host(host) {
            Some(kind) => out.ignore(kind, text),
            None if host.contains(&b'.') || host.contains(&b':') => {
                out.entry(host, out.scope, exception);
            }
            None => out.ignore(IgnoredKind::Pattern, text),
        };
    }
    match address(first) {
        Some(_) => super::hosts::line(pattern, out),
        None => out.ignore(IgnoredKind::Pattern, text),
    }
}

/// Why a pattern names no host, if it does not.
fn not_a_host(pattern: &[u8]) -> Option<IgnoredKind> {
    if pattern.len() > 1 && pattern.starts_with(b"/") && pattern.ends_with(b"/") {
        return Some(IgnoredKind::Regex);
    }
    let below = pattern.strip_prefix(b"*.").unwrap_or(pattern);
    if memchr::memchr(b'*', below).is_some() {
        return Some(IgnoredKind::Wildcard);
    }
    if pattern.is_empty()
        || below
            .iter()
            .any(|b| matches!(b, b'^' | b'|' | b'=' | b'&' | b'?'))
    {
        return Some(IgnoredKind::Pattern);
    }
    if memchr::memchr(b'/', below).is_some() && crate::lists::parse_range(below).is_none() {
        return Some(IgnoredKind::Path);
    }
    (below.starts_with(b".") || below.starts_with(b"-") || below.starts_with(b"_"))
        .then_some(IgnoredKind::Pattern)
}

/// `##`, `#@#`, `#?#`, `#$#`, `#%#` and their mixtures, `$$` and `$@$`.
fn is_cosmetic(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'#', b'$', text.get(at..).unwrap_or(&[])) {
        let rest = text.get(at + found..).unwrap_or(&[]);
        if rest.starts_with(b"$$") || rest.starts_with(b"$@$") {
            return true;
        }
        if let Some(marks) = rest.strip_prefix(b"#") {
            let inner = marks
                .iter()
                .take_while(|b| matches!(b, b'@' | b'?' | b'$' | b'%'))
                .count();
            let closed = inner <= 3 && marks.get(inner) == Some(&b'#');
            // `## headline` at the start of a line is a comment.
            let selector = marks
                .get(inner + 1)
                .is_some_and(|b| !b.is_ascii_whitespace() && *b != b'#');
            if closed && selector {
                return true;
            }
        }
        at += found + 1;
    }
    false
}

/// Splits `pattern$modifiers`; the `$` inside a regular expression is none.
fn split_modifiers(rule: &[u8]) -> (&[u8], Option<&[u8]>) {
    if rule.starts_with(b"/") {
        let Some(end) = memchr::memrchr(b'/', rule) else {
            return (rule, None);
        };
        let (pattern, rest) = rule.split_at((end + 1).min(rule.len()));
        return match rest.strip_prefix(b"$") {
            Some(modifiers) => (pattern, Some(modifiers)),
            None => (rule, None),
        };
    }
    match memchr::memchr(b'$', rule) {
        Some(at) => (rule.get(..at).unwrap_or(rule), rule.get(at + 1..)),
        None => (rule, None),
    }
}

/// Whether a rule keeps its meaning for a filter of whole hosts. `document`
/// and `all` in a blocking rule block the whole host; in an exception they
/// speak of requests made by a page.
fn is_kept(modifier: &[u8], exception: bool) -> bool {
    modifier == b"important" || (!exception && matches!(modifier, b"all" | b"document" | b"doc"))
}
