//! Why a list could not be read at all.

use std::io;

/// The list as a whole is unusable; single odd lines are in the
/// [`Report`](super::Report) instead.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error("cannot read {place}: {source}")]
    Read { place: String, source: io::Error },
    #[error("{place} ends in the middle of its compressed data: fetch it again")]
    Truncated { place: String },
    #[error("{place} is damaged ({detail}): fetch it again")]
    Damaged { place: String, detail: String },
    #[error("{place} is {what}: unpack it or save it as plain text, gzip, xz, zip or tar")]
    Unsupported { place: String, what: &'static str },
    #[error("{place} is a web page, not a list: check the address")]
    Html { place: String },
    #[error(
        "{place} is {what}, which is not read: most lists are published in several formats, take plain domains, hosts, Adblock or RPZ"
    )]
    Foreign { place: String, what: &'static str },
    #[error("{place} is UTF-16 without a byte order mark: save it as UTF-8")]
    BareUtf16 { place: String },
    #[error("{place} is binary data, not a list")]
    Binary { place: String },
    #[error(
        "{place} unpacks to more than {limit} bytes: if the list is really that large, raise its limit"
    )]
    TooLarge { place: String, limit: u64 },
    #[error("{place} grows more than {ratio}-fold when unpacked: this is a decompression bomb")]
    Bomb { place: String, ratio: u64 },
    #[error("{place} holds archives nested more than {limit} deep")]
    TooDeep { place: String, limit: u32 },
    #[error("{place} holds more than {limit} {what}: raise the limit or take a smaller list")]
    TooMany {
        place: String,
        what: &'static str,
        limit: u64,
    },
    #[error("{place} has no member {wanted:?}; it has: {present}")]
    NoMember {
        place: String,
        wanted: String,
        present: String,
    },
}
