//! Category sets: eight masks a line, by set number.
//!
//! A set from `Config::excepting` on has exceptions and takes two numbers:
//! its own holds what a name is listed in, the next one what it is excepted
//! from. An exception hides its categories at every less specific name: the
//! most specific entry of a category wins, and no other category is touched.

use super::{Lines, word};

/// Most sets an image can hold, the empty one included.
pub const MAX_SETS: usize = 1 << 16;

/// The categories of a set as a mask: bit *n* for category *n*, bit 63 for
/// the school's own networks. A number nobody gave out has none.
#[inline(always)]
pub fn mask(table: &(impl Lines + ?Sized), set: u16) -> u64 {
    match table.line(u32::from(set) >> 3) {
        Some(line) => word(line, u32::from(set)),
        None => 0,
    }
}

/// The categories that a set excepts, as a mask; `excepting` is
/// `Config::excepting`.
#[inline(always)]
pub fn excepted(table: &(impl Lines + ?Sized), set: u16, excepting: u32) -> u64 {
    if u32::from(set) < excepting {
        0
    } else {
        mask(table, set.wrapping_add(1))
    }
}
