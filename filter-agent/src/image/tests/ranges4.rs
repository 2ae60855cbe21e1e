use std::net::{IpAddr, Ipv4Addr};

use filter_ebpf::tables::{Table, ranges4};
use proptest::prelude::*;

use super::{Random, image, mask, secret};
use crate::image::ranges4::with_kinds;
use crate::image::segments::segments;
use crate::image::sets::Sets;
use crate::image::{Image, ImageError, Names, OWN, Ranges};

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
    let set = ranges4::lookup(
        image.table(Table::Ranges4Root),
        image.table(Table::Ranges4),
        image.table(Table::Ranges4Kinds),
        address,
    );
    mask(image, set)
}

fn model(listed: &[Listed], address: u32) -> u64 {
    listed
        .iter()
        .filter(|(first, last, _)| (*first..=*last).contains(&address))
        .fold(0, |mask, (_, _, category)| mask | 1 << category)
}

/// Compares at every edge, beside it, and at some addresses between; all of
/// one category too, with so few kinds that most ranges are taken apart.
fn compare(listed: &[Listed], others: &[u32]) {
    let image = build(listed);
    let one: Vec<Listed> = listed.iter().map(|&(a, b, _)| (a, b, 7)).collect();
    let segments = segments(&ranges(&one).v4, &mut Sets::new()).unwrap();
    let few = with_kinds(&segments, 17).unwrap();
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
        let right = model(listed, address);
        let dotted = Ipv4Addr::from_bits(address);
        assert_eq!(lookup(&image, address), right, "{dotted}");
        let set = ranges4::lookup(&few.root[..], &few.ranges[..], &few.kinds[..], address);
        assert_eq!(set != 0, right != 0, "{dotted} by few kinds");
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

/// Two ranges in each of half the networks, of 65,536 pairs of length and
/// category together: as many kinds as a table can number. With one more the
/// rare ones are taken apart, and still every answer is right.
#[test]
fn kinds_at_their_bound() {
    let mut listed = Vec::new();
    for network in 0..1u32 << 15 {
        let first = network << 17;
        listed.push((first, first + network, 1));
        listed.push((first + 0xffff - network, first + 0xffff, 2));
    }
    let lines = |image: &Image, table| image.table(table).len();
    let full = build(&listed);
    assert_eq!(lines(&full, Table::Ranges4Kinds), 65_536 / 16);
    assert_eq!(lines(&full, Table::Ranges4), 65_536 / 16);
    // Common, so it has a number of its own.
    for number in 0..2_000 {
        let first = (number << 17) + 0x1_0000;
        listed.push((first, first + 999, 3));
    }
    let over = build(&listed);
    assert_eq!(lines(&over, Table::Ranges4Kinds), 65_536 / 16);
    let ranges = lines(&over, Table::Ranges4) * 16;
    assert!((67_536..68_200).contains(&ranges), "{ranges}");
    for image in [&full, &over] {
        let listed = &listed[..if std::ptr::eq(image, &full) {
            65_536
        } else {
            listed.len()
        }];
        for &(first, last, category) in listed {
            for (address, inside) in [
                (first, true),
                (first + (last - first) / 2, true),
                (last, true),
                (first.wrapping_sub(1), false),
                (last + 1, false),
            ] {
                // Where two meet, the other one's answer is as right.
                let found = lookup(image, address);
                assert_eq!(found & 1 << category != 0, inside, "{address:#x}");
            }
        }
    }
}

#[test]
fn more_combinations_than_lengths_can_be_told_for_are_refused() {
    let listed: Vec<_> = (0..40u32)
        .map(|number| (number << 16, (number << 16) + number, number as u8 % 20))
        .collect();
    let mut sets = Sets::new();
    let segments = segments(&ranges(&listed).v4, &mut sets).unwrap();
    assert!(with_kinds(&segments, 40).is_ok());
    let error = with_kinds(&segments, 39).err().unwrap();
    assert!(
        matches!(
            error,
            ImageError::TooMany {
                count: 20,
                max: 2,
                ..
            }
        ),
        "{error:?}"
    );
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
        let tables = [Table::Ranges4Root, Table::Ranges4, Table::Ranges4Kinds];
        let lines: usize = tables.iter().map(|table| image.table(*table).len()).sum();
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
