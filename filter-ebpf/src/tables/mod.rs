//! Reading side of the compiled tables.
//!
//! A table is a sequence of cache lines. In the kernel a line is an element
//! of a BPF array, on the host of a vector; the look-ups see only [`Lines`].

pub mod hash;

/// One cache line.
pub type Line = [u64; 8];

/// A flat, read-only table.
pub trait Lines {
    /// The line at `index`, `None` past the end.
    fn line(&self, index: u32) -> Option<&Line>;
}

impl Lines for [Line] {
    fn line(&self, index: u32) -> Option<&Line> {
        self.get(index as usize)
    }
}
