//! Lists of hosts and address ranges: importers, updates, the last good copy.
//!
//! [`import`] reads what schools really use (see [`Format`]), packed or not,
//! and streams every entry into a [`Sink`]; what it leaves out is counted in
//! the [`Report`], each kind with its first examples. [`find`] answers which
//! line of a list speaks about a name or an address. [`update`] fetches a list and keeps
//! the last good copy.
//!
//! What a list can never do, whatever it holds: block a public suffix (`com`)
//! or the network the school itself lives in (`10.0.0.0/8`, `0.0.0.0/0`);
//! see [`Options::force_suffixes`] and [`Options::force_ranges`].

mod archive;
mod detect;
mod emit;
mod error;
mod find;
mod format;
mod import;
mod lines;
mod name;
mod open;
mod range;
mod report;
pub mod update;

pub use error::ListError;
pub use find::{Match, Question, find};
pub use format::Format;
pub use import::{Limits, Options, Source, import};
pub use name::{NAME_MAX, Name, NameError};
pub use range::{IpRange, parse_range};
pub use report::{Example, Ignored, IgnoredKind, Report};

/// How far an entry reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// This host only.
    Exact,
    /// The host and everything below.
    Subtree,
}

/// Takes the entries of a list as they are read.
///
/// An import that ends in an error has already delivered what stood before
/// the fault: throw the whole sink away then.
pub trait Sink {
    /// A host name: ASCII, lower case, punycode, 1 to 253 bytes, no trailing
    /// dot. With `exception` the list says that this name does not belong to
    /// it (`@@||name^`, `rpz-passthru.`): it outweighs the list's own entries
    /// for the same name and for names above it.
    fn name(&mut self, name: &[u8], scope: Scope, exception: bool);

    /// A range of addresses without private, reserved and own ones. IPv4-mapped
    /// IPv6 comes as IPv4. With `exception` the list says that these addresses
    /// do not belong to it (`@@||192.0.2.1^`, `nomatch`), whatever it holds
    /// else; such a range is not cut.
    fn range(&mut self, range: IpRange, exception: bool);

    /// Called after each line, with its place: for whoever must know where an
    /// entry stood. `line` counts from 1; `text` is the line without its end.
    fn line_done(&mut self, _file: &str, _line: u64, _text: &[u8]) {}
}
