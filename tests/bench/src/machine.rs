//! `machine.*`: what a read costs that the processor could not foresee. A
//! table's look-up, a new flow, a hello are made of such reads.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;

use crate::Effort;
use crate::rows::Rows;
use crate::workload::Random;

/// Mebibytes that are read from: within the second cache of most processors,
/// beyond it, and beyond all, with a page of its own for each read.
const SIZES: [usize; 3] = [1, 4, 64];

/// A cache line with the number of the next one.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(u32);

pub(crate) fn measure(rows: &mut Rows, effort: &Effort) -> Result<()> {
    for mebibytes in SIZES {
        let row = format!("machine.memory.{mebibytes}");
        if !effort.wants(&row) {
            continue;
        }
        let lines = cycle(mebibytes << 20 >> 6);
        for _ in 0..effort.rounds {
            // Once around, so that pages and caches are as they stay.
            let at = follow(&lines, 0, lines.len());
            let reads = effort.runs as usize;
            let start = Instant::now();
            let end = follow(&lines, at, reads);
            let took = start.elapsed();
            // Whoever knew that nobody asks for it would leave the reads out.
            black_box(end);
            rows.add(&row, "ns", took.as_secs_f64() * 1e9 / reads as f64);
        }
    }
    Ok(())
}

/// Lines that lead around all of them in random order.
fn cycle(count: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = (0..count as u32).map(Line).collect();
    let mut random = Random(count as u64);
    // Sattolo's shuffle: one cycle, whatever the random numbers are.
    for last in (1..count).rev() {
        lines.swap(last, random.below(last as u64) as usize);
    }
    lines
}

fn follow(lines: &[Line], from: usize, reads: usize) -> usize {
    (0..reads).fold(from, |at, _| lines[at].0 as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines_are_visited_once() {
        let lines = cycle(1_000);
        let mut seen = vec![false; lines.len()];
        let mut at = 0;
        for _ in 0..lines.len() {
            assert!(!std::mem::replace(&mut seen[at], true));
            at = follow(&lines, at, 1);
        }
        assert_eq!(at, 0);
    }
}
