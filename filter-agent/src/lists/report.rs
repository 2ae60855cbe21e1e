//! What an import found and what it left out.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Format;

/// Examples kept per kind of ignored line.
const EXAMPLES: usize = 3;
/// Bytes kept of an example's text.
const EXAMPLE_BYTES: usize = 120;

macro_rules! kinds {
    ($($(#[$attribute:meta])? $variant:ident = $word:literal, $meaning:literal;)+) => {
        /// Why a line, or an entry of it, was left out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum IgnoredKind {
            $(#[doc = $meaning] $(#[$attribute])? $variant,)+
        }

        impl IgnoredKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in reports and on the command line.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// One English sentence for people.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

kinds! {
    Name = "name", "Not a host name.";
    NameTooLong = "name_too_long", "A label over 63 bytes or a name over 253.";
    SingleLabel = "single_label", "A name without a dot, such as localhost.";
    PublicSuffix = "public_suffix", "A public suffix, which would block everybody below it; force it if you mean it.";
    Boilerplate = "boilerplate", "The machine's own entries that hosts files begin with.";
    Rewrite = "rewrite", "An answer is rewritten to another host, which is no membership in a list.";
    Address = "address", "Not an address, prefix or range.";
    HostBits = "host_bits", "The address has bits set beyond its prefix; the whole prefix was taken.";
    Reserved = "reserved", "A private or reserved range, cut out.";
    Own = "own", "One of the school's own networks, cut out.";
    TooWide = "too_wide", "A range so wide that it would switch the Internet off; force it if you mean it.";
    Port = "port", "An address or host with one port or protocol, never widened to all of them.";
    // The copies of earlier versions may speak of exceptions for addresses.
    #[serde(alias = "exception_range")]
    Permitted = "permitted", "An entry that the format itself marks as not blocked.";
    Modifier = "modifier", "A rule with a modifier that a packet filter cannot keep.";
    Withdrawn = "withdrawn", "A rule with $badfilter, or one that it takes back.";
    Cosmetic = "cosmetic", "A rule about the look of a page.";
    Regex = "regex", "A regular expression.";
    Wildcard = "wildcard", "A wildcard elsewhere than before the first label.";
    Keyword = "keyword", "A keyword anywhere in the name.";
    Path = "path", "A URL with a path, never widened to its host.";
    Pattern = "pattern", "A pattern that does not name a host.";
    IpTrigger = "ip_trigger", "An RPZ trigger on addresses or name servers.";
    Action = "action", "An RPZ action that neither blocks nor passes.";
    Directive = "directive", "A directive of the format that names no host.";
    Include = "include", "An include that could not be read.";
    Encoding = "encoding", "Neither ASCII nor UTF-8.";
    LineTooLong = "line_too_long", "A line of more than 64 KiB.";
    Unknown = "unknown", "Nothing that the format knows.";
}

/// A line that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The member of an archive; empty for a plain file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// From 1.
    pub line: u64,
    /// At most 120 bytes of the line; what cannot be printed is replaced.
    pub text: String,
}

/// How often a kind of line was left out, and the first examples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    pub kind: IgnoredKind,
    pub count: u64,
    pub examples: Vec<Example>,
}

/// What an import found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The formats of the list, more than one only in archives.
    pub formats: BTreeSet<Format>,
    /// Text files read: 1, or more in archives and with includes.
    pub files: u64,
    /// Lines, comments and empty ones among them.
    pub lines: u64,
    /// Names delivered, without exceptions; repeats count again.
    pub names: u64,
    /// Exceptions delivered.
    pub exceptions: u64,
    /// Ranges delivered, after cutting.
    pub ranges: u64,
    /// In the order of the kinds, only those that occurred.
    pub ignored: Vec<Ignored>,
}

impl Report {
    /// Names, exceptions and ranges together.
    pub fn entries(&self) -> u64 {
        self.names + self.exceptions + self.ranges
    }

    /// How often `kind` was left out.
    pub fn count(&self, kind: IgnoredKind) -> u64 {
        self.ignored
            .iter()
            .find(|ignored| ignored.kind == kind)
            .map_or(0, |ignored| ignored.count)
    }

    pub(super) fn ignore(&mut self, kind: IgnoredKind, file: &str, line: u64, text: &[u8]) {
        let at = match self.ignored.binary_search_by_key(&kind, |entry| entry.kind) {
            Ok(at) => at,
            Err(at) => {
                let entry = Ignored {
                    kind,
                    count: 0,
                    examples: Vec::new(),
                };
                self.ignored.insert(at, entry);
                at
            }
        };
        let Some(entry) = self.ignored.get_mut(at) else {
            return;
        };
        entry.count += 1;
        if entry.examples.len() < EXAMPLES {
            entry.examples.push(Example {
                file: file.to_owned(),
                line,
                text: printable(text),
            });
        }
    }
}

/// Text of a list as it may be shown on a terminal.
pub(super) fn printable(text: &[u8]) -> String {
    let text = text.get(..EXAMPLE_BYTES).unwrap_or(text);
    String::from_utf8_lossy(text)
        .chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}
