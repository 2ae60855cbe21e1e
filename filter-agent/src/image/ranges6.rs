//! Writes what [`filter_ebpf::tables::ranges6`] reads.

use filter_ebpf::tables::Line;
use filter_ebpf::tables::ranges6::{KEYS, LOWER_KEYS, MAX_TREE, SPLIT};

use super::{ImageError, lines, segments::Segment};

/// Tree, values and lower halves.
pub(super) struct Tables {
    pub(super) tree: Vec<Line>,
    pub(super) values: Vec<Line>,
    pub(super) lowers: Vec<Line>,
}

/// From here on, until the next point, the answer is `set`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    at: u128,
    set: u16,
}

pub(super) fn build(segments: &[Segment<u128>]) -> Result<Tables, ImageError> {
    let points = points(segments)?;
    let mut keys = Keys::default();
    let mut lowers = Vec::new();
    let mut carry = 0;
    for network in points.chunk_by(|a, b| a.at >> 64 == b.at >> 64) {
        let upper = (network[0].at >> 64) as u64;
        let last = network[network.len() - 1].set;
        if let [Point { at, set }] = *network
            && at as u64 == 0
        {
            keys.push(upper, u32::from(set));
        } else {
            let line = u32::try_from(lowers.len())
                .ok()
                .filter(|line| line & SPLIT == 0)
                .ok_or(ImageError::TooMany {
                    what: "IPv6 ranges shorter than a /64",
                    count: lowers.len() as u64,
                    max: u64::from(SPLIT),
                })?;
            keys.push(upper, SPLIT | line);
            split(&mut lowers, carry, network)?;
            if let Some(next) = upper.checked_add(1) {
                // Replaced at once when the next network has its own points.
                keys.push(next, u32::from(last));
            }
        }
        carry = last;
    }
    let (tree, values) = keys.tables()?;
    Ok(Tables {
        tree,
        values,
        lowers: if lowers.is_empty() { lines(1)? } else { lowers },
    })
}

/// Where the answer changes, from address 0 on.
fn points(segments: &[Segment<u128>]) -> Result<Vec<Point>, ImageError> {
    let mut points = Vec::new();
    points
        .try_reserve_exact(segments.len() * 2 + 1)
        .map_err(|_| ImageError::Memory)?;
    points.push(Point { at: 0, set: 0 });
    for &Segment { first, last, set } in segments {
        // A segment that begins where the last one ended takes its place.
        points.pop_if(|point| point.at == first);
        points.push(Point { at: first, set });
        if let Some(at) = last.checked_add(1) {
            points.push(Point { at, set: 0 });
        }
    }
    Ok(points)
}

/// Appends the lines of one split /64 network; `carry` is the set of the
/// address before it.
fn split(lowers: &mut Vec<Line>, carry: u16, network: &[Point]) -> Result<(), ImageError> {
    let mut keys: Vec<(u64, u16)> = network
        .iter()
        .map(|point| (point.at as u64, point.set))
        .collect();
    if keys[0].0 != 0 {
        keys.insert(0, (0, carry));
    }
    let begin = lowers.len();
    let count = keys.len().div_ceil(LOWER_KEYS as usize);
    lowers.try_reserve(count).map_err(|_| ImageError::Memory)?;
    for keys in keys.chunks(LOWER_KEYS as usize) {
        let mut line = [0; 8];
        for slot in 0..LOWER_KEYS as usize {
            let (key, set) = keys[slot.min(keys.len() - 1)];
            line[slot] = key;
            line[6 + slot / 4] |= u64::from(set) << (slot % 4 * 16);
        }
        lowers.push(line);
    }
    lowers[begin][7] |= (count as u64) << 32;
    Ok(())
}

/// The tree's keys in order, each with its value.
#[derive(Default)]
struct Keys(Vec<(u64, u32)>);

impl Keys {
    fn push(&mut self, upper: u64, value: u32) {
        self.0.pop_if(|(key, _)| *key == upper);
        if self.0.last().is_none_or(|(_, last)| *last != value) {
            self.0.push((upper, value));
        }
    }

    fn tables(&self) -> Result<(Vec<Line>, Vec<Line>), ImageError> {
        let count = self.0.len().div_ceil(KEYS as usize);
        if count > MAX_TREE as usize {
            return Err(ImageError::TooMany {
                what: "IPv6 ranges",
                count: self.0.len() as u64,
                max: u64::from(MAX_TREE * KEYS),
            });
        }
        let mut tree = lines(count)?;
        let mut values = lines((count * KEYS as usize).div_ceil(16))?;
        let end = (u64::MAX, self.0.last().map_or(0, |(_, value)| *value));
        let mut rest = self.0.iter().copied().chain(std::iter::repeat(end));
        fill(0, &mut tree, &mut values, &mut rest);
        Ok((tree, values))
    }
}

/// Fills the subtree below a line in order: as deep as the tree has levels.
fn fill(
    node: usize,
    tree: &mut [Line],
    values: &mut [Line],
    rest: &mut impl Iterator<Item = (u64, u32)>,
) {
    if node >= tree.len() {
        return;
    }
    let keys = KEYS as usize;
    for slot in 0..keys {
        fill(node * (keys + 1) + slot + 1, tree, values, rest);
        if let Some((key, value)) = rest.next() {
            let position = node * keys + slot;
            tree[node][slot] = key;
            values[position / 16][position % 16 / 2] |= u64::from(value) << (position % 2 * 32);
        }
    }
    fill(node * (keys + 1) + keys + 1, tree, values, rest);
}
