//! Category sets: eight masks a line, by set number.

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
