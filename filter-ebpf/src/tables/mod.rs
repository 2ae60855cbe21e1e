//! Reading side of the compiled tables.
//!
//! A table is a sequence of cache lines. In the kernel a line is an element
//! of a BPF array, on the host of a vector; the look-ups see only [`Lines`].
//! Wherever a table names a *set*, it is the number of a category set, 0 for
//! none; [`sets::mask`] tells its categories.

pub mod hash;
pub mod names;
pub mod ranges4;
pub mod ranges6;
pub mod recent;
pub mod sets;

use crate::bpf::opaque;

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

/// The tables of an image, in the order of `Config::lines`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// [`sets`].
    Sets = 0,
    /// [`names`].
    Names = 1,
    /// [`ranges4`]: the root.
    Ranges4Root = 2,
    /// [`ranges4`]: the ranges.
    Ranges4 = 3,
    /// [`ranges6`]: the tree over the upper 64 bits.
    Ranges6Tree = 4,
    /// [`ranges6`]: what each key of the tree leads to.
    Ranges6Values = 5,
    /// [`ranges6`]: the /64 networks that are not of one piece.
    Ranges6Lower = 6,
    /// [`ranges4`]: the kinds.
    Ranges4Kinds = 7,
}

impl Table {
    pub const ALL: [Self; 8] = [
        Self::Sets,
        Self::Names,
        Self::Ranges4Root,
        Self::Ranges4,
        Self::Ranges6Tree,
        Self::Ranges6Values,
        Self::Ranges6Lower,
        Self::Ranges4Kinds,
    ];

    /// The name of its map.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sets => "SETS",
            Self::Names => "NAMES",
            Self::Ranges4Root => "RANGES4_ROOT",
            Self::Ranges4 => "RANGES4",
            Self::Ranges6Tree => "RANGES6_TREE",
            Self::Ranges6Values => "RANGES6_VALUES",
            Self::Ranges6Lower => "RANGES6_LOWER",
            Self::Ranges4Kinds => "RANGES4_KINDS",
        }
    }
}

/// Word `index` (mod 8) of a line; the mask is what the verifier believes.
#[inline(always)]
fn word(line: &Line, index: u32) -> u64 {
    line[opaque(u64::from(index)) as usize & 7]
}

/// The 16-bit number at `index` (mod 32) of a line.
#[inline(always)]
fn half(line: &Line, index: u32) -> u16 {
    (word(line, index >> 2) >> ((index & 3) * 16)) as u16
}

/// 1 when `a < b`, else 0, without a branch that could be mispredicted.
#[inline(always)]
pub(crate) fn below(a: u64, b: u64) -> u32 {
    (((!a & b) | ((!a | b) & a.wrapping_sub(b))) >> 63) as u32
}

/// Scales 32 random bits to `0..lines` (Lemire, "Fast random integer
/// generation in an interval", 2019).
#[inline(always)]
fn scale(bits: u32, lines: u32) -> u32 {
    ((u64::from(bits) * u64::from(lines)) >> 32) as u32
}
