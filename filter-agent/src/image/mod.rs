//! The building side of an image: from categories of names and ranges to
//! the flat tables that `filter_ebpf::tables` reads.
//!
//! Mechanism without policy: nothing here knows schools, files or the
//! kernel.

mod build;
mod cuckoo;
mod error;
mod except;
mod input;
mod names;
mod ranges;
mod ranges4;
mod ranges6;
mod segments;
mod sets;
#[cfg(test)]
mod tests;

pub use build::Image;
pub use error::{ImageError, RoomProblem};
pub use except::{Exempted, Listing, MAX_EXCEPTIONS, Mark};
pub use input::{Input, Place, Room, SafeSearch, Tags};
pub use names::{Names, Reach};
pub use ranges::{OWN, RangeMark, Ranges, RangesExempted};

use filter_ebpf::tables::Line;

/// At least one zeroed line: an empty BPF array does not exist.
fn lines(count: usize) -> Result<Vec<Line>, ImageError> {
    let count = count.max(1);
    let mut lines = Vec::new();
    lines
        .try_reserve_exact(count)
        .map_err(|_| ImageError::Memory)?;
    lines.resize(count, [0; 8]);
    Ok(lines)
}
