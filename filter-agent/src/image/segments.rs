//! Overlapping ranges of many categories become disjoint segments, each
//! with the set of the categories that cover it.

use super::{ImageError, ranges::Range, sets::Sets};

/// `first..=last` carries `set`, which is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment<A> {
    pub(super) first: A,
    pub(super) last: A,
    pub(super) set: u16,
}

/// An address as an integer.
pub(super) trait Address: Copy + Ord {
    const MAX: Self;
    /// The address after this one.
    fn next(self) -> Option<Self>;
    /// The address before this one; of 0, 0.
    fn previous(self) -> Self;
}

macro_rules! address {
    ($($t:ty),+) => {$(
        impl Address for $t {
            const MAX: Self = <$t>::MAX;
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn previous(self) -> Self {
                self.saturating_sub(1)
            }
        }
    )+};
}
address!(u32, u128);

/// Sorted, disjoint segments; neighbours with the same set are one.
pub(super) fn segments<A: Address>(
    ranges: &[Range<A>],
    sets: &mut Sets,
) -> Result<Vec<Segment<A>>, ImageError> {
    let mut cover = Cover::default();
    let mut segments = Vec::new();
    let mut open: Option<(A, u64)> = None;
    let edges = edges(ranges)?;
    for group in edges.chunk_by(|a, b| a.at == b.at) {
        for edge in group {
            cover.apply(edge.change);
        }
        let at = group[0].at;
        if open.is_some_and(|(_, mask)| mask == cover.mask) {
            continue;
        }
        if let Some((first, mask)) = open.take() {
            segments.push(Segment {
                first,
                last: at.previous(),
                set: sets.intern(mask)?,
            });
        }
        if cover.mask != 0 {
            open = Some((at, cover.mask));
        }
    }
    if let Some((first, mask)) = open {
        segments.push(Segment {
            first,
            last: A::MAX,
            set: sets.intern(mask)?,
        });
    }
    Ok(segments)
}

/// Where a range begins or ends.
struct Edge<A> {
    at: A,
    change: u8,
}

/// Bit of [`Edge::change`] that says the category ends.
const END: u8 = 1 << 7;

fn edges<A: Address>(ranges: &[Range<A>]) -> Result<Vec<Edge<A>>, ImageError> {
    let mut edges = Vec::new();
    edges
        .try_reserve_exact(ranges.len() * 2)
        .map_err(|_| ImageError::Memory)?;
    for range in ranges {
        edges.push(Edge {
            at: range.first,
            change: range.category,
        });
        // A range up to the last address never ends.
        if let Some(at) = range.last.next() {
            edges.push(Edge {
                at,
                change: range.category | END,
            });
        }
    }
    edges.sort_unstable_by_key(|edge| edge.at);
    Ok(edges)
}

/// How many ranges of each category cover the present address.
struct Cover {
    counts: [u32; 64],
    mask: u64,
}

impl Default for Cover {
    fn default() -> Self {
        Self {
            counts: [0; 64],
            mask: 0,
        }
    }
}

impl Cover {
    fn apply(&mut self, change: u8) {
        let category = usize::from(change & 63);
        let count = &mut self.counts[category];
        // An end may be met before the start of a neighbour at the same
        // address: what counts is the sum after all of them.
        *count = if change & END == 0 {
            count.wrapping_add(1)
        } else {
            count.wrapping_sub(1)
        };
        let bit = 1 << category;
        self.mask = if *count == 0 {
            self.mask & !bit
        } else {
            self.mask | bit
        };
    }
}
