//! Writes what [`filter_ebpf::tables::names`] reads.

use filter_ebpf::tables::Line;
use filter_ebpf::tables::names::{SLOTS, entry, first, lookup, other};

use super::{ImageError, lines, names::Merged};

/// Entries per 100 lines: 94 of 100 slots, 8.5 bytes an entry.
const LOAD: usize = 752;
/// Entries moved for one new entry before the table counts as full.
const MOVES: u32 = 2000;
/// Tables tried, each 2 % larger than the one before.
const TRIES: u32 = 64;

pub(super) fn build(names: &Merged) -> Result<Vec<Line>, ImageError> {
    let mut count = (names.len() * 100).div_ceil(LOAD).max(1);
    for _ in 0..TRIES {
        let size = u32::try_from(count)
            .ok()
            .filter(|size| size >> 31 == 0)
            .ok_or(ImageError::TooMany {
                what: "host names",
                count: names.len() as u64,
                max: (1 << 31) / 100 * LOAD as u64,
            })?;
        let mut table = Cuckoo::new(size)?;
        // In the hash's order the first lines come one after the other.
        let placed = names.iter().all(|(hash, set)| table.insert(hash, set));
        if placed && table.holds(names) {
            return Ok(table.lines);
        }
        count += count / 50 + 1;
    }
    Err(ImageError::Collision)
}

struct Cuckoo {
    lines: Vec<Line>,
    size: u32,
    random: u64,
}

impl Cuckoo {
    fn new(size: u32) -> Result<Self, ImageError> {
        Ok(Self {
            lines: lines(size as usize)?,
            size,
            random: 0x2545_f491_4f6c_dd1d,
        })
    }

    /// Whether the entry found a place.
    fn insert(&mut self, hash: u64, set: u16) -> bool {
        let mut homeless = entry(hash, set);
        let first = first(hash, self.size);
        let mut line = other(first, hash, self.size);
        if self.place(first, homeless) || self.place(line, homeless) {
            return true;
        }
        for _ in 0..MOVES {
            let slot = self.slot();
            std::mem::swap(&mut self.lines[line as usize][slot], &mut homeless);
            line = other(line, homeless >> 16, self.size);
            if self.place(line, homeless) {
                return true;
            }
        }
        false
    }

    fn place(&mut self, line: u32, entry: u64) -> bool {
        match self.lines[line as usize]
            .iter_mut()
            .find(|slot| **slot == 0)
        {
            Some(slot) => {
                *slot = entry;
                true
            }
            None => false,
        }
    }

    /// A random slot (xorshift64*, Marsaglia 2003).
    fn slot(&mut self) -> usize {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 61) as usize % SLOTS as usize
    }

    /// Whether every name is found with its set. Two names of one line pair
    /// may share the 48 bits of a fingerprint (3e-7 for five million names);
    /// a table of another size parts them.
    fn holds(&self, names: &Merged) -> bool {
        names
            .iter()
            .all(|(hash, set)| lookup(self.lines.as_slice(), self.size, hash) == set)
    }
}
