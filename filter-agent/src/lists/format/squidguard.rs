//! squidGuard's and UT1's folders: a category is a folder with `domains`,
//! `urls` and `expressions`.

use super::domains;
use crate::lists::emit::Emit;
use crate::lists::{IgnoredKind, Scope, Sink, parse_range};

/// Which file of a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lists) enum Part {
    Domains,
    Urls,
    Expressions,
}

impl Part {
    /// By the last component of a path, also behind a compression's suffix.
    pub(in crate::lists) fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let name = name
            .strip_suffix(".gz")
            .or_else(|| name.strip_suffix(".xz"))
            .unwrap_or(name);
        match name {
            "domains" => Some(Self::Domains),
            "urls" => Some(Self::Urls),
            "expressions" | "very_restrictive_expression" => Some(Self::Expressions),
            _ => None,
        }
    }
}

pub(super) fn line<S: Sink + ?Sized>(part: Part, text: &[u8], out: &mut Emit<'_, S>) {
    match part {
        Part::Domains => domains::line(text, out),
        Part::Expressions => {
            let text = text.trim_ascii();
            if !text.is_empty() && !text.starts_with(b"#") {
                out.ignore(IgnoredKind::Regex, text);
            }
        }
        Part::Urls => url(text.trim_ascii(), out),
    }
}

/// squidGuard matches a URL by its start, whatever the scheme and a leading
/// `www.`; only one without a path is a host, and then this host only.
fn url<S: Sink + ?Sized>(text: &[u8], out: &mut Emit<'_, S>) {
    if text.is_empty() || text.starts_with(b"#") {
        return;
    }
    let rest = match memchr::memmem::find(text, b"://") {
        Some(at) => text.get(at + 3..).unwrap_or(&[]),
        None => text,
    };
    let rest = rest.strip_suffix(b"/").unwrap_or(rest);
    if rest.iter().any(|b| matches!(b, b'/' | b'?' | b'#')) {
        return out.ignore(IgnoredKind::Path, text);
    }
    let port = memchr::memrchr(b':', rest).and_then(|at| rest.get(at + 1..));
    if port.is_some_and(|port| !port.is_empty() && port.iter().all(u8::is_ascii_digit))
        && parse_range(rest).is_none()
    {
        return out.ignore(IgnoredKind::Port, text);
    }
    out.entry(rest, Scope::Exact, false);
}
