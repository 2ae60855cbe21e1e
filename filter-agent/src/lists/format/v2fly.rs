//! v2fly's domain lists, as its `domain-list-community` documents them.

use super::{before_comment, words};
use crate::lists::emit::Emit;
use crate::lists::{IgnoredKind, Scope, Sink};

/// Which entries of an included list count: those with every attribute of
/// `must` and none of `without`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::lists) struct Filter {
    must: Vec<Vec<u8>>,
    without: Vec<Vec<u8>>,
}

/// Another list that this one contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::lists) struct Include {
    /// Letters, digits, `-`, `_` and `!` only: never a path.
    pub(in crate::lists) name: String,
    pub(in crate::lists) filters: Vec<Filter>,
    pub(in crate::lists) line: u64,
}

/// A list being read.
pub(in crate::lists) struct List {
    filters: Vec<Filter>,
    pub(in crate::lists) includes: Vec<Include>,
}

impl List {
    pub(super) fn new(filters: Vec<Filter>) -> Self {
        Self {
            filters,
            includes: Vec::new(),
        }
    }

    pub(super) fn line<S: Sink + ?Sized>(&mut self, text: &[u8], out: &mut Emit<'_, S>) {
        let text = before_comment(text, b"#");
        let mut words = words(text);
        let Some(rule) = words.next() else { return };
        // `&list`: the entry belongs to another list, too.
        if !words
            .clone()
            .all(|word| matches!(word.first(), Some(b'@' | b'&')))
        {
            return out.ignore(IgnoredKind::Unknown, text);
        }
        // The project's releases write attributes so: `domain:name:@ads`.
        let (rule, joined) = match memchr::memmem::find(rule, b":@") {
            Some(at) => rule.split_at(at),
            None => (rule, &b""[..]),
        };
        let (kind, value) = match memchr::memchr(b':', rule) {
            Some(at) => (
                rule.get(..at).unwrap_or(&[]),
                rule.get(at + 1..).unwrap_or(&[]),
            ),
            None => (&b""[..], rule),
        };
        if kind == b"include" {
            let filter = Filter::of(words, joined);
            return self.include(value, filter, text, out);
        }
        if !self.filters.is_empty() {
            let attributes = Filter::of(words, joined).must;
            if !self.filters.iter().all(|wanted| wanted.passes(&attributes)) {
                return;
            }
        }
        match kind {
            b"" => out.bare(value),
            b"domain" => out.name(value, Scope::Subtree, false),
            b"full" => out.name(value, Scope::Exact, false),
            b"keyword" => out.ignore(IgnoredKind::Keyword, text),
            b"regexp" => out.ignore(IgnoredKind::Regex, text),
            // An IPv6 address or a port.
            _ => out.bare(rule),
        }
    }

    fn include<S: Sink + ?Sized>(
        &mut self,
        name: &[u8],
        filter: Filter,
        text: &[u8],
        out: &mut Emit<'_, S>,
    ) {
        let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'!');
        match str::from_utf8(name) {
            Ok(name) if !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| fits(&b)) => {
                let mut filters = self.filters.clone();
                // Each filter once, or lists that include each other with
                // attributes would never come to an end.
                if filter != Filter::default() && !filters.contains(&filter) {
                    filters.push(filter);
                }
                self.includes.push(Include {
                    name: name.to_owned(),
                    filters,
                    line: out.line,
                });
            }
            _ => out.ignore(IgnoredKind::Include, text),
        }
    }
}

impl Filter {
    /// By the words behind a rule, `@name` or `@-name`, and by those joined to
    /// it, `:@name,@name`.
    fn of<'a>(words: impl Iterator<Item = &'a [u8]>, joined: &'a [u8]) -> Self {
        let joined = joined.split(|b| b":,".contains(b));
        let mut filter = Self::default();
        for name in words
            .chain(joined)
            .filter_map(|word| word.strip_prefix(b"@"))
        {
            match name.strip_prefix(b"-") {
                Some(name) => filter.without.push(name.to_vec()),
                None => filter.must.push(name.to_vec()),
            }
        }
        filter
    }

    fn passes(&self, attributes: &[Vec<u8>]) -> bool {
        self.must.iter().all(|wanted| attributes.contains(wanted))
            && !self
                .without
                .iter()
                .any(|unwanted| attributes.contains(unwanted))
    }
}
