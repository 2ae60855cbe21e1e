//! Which line of a list speaks about a name or an address.

use std::net::IpAddr;

use super::report::printable;
use super::{IpRange, ListError, Name, Options, Scope, Sink, Source, import};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question<'a> {
    Name(&'a Name),
    Address(IpAddr),
}

/// A line that matches.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Match {
    /// The member of an archive or an included file; empty for the list itself.
    pub file: String,
    /// From 1.
    pub line: u64,
    /// At most 120 bytes of the line, safe to print.
    pub text: String,
    /// The entry as the sink gets it: a canonical name or `first-last`.
    pub entry: String,
    /// How far a name reaches; `None` for ranges.
    pub scope: Option<Scope>,
    /// The line says that it does not belong to the list.
    pub exception: bool,
}

/// Reads the list again and returns the first `limit` lines that speak about
/// `question`, in the order of the list.
///
/// # Errors
/// Those of [`import`].
pub fn find(
    source: &Source<'_>,
    options: &Options,
    question: Question<'_>,
    limit: usize,
) -> Result<Vec<Match>, ListError> {
    let mut finder = Finder {
        question,
        limit,
        pending: Vec::new(),
        found: Vec::new(),
    };
    import(source, options, &mut finder)?;
    Ok(finder.found)
}

struct Finder<'a> {
    question: Question<'a>,
    limit: usize,
    /// Entries of the current line: text, scope, exception.
    pending: Vec<(String, Option<Scope>, bool)>,
    found: Vec<Match>,
}

impl Sink for Finder<'_> {
    fn name(&mut self, name: &[u8], scope: Scope, exception: bool) {
        let Question::Name(asked) = &self.question else {
            return;
        };
        let asked = asked.as_bytes();
        let matches = match (scope, asked.strip_suffix(name)) {
            (_, Some(b"")) => true,
            (Scope::Subtree, Some(rest)) => rest.ends_with(b"."),
            _ => false,
        };
        if matches {
            let entry = String::from_utf8_lossy(name).into_owned();
            self.pending.push((entry, Some(scope), exception));
        }
    }

    fn range(&mut self, range: IpRange, exception: bool) {
        if let Question::Address(asked) = self.question
            && range.contains(asked)
        {
            let entry = format!("{}-{}", range.first(), range.last());
            self.pending.push((entry, None, exception));
        }
    }

    fn line_done(&mut self, file: &str, line: u64, text: &[u8]) {
        for (entry, scope, exception) in self.pending.drain(..) {
            if self.found.len() < self.limit {
                self.found.push(Match {
                    file: file.to_owned(),
                    line,
                    text: printable(text),
                    entry,
                    scope,
                    exception,
                });
            }
        }
    }
}
