//! Between a format and the sink: canonical names, refused suffixes, cut
//! ranges, and the report.

use std::collections::HashSet;

use super::range::{self, IpRange, RESERVED, Written};
use super::{IgnoredKind, ListError, Name, NameError, Options, Report, Scope, Sink};

/// Where entries and odd lines of a list go.
pub(super) struct Emit<'a, S: ?Sized> {
    sink: &'a mut S,
    options: &'a Options,
    own: Vec<IpRange>,
    pub(super) report: Report,
    /// The member being read; empty for a plain file.
    pub(super) file: String,
    pub(super) line: u64,
    /// What a bare name means in the format being read.
    pub(super) scope: Scope,
    /// Adblock rules that others of the list take back.
    pub(super) withdrawn: HashSet<Vec<u8>>,
}

impl<'a, S: Sink + ?Sized> Emit<'a, S> {
    pub(super) fn new(options: &'a Options, sink: &'a mut S) -> Self {
        Self {
            sink,
            options,
            own: options.own.iter().map(|&net| net.into()).collect(),
            report: Report::default(),
            file: String::new(),
            line: 0,
            scope: Scope::Subtree,
            withdrawn: HashSet::new(),
        }
    }

    /// After each line.
    pub(super) fn line_done(&mut self, text: &[u8], place: &str) -> Result<(), ListError> {
        self.sink.line_done(&self.file, self.line, text);
        let limit = self.options.limits.entries;
        if self.report.entries() > limit {
            return Err(ListError::TooMany {
                place: place.to_owned(),
                what: "entries",
                limit,
            });
        }
        Ok(())
    }

    /// Counts `text` as left out.
    #[cold]
    pub(super) fn ignore(&mut self, kind: IgnoredKind, text: &[u8]) {
        self.report.ignore(kind, &self.file, self.line, text);
    }

    /// An entry as a person writes it: a name, a name with `*.` or `.` before
    /// it, an address, a range, or a URL without a path.
    pub(super) fn bare(&mut self, text: &[u8]) {
        self.entry(text, self.scope, false);
    }

    /// The same with a scope and maybe an exception.
    pub(super) fn entry(&mut self, text: &[u8], scope: Scope, exception: bool) {
        match Name::parse(text) {
            Ok(name) => self.canonical(&name, text, scope, exception),
            Err(error) => self.odd_entry(text, scope, exception, error),
        }
    }

    /// A name and nothing else.
    pub(super) fn name(&mut self, text: &[u8], scope: Scope, exception: bool) {
        match Name::parse(text) {
            Ok(name) => self.canonical(&name, text, scope, exception),
            Err(error) => self.ignore(error.into(), text),
        }
    }

    fn canonical(&mut self, name: &Name, text: &[u8], scope: Scope, exception: bool) {
        if !self.options.force_suffixes {
            let single = name.is_single_label();
            // An exact entry of a suffix such as blogspot.com is one host.
            if (single || scope == Scope::Subtree) && name.is_public_suffix() {
                return self.ignore(IgnoredKind::PublicSuffix, text);
            }
            if single {
                return self.ignore(IgnoredKind::SingleLabel, text);
            }
        } else if name.is_single_label() && !name.is_public_suffix() {
            return self.ignore(IgnoredKind::SingleLabel, text);
        }
        if exception {
            self.report.exceptions += 1;
        } else {
            self.report.names += 1;
        }
        self.sink.name(name.as_bytes(), scope, exception);
    }

    /// What is no plain name: looked at only after that failed.
    #[cold]
    fn odd_entry(&mut self, text: &[u8], scope: Scope, exception: bool, error: NameError) {
        if let Some(written) = range::written(text) {
            return if exception {
                self.except_range(text);
            } else {
                self.written(written, text);
            };
        }
        if let Some(below) = text.strip_prefix(b"*.").or_else(|| text.strip_prefix(b".")) {
            return self.name(below, Scope::Subtree, exception);
        }
        let (url, scheme) = match memchr::memmem::find(text, b"://") {
            Some(at) => (text.get(at + 3..).unwrap_or(&[]), true),
            None => (text, false),
        };
        let (authority, path) = match url.iter().position(|b| matches!(b, b'/' | b'?' | b'#')) {
            Some(at) => url.split_at(at),
            None => (url, &b""[..]),
        };
        if !matches!(path, b"" | b"/") {
            let prefix = path.strip_prefix(b"/").is_some_and(is_numeric);
            let bad_prefix = prefix && range::address(authority).is_some();
            let kind = if bad_prefix {
                IgnoredKind::Address
            } else {
                IgnoredKind::Path
            };
            return self.ignore(kind, text);
        }
        let authority = match memchr::memrchr(b'@', authority) {
            Some(at) if scheme => authority.get(at + 1..).unwrap_or(&[]),
            _ => authority,
        };
        if let Some(host) = host_without_port(authority) {
            return if range::address(host).is_some() {
                self.ignore(IgnoredKind::Port, text);
            } else {
                self.name(host, scope, exception);
            };
        }
        if authority.len() < text.len() {
            return if range::address(authority).is_some() {
                self.entry(authority, scope, exception);
            } else {
                self.name(authority, scope, exception);
            };
        }
        let kind = match error {
            _ if memchr::memchr(b'*', text).is_some() => IgnoredKind::Wildcard,
            _ if is_numeric(text) => IgnoredKind::Address,
            error => error.into(),
        };
        self.ignore(kind, text);
    }

    /// Addresses that the list says do not belong to it.
    pub(super) fn except_range(&mut self, text: &[u8]) {
        let Some(written) = range::written(text) else {
            return self.ignore(IgnoredKind::Address, text);
        };
        if written.host_bits {
            self.ignore(IgnoredKind::HostBits, text);
        }
        self.report.exceptions += 1;
        self.sink.range(written.range, true);
    }

    /// An address, a prefix or a range `a-b`.
    pub(super) fn range(&mut self, text: &[u8]) {
        match range::written(text) {
            Some(written) => self.written(written, text),
            None => self.ignore(IgnoredKind::Address, text),
        }
    }

    /// A range that was read from `text`.
    pub(super) fn written(&mut self, written: Written, text: &[u8]) {
        if written.host_bits {
            self.ignore(IgnoredKind::HostBits, text);
        }
        let range = written.range;
        if !self.options.force_ranges && range.is_too_wide() && !inside_reserved(&range) {
            return self.ignore(IgnoredKind::TooWide, text);
        }
        let reserved = if self.options.force_ranges {
            &[]
        } else {
            RESERVED
        };
        let mut whole = true;
        for (kind, cuts) in [
            (IgnoredKind::Reserved, reserved),
            (IgnoredKind::Own, &self.own),
        ] {
            if cuts.iter().any(|cut| cut.overlaps(&range)) {
                self.report.ignore(kind, &self.file, self.line, text);
                whole = false;
            }
        }
        if whole {
            self.report.ranges += 1;
            return self.sink.range(range, false);
        }
        let left = range.without_all(reserved);
        for piece in left
            .into_iter()
            .flat_map(|piece| piece.without_all(&self.own))
        {
            self.report.ranges += 1;
            self.sink.range(piece, false);
        }
    }
}

fn inside_reserved(range: &IpRange) -> bool {
    RESERVED
        .iter()
        .any(|reserved| reserved.contains(range.first()) && reserved.contains(range.last()))
}

/// Digits and dots only: part of an address, or nearly one.
fn is_numeric(text: &[u8]) -> bool {
    text.iter().all(|b| b.is_ascii_digit() || *b == b'.')
}

/// The host of `host:port`; `None` when there is no port.
fn host_without_port(authority: &[u8]) -> Option<&[u8]> {
    let at = memchr::memrchr(b':', authority)?;
    let (host, port) = (authority.get(..at)?, authority.get(at + 1..)?);
    let digits = !port.is_empty() && port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    // More colons without brackets: an IPv6 address.
    (digits && (memchr::memchr(b':', host).is_none() || host.ends_with(b"]"))).then_some(host)
}

impl From<NameError> for IgnoredKind {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Invalid => Self::Name,
            NameError::TooLong => Self::NameTooLong,
            NameError::Encoding => Self::Encoding,
        }
    }
}
