//! The building side of an image: from categories of names and ranges to
//! the flat tables that `filter_ebpf::tables` reads.
//!
//! Mechanism without policy: nothing here knows schools, files or the
//! kernel.

mod error;
mod input;
mod names;
mod ranges;

pub use error::{ImageError, RoomProblem};
pub use input::{Input, Place, Room, Tags};
pub use names::{Names, Reach};
pub use ranges::{OWN, Ranges};
