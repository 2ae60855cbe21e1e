//! Every table against a naive model, at random and at its bounds.

mod except;
mod except_ranges;
mod input;
mod names;
mod ranges4;
mod ranges6;

use filter_ebpf::abi::{Group, Secret, Verdict};
use filter_ebpf::tables::{Table, sets};

use super::{Image, Input, Names, Ranges};

fn secret() -> Secret {
    Secret {
        name: [
            0xbd7f_4b0c_96e1_35a9,
            0x6c62_d8f3_1b07_ae4d,
            0x52e9_07c4_8d3b_f61a,
            0x1f86_ba75_e04d_92c3,
        ],
        content: [1; 4],
    }
}

fn input(names: Names, ranges: Ranges) -> Input {
    Input {
        generation: 1,
        links: vec![2],
        unknown_vlan: Verdict::Drop,
        when_stale: Verdict::Drop,
        trace: false,
        hello_cap: 16384,
        quic_budget: 1000,
        groups: vec![Group {
            refuse: Verdict::Drop as u8,
            ..Group::default()
        }],
        rooms: Vec::new(),
        categories: 63,
        names,
        ranges,
        safe_search: crate::image::SafeSearch::default(),
    }
}

fn image(names: Names, ranges: Ranges) -> Image {
    Image::build(input(names, ranges)).unwrap()
}

/// The categories of a set.
fn mask(image: &Image, set: u16) -> u64 {
    sets::mask(image.table(Table::Sets), set)
}

/// A small generator with a seed (SplitMix64, Steele 2014), for sets too
/// large for proptest.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
