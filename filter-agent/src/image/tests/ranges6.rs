use std::net::{IpAddr, Ipv6Addr};

use filter_ebpf::tables::{Table, ranges6};
use proptest::prelude::*;

use super::{Random, image, mask, secret};
use crate::image::{Image, Names, OWN, Ranges};

type Listed = (u128, u128, u8);

fn build(listed: &[Listed]) -> Image {
    let mut ranges = Ranges::default();
    for &(first, last, category) in listed {
        let address = |bits| IpAddr::V6(Ipv6Addr::from_bits(bits));
        ranges.add(address(first), address(last), category).unwrap();
    }
    image(Names::new(&secret()), ranges)
}

fn lookup(image: &Image, address: u128) -> u64 {
    let set = ranges6::lookup(
        image.table(Table::Ranges6Tree),
        image.table(Table::Ranges6Values),
        image.table(Table::Ranges6Lower),
        (address >> 64) as u64,
        address as u64,
    );
    mask(image, set)
}

fn model(listed: &[Listed], address: u128) -> u64 {
    listed
        .iter()
        .filter(|(first, last, _)| (*first..=*last).contains(&address))
        .fold(0, |mask, (_, _, category)| mask | 1 << category)
}

fn compare(listed: &[Listed], others: &[u128]) {
    let image = build(listed);
    let edges = listed.iter().flat_map(|&(first, last, _)| {
        [
            first.wrapping_sub(1),
            first,
            first.wrapping_add(1),
            last.wrapping_sub(1),
            last,
            last.wrapping_add(1),
            first ^ 1 << 63,
            first + (last - first) / 2,
            first.wrapping_add(1 << 64),
            last.wrapping_sub(1 << 64),
        ]
    });
    for address in edges.chain(others.iter().copied()).chain([0, u128::MAX]) {
        assert_eq!(
            lookup(&image, address),
            model(listed, address),
            "{}",
            Ipv6Addr::from_bits(address)
        );
    }
}

/// Few upper and lower halves, so that ranges meet inside a /64.
fn crowded() -> impl Strategy<Value = u128> {
    let half = prop_oneof![
        0..6u64,
        u64::MAX - 4..=u64::MAX,
        Just(1 << 63),
        any::<u64>()
    ];
    (half.clone(), half).prop_map(|(upper, lower)| u128::from(upper) << 64 | u128::from(lower))
}

fn range() -> impl Strategy<Value = (u128, u128)> {
    prop_oneof![
        (crowded(), crowded()).prop_map(|(a, b)| (a.min(b), a.max(b))),
        (crowded(), 0..=128u32).prop_map(|(address, bits)| {
            let host = u128::MAX.checked_shr(bits).unwrap_or(0);
            (address & !host, address | host)
        }),
        crowded().prop_map(|address| (address, address)),
    ]
}

proptest! {
    #[test]
    fn equals_the_model(
        ranges in prop::collection::vec((range(), prop_oneof![0..63u8, Just(OWN)]), 0..80),
        others in prop::collection::vec(crowded(), 50),
    ) {
        let listed: Vec<_> = ranges.into_iter().map(|((a, b), c)| (a, b, c)).collect();
        compare(&listed, &others);
    }
}

#[test]
fn nothing_is_in_an_empty_table() {
    compare(&[], &[1, 1 << 64]);
}

#[test]
fn the_whole_family_with_holes_and_layers() {
    let network = 0x2001_0db8_0000_0000u128 << 64;
    compare(
        &[
            (0, u128::MAX, 1),
            (network, network | u128::from(u64::MAX), 2),
            (network | 5, network | 5, 3),
            (network | u128::from(u64::MAX), network + (1 << 64), OWN),
            (u128::MAX, u128::MAX, 4),
            (0, 0, 5),
        ],
        &[1 << 64, network + (1 << 64) + 1],
    );
}

/// Hundreds of hosts in one /64: its part of the third table has many lines.
#[test]
fn a_crowded_network_has_many_lines() {
    let network = 0x2001_0db8_0000_0007u128 << 64;
    let listed: Vec<_> = (0..700u128)
        .map(|host| (network + host * 3, network + host * 3, (host % 63) as u8))
        .collect();
    compare(&listed, &[network | 2100, network | 1 << 63]);
}

#[test]
fn large_tables_are_right() {
    let mut random = Random(6);
    let mut listed: Vec<Listed> = (0..100_000u128)
        .map(|number| {
            let upper = 0x2000 << 48 | number << 44 | u128::from(random.below(1 << 40));
            let bits = 48 + random.below(17) as u32;
            let host = u128::MAX >> bits;
            let first = (upper << 64) & !host;
            (first, first | host, random.below(63) as u8)
        })
        .collect();
    listed.dedup_by_key(|(first, _, _)| *first >> 80);
    let image = build(&listed);
    for &(first, last, category) in &listed {
        assert_eq!(lookup(&image, first), 1 << category);
        assert_eq!(lookup(&image, last), 1 << category);
        assert_eq!(lookup(&image, first - 1), 0);
        assert_eq!(lookup(&image, last + 1), 0);
    }
}
