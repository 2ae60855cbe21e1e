//! Writes what [`filter_ebpf::tables::ranges4`] reads.

use filter_ebpf::tables::Line;
use filter_ebpf::tables::ranges4::{MAX_RANGES, NETWORKS, PER_LINE, bits, root_lines};

use super::{ImageError, lines, segments::Segment};

/// Root and ranges.
pub(super) fn build(segments: &[Segment<u32>]) -> Result<(Vec<Line>, Vec<Line>), ImageError> {
    by_networks(segments, bits(segments.len()))
}

/// The same for networks of so many bits.
pub(super) fn by_networks(
    segments: &[Segment<u32>],
    bits: u32,
) -> Result<(Vec<Line>, Vec<Line>), ImageError> {
    let pieces = || segments.iter().flat_map(|segment| pieces(segment, bits));
    let mut counts = vec![0u32; 1 << bits];
    for piece in pieces() {
        counts[piece.network as usize] += 1;
    }
    let (root, firsts, total) = root(&counts, bits)?;
    let mut ranges = lines(total.div_ceil(PER_LINE as usize))?;
    let mut next = firsts.clone();
    for piece in pieces() {
        let next = &mut next[piece.network as usize];
        write(&mut ranges, *next, &piece);
        *next += 1;
    }
    pad(&mut ranges, &next, &firsts, total);
    Ok((root, ranges))
}

/// The part of a segment inside one network.
#[derive(Clone, Copy)]
struct Piece {
    network: u32,
    first: u16,
    last: u16,
    set: u16,
}

fn pieces(segment: &Segment<u32>, bits: u32) -> impl Iterator<Item = Piece> {
    let Segment { first, last, set } = *segment;
    let host = 32 - bits;
    (first >> host..=last >> host).map(move |network| {
        let start = network << host;
        let end = start | ((1 << host) - 1);
        Piece {
            network,
            first: first.max(start) as u16,
            last: last.min(end) as u16,
            set,
        }
    })
}

/// The root, the number of each network's first range, and of all ranges.
fn root(counts: &[u32], bits: u32) -> Result<(Vec<Line>, Vec<usize>, usize), ImageError> {
    let mut root = lines(root_lines(bits) as usize)?;
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
            for part in 0..3 {
                let value = get(ranges, next - 1, part);
                put(ranges, free, part, value);
            }
        }
    }
}

fn write(ranges: &mut [Line], number: usize, piece: &Piece) {
    put(ranges, number, 0, piece.first);
    put(ranges, number, 1, piece.last);
    put(ranges, number, 2, piece.set);
}

/// Line, word and bit of part 0 (first), 1 (last) or 2 (set) of a range.
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
