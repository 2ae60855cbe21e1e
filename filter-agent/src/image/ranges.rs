//! Address ranges of all categories, as they come from the lists.

use std::net::IpAddr;

use super::ImageError;
use super::segments::Address;

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

    /// The moment before what is added next.
    pub fn mark(&self) -> RangeMark {
        RangeMark {
            v4: self.v4.len(),
            v6: self.v6.len(),
        }
    }

    /// Takes addresses out of the ranges that were added since `from`.
    pub fn except(&mut self, from: &RangeMark, exceptions: &[(IpAddr, IpAddr)]) -> RangesExempted {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for exception in exceptions {
            match *exception {
                (IpAddr::V4(a), IpAddr::V4(b)) => v4.push((a.to_bits(), b.to_bits())),
                (IpAddr::V6(a), IpAddr::V6(b)) => v6.push((a.to_bits(), b.to_bits())),
                _ => {}
            }
        }
        let mut done = RangesExempted::default();
        except(&mut self.v4, from.v4, v4, &mut done);
        except(&mut self.v6, from.v6, v6, &mut done);
        done
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

/// A moment of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeMark {
    v4: usize,
    v6: usize,
}

/// What exceptions for addresses did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangesExempted {
    /// Ranges of which nothing is left.
    pub taken_out: u64,
    /// Exceptions in which no range holds an address.
    pub unmet: u64,
}

/// Exceptions that overlap, as one.
struct Cut<A> {
    first: A,
    last: A,
    exceptions: u64,
    met: bool,
}

fn except<A: Address>(
    ranges: &mut Vec<Range<A>>,
    from: usize,
    mut exceptions: Vec<(A, A)>,
    done: &mut RangesExempted,
) {
    if exceptions.is_empty() {
        return;
    }
    exceptions.sort_unstable();
    // Disjoint, so that both their ends are in order.
    let mut cuts: Vec<Cut<A>> = Vec::new();
    for (first, last) in exceptions {
        match cuts.last_mut() {
            Some(cut) if first <= cut.last => {
                cut.last = cut.last.max(last);
                cut.exceptions += 1;
            }
            _ => cuts.push(Cut {
                first,
                last,
                exceptions: 1,
                met: false,
            }),
        }
    }
    for range in ranges.split_off(from) {
        let before = ranges.len();
        let start = cuts.partition_point(|cut| cut.last < range.first);
        let mut rest = Some(range.first);
        for cut in cuts.iter_mut().skip(start) {
            if cut.first > range.last {
                break;
            }
            cut.met = true;
            if let Some(first) = rest.filter(|&first| first < cut.first) {
                let last = cut.first.previous();
                ranges.push(Range {
                    first,
                    last,
                    ..range
                });
            }
            rest = cut.last.next().filter(|&next| next <= range.last);
        }
        if let Some(first) = rest {
            ranges.push(Range { first, ..range });
        }
        done.taken_out += u64::from(ranges.len() == before);
    }
    let unmet = cuts.iter().filter(|cut| !cut.met);
    done.unmet += unmet.map(|cut| cut.exceptions).sum::<u64>();
}
