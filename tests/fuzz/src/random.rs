//! Random numbers that are the same on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014): any seed is a good one, so input
/// `n` of a run is made from the run's seed and `n` alone.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of input `index` of the run with `seed`.
    #[must_use]
    pub fn new(seed: u64, index: u64) -> Self {
        let mut random = Self(seed);
        Self(random.number() ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 when there is none.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            return 0;
        }
        (self.number() % end as u64) as usize
    }

    /// One of `values`.
    pub fn pick<'a, T: ?Sized>(&mut self, values: &[&'a T]) -> Option<&'a T> {
        values.get(self.below(values.len())).copied()
    }

    /// Up to four places to cut `len` bytes, in order.
    pub fn cuts(&mut self, len: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> = (0..self.below(5)).map(|_| self.below(len)).collect();
        cuts.sort_unstable();
        cuts
    }
}
