//! The formats, a file each.

pub(super) mod adblock;
mod dnsmasq;
mod domains;
mod hosts;
mod netset;
pub(super) mod ranges;
mod rpz;
mod spamhaus;
mod squidguard;
mod unbound;
mod v2fly;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(super) use squidguard::Part;
pub(super) use v2fly::{Filter, Include};

use super::emit::Emit;
use super::{Scope, Sink};

/// The grammar of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A name, address, prefix or range a line; `#` and `;` begin comments.
    /// A bare name means the subtree.
    Domains,
    /// `0.0.0.0 name…`. A name means this host only, as in `/etc/hosts`.
    Hosts,
    /// AdGuard and Adblock Plus: `||name^` the subtree, `@@||name^` an
    /// exception; a bare name this host only, as AdGuard Home has it.
    Adblock,
    /// `address=/name/`, `server=/name/`, `local=/name/`, `ipset=/name/set`:
    /// the subtree. An address of somebody else is no membership.
    Dnsmasq,
    /// unbound's configuration: `local-zone: "name" always_nxdomain` the
    /// subtree, `local-data: "name A 0.0.0.0"` this host only,
    /// `always_transparent` an exception.
    Unbound,
    /// A response policy zone: `name CNAME .` this host only, `*.name` the
    /// subtree, `rpz-passthru.` an exception. A `CNAME` to another host is a
    /// walled garden and blocks, unless that is a search engine's safe one.
    Rpz,
    /// A squidGuard or UT1 archive: `category/domains` the subtree,
    /// `category/urls` only what is a whole host.
    Squidguard,
    /// Addresses and prefixes, or `add SET PREFIX` as `ipset save` writes it.
    Netset,
    /// `a-b`, also `text:a-b` (P2P) and `a - b , level , text` (DAT).
    Ranges,
    /// Spamhaus DROP, as text (`prefix ; SBL…`) or as NDJSON.
    Drop,
    /// v2fly domain lists: `domain:` and bare names the subtree, `full:` this
    /// host only, `include:` another list beside this one.
    V2fly,
}

impl Format {
    /// Every format.
    pub const ALL: &'static [Self] = &[
        Self::Domains,
        Self::Hosts,
        Self::Adblock,
        Self::Dnsmasq,
        Self::Unbound,
        Self::Rpz,
        Self::Squidguard,
        Self::Netset,
        Self::Ranges,
        Self::Drop,
        Self::V2fly,
    ];

    /// The word in policies and on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Domains => "domains",
            Self::Hosts => "hosts",
            Self::Adblock => "adblock",
            Self::Dnsmasq => "dnsmasq",
            Self::Unbound => "unbound",
            Self::Rpz => "rpz",
            Self::Squidguard => "squidguard",
            Self::Netset => "netset",
            Self::Ranges => "ranges",
            Self::Drop => "drop",
            Self::V2fly => "v2fly",
        }
    }

    /// What a bare name means unless the source says otherwise.
    pub const fn bare_scope(self) -> Scope {
        match self {
            Self::Hosts | Self::Adblock => Scope::Exact,
            _ => Scope::Subtree,
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|format| format.word() == word)
            .ok_or_else(|| {
                let words: Vec<_> = Self::ALL.iter().map(|format| format.word()).collect();
                format!(
                    "{word:?} is no list format; there are: {}",
                    words.join(", ")
                )
            })
    }
}

/// A format with what it remembers from line to line.
pub(super) enum Parser {
    Domains,
    Hosts,
    Adblock(adblock::Rules),
    Dnsmasq,
    Unbound(unbound::Zones),
    Rpz(rpz::Zone),
    Squidguard(Part),
    Netset,
    Ranges,
    Drop,
    V2fly(v2fly::List),
}

impl Parser {
    pub(super) fn new(format: Format, part: Part, filters: Vec<Filter>) -> Self {
        match format {
            Format::Domains => Self::Domains,
            Format::Hosts => Self::Hosts,
            Format::Adblock => Self::Adblock(adblock::Rules::default()),
            Format::Dnsmasq => Self::Dnsmasq,
            Format::Unbound => Self::Unbound(unbound::Zones::default()),
            Format::Rpz => Self::Rpz(rpz::Zone::default()),
            Format::Squidguard => Self::Squidguard(part),
            Format::Netset => Self::Netset,
            Format::Ranges => Self::Ranges,
            Format::Drop => Self::Drop,
            Format::V2fly => Self::V2fly(v2fly::List::new(filters)),
        }
    }

    /// Reads one line, without its end.
    #[inline]
    pub(super) fn line<S: Sink + ?Sized>(&mut self, text: &[u8], out: &mut Emit<'_, S>) {
        match self {
            Self::Domains => domains::line(text, out),
            Self::Hosts => hosts::line(text, out),
            Self::Adblock(rules) => rules.line(text, out),
            Self::Dnsmasq => dnsmasq::line(text, out),
            Self::Unbound(zones) => zones.line(text, out),
            Self::Rpz(zone) => zone.line(text, out),
            Self::Squidguard(part) => squidguard::line(*part, text, out),
            Self::Netset => netset::line(text, out),
            Self::Ranges => ranges::line(text, out),
            Self::Drop => spamhaus::line(text, out),
            Self::V2fly(list) => list.line(text, out),
        }
    }

    /// The includes met so far.
    pub(super) fn includes(self) -> Vec<Include> {
        match self {
            Self::V2fly(list) => list.includes,
            _ => Vec::new(),
        }
    }
}

/// The words of a line.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    text.split(|b| b.is_ascii_whitespace())
        .filter(|word| !word.is_empty())
}

/// The text before a comment that begins a line or follows a blank.
fn before_comment<'a>(text: &'a [u8], marks: &[u8]) -> &'a [u8] {
    // Most lines have none, which is found out many bytes at a time.
    let first = match *marks {
        [a] => memchr::memchr(a, text),
        [a, b] => memchr::memchr2(a, b, text),
        [a, b, c] => memchr::memchr3(a, b, c, text),
        _ => Some(0),
    };
    if first.is_none() {
        return text.trim_ascii();
    }
    let mut blank = true;
    for (at, byte) in text.iter().enumerate() {
        if blank && marks.contains(byte) {
            return text.get(..at).unwrap_or(text).trim_ascii();
        }
        blank = byte.is_ascii_whitespace();
    }
    text.trim_ascii()
}
