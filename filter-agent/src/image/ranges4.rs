//! Writes what [`filter_ebpf::tables::ranges4`] reads.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use filter_ebpf::tables::Line;
use filter_ebpf::tables::ranges4::{
    KINDS_PER_LINE, MAX_KINDS, MAX_RANGES, NETWORKS, PER_LINE, ROOT_LINES,
};

use super::{ImageError, lines, segments::Segment};

/// Root, ranges and kinds.
pub(super) struct Tables {
    pub(super) root: Vec<Line>,
    pub(super) ranges: Vec<Line>,
    pub(super) kinds: Vec<Line>,
}

pub(super) fn build(segments: &[Segment<u32>]) -> Result<Tables, ImageError> {
    with_kinds(segments, MAX_KINDS as usize)
}

/// The same with at most so many kinds.
pub(super) fn with_kinds(
    segments: &[Segment<u32>],
    max_kinds: usize,
) -> Result<Tables, ImageError> {
    let kinds = Kinds::of(segments, max_kinds)?;
    let parts = || {
        segments
            .iter()
            .flat_map(pieces)
            .flat_map(|piece| kinds.parts(piece))
    };
    let mut counts = vec![0u32; 1 << 16];
    for part in parts() {
        counts[usize::from(part.network)] += 1;
    }
    let (root, firsts, total) = root(&counts)?;
    let mut ranges = lines(total.div_ceil(PER_LINE as usize))?;
    let mut next = firsts.clone();
    for part in parts() {
        let next = &mut next[usize::from(part.network)];
        put(&mut ranges, *next, 0, part.first);
        put(&mut ranges, *next, 1, part.kind);
        *next += 1;
    }
    pad(&mut ranges, &next, &firsts, total);
    Ok(Tables {
        root,
        ranges,
        kinds: kinds.table()?,
    })
}

/// The part of a segment inside one network.
#[derive(Clone, Copy)]
struct Piece {
    network: u16,
    first: u16,
    kind: Kind,
}

/// What ranges have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Kind {
    set: u16,
    /// The last address, counted from the first one.
    last: u16,
}

/// A range of the table.
struct Part {
    network: u16,
    first: u16,
    /// Its kind's number.
    kind: u16,
}

fn pieces(segment: &Segment<u32>) -> impl Iterator<Item = Piece> + use<> {
    let Segment { first, last, set } = *segment;
    (first >> 16..=last >> 16).map(move |network| {
        let start = network << 16;
        let (first, last) = (first.max(start), last.min(start | 0xffff));
        Piece {
            network: network as u16,
            first: first as u16,
            kind: Kind {
                set,
                last: (last - first) as u16,
            },
        }
    })
}

/// The numbers of kinds.
struct Kinds {
    numbers: HashMap<Kind, u16>,
    /// By number.
    kinds: Vec<Kind>,
}

/// Bits of a length inside a network.
const LENGTHS: usize = 17;

impl Kinds {
    /// Numbers the kinds of all pieces. Where there are more than `max`, the
    /// most common ones and, for each set, the lengths that are powers of two,
    /// of which any other is the sum.
    fn of(segments: &[Segment<u32>], max: usize) -> Result<Self, ImageError> {
        let mut counts: HashMap<Kind, u64> = HashMap::new();
        for piece in segments.iter().flat_map(pieces) {
            *counts.entry(piece.kind).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|&(kind, count)| (Reverse(count), kind));
        let mut kinds = Self {
            numbers: HashMap::new(),
            kinds: Vec::new(),
        };
        if counts.len() > max {
            let sets: BTreeSet<u16> = counts.iter().map(|(kind, _)| kind.set).collect();
            if sets.len() > max / LENGTHS {
                return Err(ImageError::TooMany {
                    what: "combinations of categories that share IPv4 addresses",
                    count: sets.len() as u64,
                    max: (max / LENGTHS) as u64,
                });
            }
            for set in sets {
                for bit in 0..LENGTHS {
                    kinds.number(Kind {
                        set,
                        last: ((1u32 << bit) - 1) as u16,
                    });
                }
            }
        }
        for (kind, _) in counts {
            if kinds.kinds.len() == max {
                break;
            }
            kinds.number(kind);
        }
        Ok(kinds)
    }

    fn number(&mut self, kind: Kind) {
        if let Entry::Vacant(entry) = self.numbers.entry(kind) {
            entry.insert(self.kinds.len() as u16);
            self.kinds.push(kind);
        }
    }

    /// A piece as one range, or as several where its kind has no number.
    fn parts(&self, piece: Piece) -> impl Iterator<Item = Part> {
        let set = piece.kind.set;
        let mut first = piece.first;
        let mut rest = Some(piece.kind.last);
        std::iter::from_fn(move || {
            let last = rest?;
            let (taken, kind) = match self.numbers.get(&Kind { set, last }) {
                Some(&kind) => (last, kind),
                None => {
                    let last = ((1u32 << (u32::from(last) + 1).ilog2()) - 1) as u16;
                    (last, self.numbers[&Kind { set, last }])
                }
            };
            let part = Part {
                network: piece.network,
                first,
                kind,
            };
            first = first.wrapping_add(taken).wrapping_add(1);
            rest = (last - taken).checked_sub(1);
            Some(part)
        })
    }

    fn table(&self) -> Result<Vec<Line>, ImageError> {
        let per_line = KINDS_PER_LINE as usize;
        let mut table = lines(self.kinds.len().div_ceil(per_line))?;
        for (line, kinds) in table.iter_mut().zip(self.kinds.chunks(per_line)) {
            for (number, kind) in kinds.iter().enumerate() {
                let value = u64::from(kind.last) | u64::from(kind.set) << 16;
                line[number / 2] |= value << (number % 2 * 32);
            }
        }
        Ok(table)
    }
}

/// The root, the number of each network's first range, and of all ranges.
fn root(counts: &[u32]) -> Result<(Vec<Line>, Vec<usize>, usize), ImageError> {
    let mut root = lines(ROOT_LINES as usize)?;
    let mut firsts = Vec::with_capacity(counts.len());
    let mut total = 0usize;
    for (line, counts) in root.iter_mut().zip(counts.chunks(NETWORKS as usize)) {
        let shift = shift(counts);
        line[0] = total as u64 | u64::from(shift) << 32;
        let mut end = 0u64;
        for (position, &count) in counts.iter().enumerate() {
            firsts.push(total + (end << shift) as usize);
            end += u64::from(count.div_ceil(1 << shift));
            line[1 + position / 4] |= end << (position % 4 * 16);
        }
        total += (end << shift) as usize;
    }
    if total > MAX_RANGES as usize {
        return Err(ImageError::TooMany {
            what: "IPv4 ranges",
            count: total as u64,
            max: u64::from(MAX_RANGES),
        });
    }
    Ok((root, firsts, total))
}

/// The least shift that lets the ends of a root line fit 16 bits.
fn shift(counts: &[u32]) -> u32 {
    (0..31)
        .find(|&shift| {
            let ends: u64 = counts
                .iter()
                .map(|count| u64::from(count.div_ceil(1 << shift)))
                .sum();
            ends <= u64::from(u16::MAX)
        })
        .unwrap_or(31)
}

/// Fills what a shift left free behind a network with its last range.
fn pad(ranges: &mut [Line], next: &[usize], firsts: &[usize], total: usize) {
    for (network, (&next, &first)) in next.iter().zip(firsts).enumerate() {
        let end = firsts.get(network + 1).copied().unwrap_or(total);
        if next == first {
            continue;
        }
        for free in next..end {
            for part in 0..2 {
                let value = get(ranges, next - 1, part);
                put(ranges, free, part, value);
            }
        }
    }
}

/// Line, word and bit of part 0 (first address) or 1 (kind) of a range.
fn place(number: usize, part: usize) -> (usize, usize, usize) {
    let per_line = PER_LINE as usize;
    let half = number % per_line + part * per_line;
    (number / per_line, half / 4, half % 4 * 16)
}

fn put(ranges: &mut [Line], number: usize, part: usize, value: u16) {
    let (line, word, bit) = place(number, part);
    ranges[line][word] |= u64::from(value) << bit;
}

fn get(ranges: &[Line], number: usize, part: usize) -> u16 {
    let (line, word, bit) = place(number, part);
    (ranges[line][word] >> bit) as u16
}
