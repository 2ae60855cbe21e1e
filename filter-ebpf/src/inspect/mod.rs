//! Resumable inspectors: from the bytes a client sends to the name it asks
//! for.
//!
//! An inspector is fed the client's byte stream in order, in pieces of any
//! size, and keeps the name, not the bytes: its state lies in
//! [`Hello::state`], all zero before the first piece, and the name in
//! [`Hello::name`]. Every way of cutting a stream gives the same answer.
//! What changes from turn to turn of a loop lies in that state too, never on
//! the stack: the kernel's verifier then knows nothing about it, looks at one
//! turn only, and is right about all of them on 6.1 as well.

mod chunk;
pub mod dns;
mod head;
pub mod http;
pub mod name;
pub mod plain;
pub mod quic;
mod scan;
pub mod tls;

pub use chunk::{CHUNK, CHUNK_ROOM, Chunk};
pub use scan::clear;

use crate::abi::{FlowFlags, Hello, Protocol, Reason};

/// How far an inspector came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything fits so far; the name is not complete.
    More,
    /// The hello or head said what it had to say.
    Done(Finding),
    /// It cannot be judged, and why.
    Failed(Reason),
}

/// What a complete hello told. The name itself lies in [`Hello`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// `FlowFlags::{NAMED, UNNAMED, ECH}`.
    pub flags: u8,
    /// 0, [`Finding::AT_HEAD`] or [`Finding::INSIDE_HEAD`].
    pub unfinished: u8,
}

impl Finding {
    /// An HTTP head is complete and another may follow: the bytes behind the
    /// chunk may be fed on ([`http::feed`]).
    pub const AT_HEAD: u8 = 1;
    /// Another head has begun, or another hello may follow: what comes next
    /// must be fed on.
    pub const INSIDE_HEAD: u8 = 2;
}

/// Which inspector a client's first byte belongs to: `Tls` to [`tls`], `Http`
/// and `Tcp` (SOCKS) to [`plain`]; `None`: no protocol that names a host
/// begins with it (`Reason::UnknownProtocol`).
///
/// One byte must be enough, as it may be all that the first segment holds
/// (T02). An inspector that is wrong about it says so from the bytes that
/// follow.
#[inline(always)]
pub fn sniff(first: u8) -> Option<Protocol> {
    match first {
        // Record types of TLS (RFC 8446 §5.1), and a two-byte SSLv2 header.
        20..=24 | 128.. => Some(Protocol::Tls),
        // The versions of SOCKS.
        4 | 5 => Some(Protocol::Tcp),
        // A method, or the empty lines and blanks that may come before it.
        b'\r' | b'\n' | b' ' | b'\t' => Some(Protocol::Http),
        _ if head::is_token(first) => Some(Protocol::Http),
        _ => None,
    }
}

/// Feeds the next bytes of a stream to its inspector, which the first byte
/// chooses. The kernel calls the inspectors one by one, as programs of their
/// own.
pub fn feed(hello: &mut Hello, chunk: &Chunk<'_>) -> Progress {
    if hello.protocol == Protocol::Other as u8 {
        let Some(first) = chunk.get(0) else {
            return Progress::More;
        };
        let Some(protocol) = sniff(first) else {
            return Progress::Failed(Reason::UnknownProtocol);
        };
        hello.protocol = protocol as u8;
    }
    if hello.protocol == Protocol::Tls as u8 {
        tls::feed(hello, chunk)
    } else {
        plain::feed(hello, chunk)
    }
}

/// How an inspector's loop ended, as it lies in map memory: 0 for not yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Outcome(u32);

impl Outcome {
    const DONE: u32 = 0x100;
    const FAILED: u32 = 0x200;

    #[inline(always)]
    pub(crate) fn done(flags: u8) -> Self {
        Self(Self::DONE | flags as u32)
    }

    #[inline(always)]
    pub(crate) fn failed(reason: Reason) -> Self {
        Self(Self::FAILED | reason as u32)
    }

    #[inline(always)]
    pub(crate) fn is_final(self) -> bool {
        self.0 != 0
    }

    /// The answer to the caller. A name with colons must be an address
    /// (`colon`); nothing else may have any.
    #[inline(always)]
    pub(crate) fn progress(self, hello: &mut Hello, colon: bool) -> Progress {
        if self.0 & Self::FAILED != 0 {
            return Progress::Failed(Reason::from_u8(self.0 as u8));
        }
        if self.0 & Self::DONE == 0 {
            return Progress::More;
        }
        let flags = self.0 as u8;
        if flags & FlowFlags::NAMED != 0
            && colon
            && !matches!(name::literal(hello), Some(name::Literal::V6(..)))
        {
            return Progress::Failed(Reason::Malformed);
        }
        Progress::Done(Finding {
            flags,
            unfinished: 0,
        })
    }
}

#[cfg(test)]
mod tests;
