//! Address ranges of all categories, as they come from the lists.

use std::net::IpAddr;

use super::ImageError;

/// The category bit of the school's own networks.
pub const OWN: u8 = 63;

/// Ranges in any order; they may overlap, nest and repeat.
#[derive(Clone, Debug, Default)]
pub struct Ranges {
    pub(super) v4: Vec<Range<u32>>,
    pub(super) v6: Vec<Range<u128>>,
}

/// `first..=last` belongs to `category`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range<A> {
    pub(super) first: A,
    pub(super) last: A,
    pub(super) category: u8,
}

impl Ranges {
    /// Adds `first..=last` to a category ([`OWN`] for the school's own
    /// networks).
    ///
    /// # Errors
    /// The ends are of two families, or the wrong way round.
    pub fn add(&mut self, first: IpAddr, last: IpAddr, category: u8) -> Result<(), ImageError> {
        let upside_down = || ImageError::Range { first, last };
        match (first, last) {
            (IpAddr::V4(a), IpAddr::V4(b)) if a <= b => self.v4.push(Range {
                first: a.to_bits(),
                last: b.to_bits(),
                category,
            }),
            (IpAddr::V6(a), IpAddr::V6(b)) if a <= b => self.v6.push(Range {
                first: a.to_bits(),
                last: b.to_bits(),
                category,
            }),
            _ => return Err(upside_down()),
        }
        Ok(())
    }

    /// Ranges of both families.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
