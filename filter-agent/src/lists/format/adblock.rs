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
    // Most lines, and nothing in them that what follows would look for.
    if out.withdrawn.is_empty()
        && let Some(host) = host_alone(text)
    {
        return out.entry(host, Scope::Subtree, false);
    }
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
    let text = without_comment(text);
    let (rule, exception) = match text.strip_prefix(b"@@") {
        Some(rule) => (rule, true),
        None => (text, false),
    };
    let (pattern, modifiers) = split_modifiers(rule);
    if is_bad_filter(modifiers) || !out.withdrawn.is_empty() && out.withdrawn.contains(&key(text)) {
        return out.ignore(IgnoredKind::Withdrawn, text);
    }
    if let Some(modifiers) = modifiers
        && !are_kept(modifiers, exception)
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

/// The host of `||host^`, of letters, digits, dots and hyphens.
fn host_alone(text: &[u8]) -> Option<&[u8]> {
    let host = text.strip_prefix(b"||")?.strip_suffix(b"^")?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let begins = host.first().is_some_and(u8::is_ascii_alphanumeric);
    (begins && host.iter().all(plain)).then_some(host)
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
    if let Some(at) = memchr::memrchr(b':', below)
        && is_port(below.get(at + 1..).unwrap_or(&[]))
        && crate::lists::parse_range(below).is_none()
    {
        return Some(IgnoredKind::Port);
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

fn is_port(text: &[u8]) -> bool {
    !text.is_empty() && text.len() <= 5 && text.iter().all(u8::is_ascii_digit)
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
/// and `all` in a blocking rule block the whole host, whatever types stand
/// beside them; in an exception they speak of requests made by a page.
fn are_kept(modifiers: &[u8], exception: bool) -> bool {
    let mut whole = false;
    let mut types = false;
    for modifier in modifiers.split(|&b| b == b',') {
        match modifier.trim_ascii() {
            b"important" => {}
            b"all" | b"document" | b"doc" if !exception => whole = true,
            modifier if TYPES.contains(&modifier) && !exception => types = true,
            _ => return false,
        }
    }
    whole || !types
}

/// The rule that a line with `$badfilter` takes back, as [`key`] has it.
pub(in crate::lists) fn withdraws(line: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(line, b"badfilter")?;
    let rule = without_comment(line.trim_ascii());
    let (_, modifiers) = split_modifiers(rule.strip_prefix(b"@@").unwrap_or(rule));
    is_bad_filter(modifiers).then(|| key(rule))
}

fn is_bad_filter(modifiers: Option<&[u8]>) -> bool {
    modifiers.is_some_and(|all| {
        all.split(|&b| b == b',')
            .any(|modifier| modifier.trim_ascii() == b"badfilter")
    })
}

/// A rule with its modifiers in order and without `badfilter`.
fn key(rule: &[u8]) -> Vec<u8> {
    let body = rule.strip_prefix(b"@@").unwrap_or(rule);
    let (pattern, modifiers) = split_modifiers(body);
    let modifiers = modifiers.unwrap_or(&[]).split(|&b| b == b',');
    let mut modifiers: Vec<_> = modifiers
        .map(<[u8]>::trim_ascii)
        .filter(|modifier| !modifier.is_empty() && *modifier != b"badfilter")
        .collect();
    modifiers.sort_unstable();
    let mut key = rule.get(..rule.len() - body.len()).unwrap_or(&[]).to_vec();
    key.extend_from_slice(pattern);
    for modifier in modifiers {
        key.push(b'$');
        key.extend_from_slice(modifier);
    }
    key
}

/// Types of requests. A rule with several means any of them.
const TYPES: [&[u8]; 18] = [
    b"popup",
    b"subdocument",
    b"frame",
    b"script",
    b"image",
    b"stylesheet",
    b"css",
    b"font",
    b"media",
    b"object",
    b"xmlhttprequest",
    b"xhr",
    b"websocket",
    b"ping",
    b"beacon",
    b"other",
    b"inline-script",
    b"inline-font",
];

/// A rule without a comment behind it, as uBlock Origin reads it.
fn without_comment(text: &[u8]) -> &[u8] {
    match memchr::memchr(b'#', text) {
        Some(at) if at > 0 => {
            let (rule, comment) = text.split_at(at);
            let after = comment.get(1).is_none_or(u8::is_ascii_whitespace);
            match rule.last() {
                Some(b' ' | b'\t') if after => rule.trim_ascii_end(),
                _ => text,
            }
        }
        _ => text,
    }
}
