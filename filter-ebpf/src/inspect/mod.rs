//! Resumable inspectors: from the bytes a client sends to the name it asks
//! for.

mod chunk;

pub use chunk::{CHUNK, Chunk};

use crate::abi::Reason;

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

/// What a complete hello told. The name itself lies in [`crate::abi::Hello`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// `FlowFlags::{NAMED, UNNAMED, ECH}`.
    pub flags: u8,
}
