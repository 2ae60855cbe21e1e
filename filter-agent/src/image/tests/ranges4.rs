use std::net::{IpAddr, Ipv4Addr};

use filter_ebpf::tables::{Table, ranges4, sets};
use proptest::prelude::*;

use super::{Random, image, mask, secret};
use crate::image::ranges4::by_networks;
use crate::image::segments::segments;
use crate::image::sets::Sets;
use crate::image::{Image, Names, OWN, Ranges};

type Listed = (u32, u32, u8);

fn ranges(listed: &[Listed]) -> Ranges {
    let mut ranges = Ranges::default();
    for &(first, last, category) in listed {
        let address = |bits| IpAddr::V4(Ipv4Addr::from_bits(bits));
        ranges.add(address(first), address(last), category).unwrap();
    }
    ranges
}

fn build(listed: &[Listed]) -> Image {
    image(Names::new(&secret()), ranges(listed))
}

fn lookup(image: &Image, address: u32) -> u64 {
    let (root, ranges) = (image.table(Table::Ranges4Root), image.table(Table::Ranges4));
    mask(
        image,
        ranges4::lookup(root, root.len() as u32, ranges, address),
    )
}

fn model(listed: &[Listed], address: u32) -> u64 {
    listed
        .iter()
        .filter(|(first, last, _)| (*first..=*last).contains(&address))
        .fold(0, |mask, (_, _, category)| mask | 1 << category)
}

/// Compares at every edge, beside it, and at some addresses between; with the
/// networks of few ranges and with those of many.
fn compare(listed: &[Listed], others: &[u32]) {
    let image = build(listed);
    let mut sets = Sets::new();
    let segments = segments(&ranges(listed).v4, &mut sets).unwrap();
    let (root, ranges) = by_networks(&segments, ranges4::bits(usize::MAX)).unwrap();
    let sets = sets.table();
    assert_ne!(root.len(), image.table(Table::Ranges4Root).len());
    let edges = listed.iter().flat_map(|&(first, last, _)| {
        [
            first.wrapping_sub(1),
            first,
            first.wrapping_add(1),
            last.wrapping_sub(1),
            last,
            last.wrapping_add(1),
            first + (last - first) / 2,
        ]
    });
    for address in edges.chain(others.iter().copied()).chain([0, u32::MAX]) {
        assert_eq!(
            lookup(&image, address),
            model(listed, address),
            "{}",
            Ipv4Addr::from_bits(address)
        );
        let set = ranges4::lookup(&root[..], root.len() as u32, &ranges[..], address);
        assert_eq!(
            sets::mask(&sets[..], set),
            model(listed, address),
            "{} in smaller networks",
            Ipv4Addr::from_bits(address)
        );
    }
}

fn category() -> impl Strategy<Value = u8> {
    prop_oneof![0..63u8, Just(OWN)]
}

/// Anywhere, crowded into few networks, prefixes, or single addresses.
fn range() -> impl Strategy<Value = (u32, u32)> {
    let crowded = (0..4u32, any::<u16>(), 0..2000u32)
        .prop_map(|(network, low, len)| (network << 16 | u32::from(low), len));
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(a, b)| (a.min(b), a.max(b))),
        crowded.prop_map(|(first, len)| (first, first.saturating_add(len))),
        (any::<u32>(), 0..=32u32).prop_map(|(address, bits)| {
            let host = u32::MAX.checked_shr(bits).unwrap_or(0);
            (address & !host, address | host)
        }),
        any::<u32>().prop_map(|address| (address, address)),
        (any::<u16>(), 0..3u32).prop_map(|(network, len)| {
            let first = u32::from(network) << 16;
            (first, first.saturating_add((len << 16) | 0xffff))
        }),
    ]
}

proptest! {
    #[test]
    fn equals_the_model(
        ranges in prop::collection::vec((range(), category()), 0..60),
        others in prop::collection::vec(any::<u32>(), 50),
    ) {
        let listed: Vec<_> = ranges.into_iter().map(|((a, b), c)| (a, b, c)).collect();
        compare(&listed, &others);
    }
}

#[test]
fn nothing_is_in_an_empty_table() {
    compare(&[], &[1, 0x7f00_0001]);
}

#[test]
fn the_whole_family_with_holes_and_layers() {
    compare(
        &[
            (0, u32::MAX, 1),
            (0, u32::MAX, 2),
            (0x0a00_0000, 0x0aff_ffff, OWN),
            (0x0a00_0000, 0x0a00_0000, 3),
            (0xffff_ffff, 0xffff_ffff, 4),
            (0, 0, 5),
            (0x0a01_ffff, 0x0a02_0000, 6),
        ],
        &[0x0b00_0000],
    );
}

#[test]
fn neighbours_that_touch_stay_apart() {
    compare(&[(10, 19, 1), (20, 29, 2), (30, 39, 1), (40, 49, 1)], &[]);
}

/// Every second address of three networks of one root line: more than 16
/// bits can number, so the line's shift is used.
#[test]
fn crowded_networks_shift_their_root_line() {
    let mut listed = Vec::new();
    for network in [28u32, 30, 55] {
        for low in (0..1u32 << 16).step_by(2) {
            let address = network << 16 | low;
            listed.push((address, address, (low % 62) as u8));
        }
    }
    listed.push((29 << 16 | 7, 29 << 16 | 9, 62));
    let image = build(&listed);
    let shift = image.table(Table::Ranges4Root)[1][0] >> 32;
    assert_ne!(shift, 0);
    for &(address, _, category) in &listed {
        assert_eq!(lookup(&image, address), 1 << category);
    }
    for network in 27..57u32 {
        for low in [1u32, 3, 0x7fff, 0xffff] {
            let inside = network == 29 && (7..=9).contains(&low);
            assert_eq!(lookup(&image, network << 16 | low), u64::from(inside) << 62);
        }
    }
}

/// At most 8 bytes per range, and the right answer at every range and at
/// every gap, for 100,000 and a million isolated ranges.
#[test]
fn large_tables_are_small_and_right() {
    for count in [100_000u32, 1_000_000] {
        let mut random = Random(u64::from(count));
        let step = u32::MAX / count;
        let listed: Vec<_> = (0..count)
            .map(|number| {
                let first = number * step + random.below(u64::from(step / 2)) as u32;
                let len = random.below(u64::from(step / 2).min(256)) as u32;
                (first, first + len, random.below(63) as u8)
            })
            .collect();
        let image = build(&listed);
        let lines = image.table(Table::Ranges4Root).len() + image.table(Table::Ranges4).len();
        let bytes = lines as f64 * 64.0 / f64::from(count);
        println!("{count} ranges: {bytes:.2} bytes per range");
        assert!(bytes <= 8.0, "{bytes}");
        for &(first, last, category) in &listed {
            assert_eq!(lookup(&image, first), 1 << category);
            assert_eq!(lookup(&image, last), 1 << category);
            assert_eq!(lookup(&image, first.wrapping_sub(1)), 0);
            assert_eq!(lookup(&image, last + 1), 0);
        }
    }
}
