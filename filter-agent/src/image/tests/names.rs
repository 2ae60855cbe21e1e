use std::collections::HashMap;

use filter_ebpf::abi::{NAME_MAX, SUFFIXES, Secret};
use filter_ebpf::tables::hash::{NameHash, Suffixes, listed, suffixes};
use filter_ebpf::tables::{Table, names};
use proptest::prelude::*;

use super::{Random, image, mask, secret};
use crate::image::{Image, ImageError, Names, Ranges, Reach};

fn lookup(image: &Image, hash: u64) -> u64 {
    let table = image.table(Table::Names);
    mask(image, names::lookup(table, table.len() as u32, hash))
}

fn packet(name: &str) -> Suffixes {
    let mut bytes = [0xee; NAME_MAX];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    let mut out = Suffixes::default();
    suffixes(&secret(), &bytes, name.len() as u32, &mut out);
    out
}

/// What a packet with this name meets: the categories of each suffix, the
/// shortest first, then those of the exact entry.
fn ask(image: &Image, name: &str) -> (Vec<u64>, u64) {
    let hashes = packet(name);
    let subtree = hashes.subtree[..hashes.len as usize]
        .iter()
        .map(|&hash| lookup(image, hash))
        .collect();
    (subtree, lookup(image, hashes.exact))
}

fn model(listed: &[(String, u8, Reach)], name: &str) -> (Vec<u64>, u64) {
    let find = |suffix: &str, reach| {
        listed
            .iter()
            .filter(|(name, _, r)| name == suffix && *r == reach)
            .fold(0, |mask, (_, category, _)| mask | 1 << category)
    };
    let mut suffixes: Vec<&str> = name
        .match_indices('.')
        .map(|(at, _)| &name[at + 1..])
        .collect();
    suffixes.insert(0, name);
    suffixes.reverse();
    suffixes.truncate(SUFFIXES);
    let subtree = suffixes
        .iter()
        .map(|suffix| find(suffix, Reach::Subtree))
        .collect();
    (subtree, find(name, Reach::Exact))
}

fn build(listed: &[(String, u8, Reach)]) -> Image {
    let mut names = Names::new(&secret());
    for (name, category, reach) in listed {
        names.add(name, *category, *reach).unwrap();
    }
    image(names, Ranges::default())
}

/// Names that share suffixes, up to twelve labels deep.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec("[ab]|com|www", 1..=12).prop_map(|labels| labels.join(".")),
        "[a-z0-9_-]{1,30}(\\.[a-z]{2,5}){0,3}",
    ]
}

fn reach() -> impl Strategy<Value = Reach> {
    prop_oneof![Just(Reach::Subtree), Just(Reach::Exact)]
}

proptest! {
    #[test]
    fn equals_the_model(
        listed in prop::collection::vec((name(), 0..63u8, reach()), 0..200),
        others in prop::collection::vec(name(), 50),
    ) {
        let image = build(&listed);
        let below = listed.iter().map(|(name, _, _)| format!("www.{name}"));
        let asked = listed.iter().map(|(name, _, _)| name.clone());
        for name in asked.chain(below).chain(others) {
            prop_assert_eq!(ask(&image, &name), model(&listed, &name), "{}", name);
        }
    }

    #[test]
    fn a_packet_and_a_list_hash_alike(name in name()) {
        let one = listed(&secret(), name.as_bytes());
        let hashes = packet(&name);
        prop_assert_eq!(hashes.exact, one.exact);
        prop_assert_eq!(hashes.subtree[hashes.len as usize - 1], one.subtree);
        prop_assert_eq!(hashes.len as usize, name.split('.').count());
    }
}

#[test]
fn deep_names_keep_their_shortest_suffixes() {
    let name = "a.".repeat(40) + "example.com";
    let hashes = packet(&name);
    assert_eq!(hashes.len as usize, SUFFIXES);
    assert_eq!(hashes.subtree[1], listed(&secret(), b"example.com").subtree);
    assert_eq!(hashes.exact, listed(&secret(), name.as_bytes()).exact);
    assert_eq!(packet("").len, 0);
    let longest = "x".repeat(NAME_MAX);
    assert_eq!(
        packet(&longest).exact,
        listed(&secret(), longest.as_bytes()).exact
    );
}

/// Names that collide under every multiplier where a polynomial modulo 2^64
/// is the hash (Thue-Morse words), and names that differ in one bit.
#[test]
fn chosen_names_do_not_collide() {
    let mut word = (String::from("a"), String::from("b"));
    for _ in 0..7 {
        word = (word.0.clone() + &word.1, word.1 + &word.0);
    }
    assert_eq!(word.0.len(), 128);
    let hash = |name: &str| listed(&secret(), name.as_bytes());
    assert_ne!(hash(&word.0).subtree, hash(&word.1).subtree);
    assert_ne!(hash(&word.0).exact, hash(&word.1).exact);

    // Each input bit turns each output bit about every second time.
    let mut random = Random(1);
    let mut turned = [0u32; 64];
    let rounds = 4000;
    for _ in 0..rounds {
        let name = random.next().to_le_bytes();
        let mut other = name;
        other[random.below(8) as usize] ^= 1 << random.below(8);
        let difference = listed(&secret(), &name).subtree ^ listed(&secret(), &other).subtree;
        for (bit, count) in turned.iter_mut().enumerate() {
            *count += (difference >> bit & 1) as u32;
        }
    }
    for (bit, count) in turned.iter().enumerate() {
        let share = f64::from(*count) / f64::from(rounds);
        assert!((0.45..0.55).contains(&share), "bit {bit}: {share}");
    }
}

#[test]
fn the_secret_matters() {
    let mut other = secret();
    let first = listed(&secret(), b"example.com");
    for word in 0..4 {
        other.name[word] ^= 2;
        assert_ne!(
            listed(&other, b"example.com").subtree,
            first.subtree,
            "{word}"
        );
        other = secret();
    }
}

/// A hash of 8 bits: names collide and the builder says so instead of
/// giving one name the other's categories.
#[test]
fn colliding_names_are_refused() {
    fn small(secret: &Secret, name: &[u8]) -> NameHash {
        let hash = listed(secret, name);
        NameHash {
            subtree: hash.subtree & 0xff,
            exact: hash.exact & 0xff,
            check: hash.check,
        }
    }
    let mut names = Names::with_hash(&secret(), small);
    for number in 0..300 {
        names
            .add(&format!("host{number}.example"), 1, Reach::Subtree)
            .unwrap();
    }
    let error = Image::build(super::input(names, Ranges::default()));
    assert_eq!(error, Err(ImageError::Collision));

    // The same name twice is no collision.
    let mut names = Names::with_hash(&secret(), small);
    names.add("a.example", 1, Reach::Subtree).unwrap();
    names.add("a.example", 2, Reach::Subtree).unwrap();
    let image = image(names, Ranges::default());
    let hash = small(&secret(), b"a.example").subtree;
    assert_eq!(lookup(&image, hash), 0b110);
}

/// Names that share all 48 bits of the fingerprint and differ above: the
/// table holds no two of them in one pair of lines.
#[test]
fn equal_fingerprints_stay_apart() {
    fn narrow(secret: &Secret, name: &[u8]) -> NameHash {
        let hash = listed(secret, name);
        NameHash {
            subtree: hash.subtree & !0xffff_ffff_ffff | 7,
            ..hash
        }
    }
    let mut names = Names::with_hash(&secret(), narrow);
    let all: HashMap<u64, u8> = (0..40u8)
        .map(|number| {
            let name = format!("n{number}");
            names.add(&name, number, Reach::Subtree).unwrap();
            (narrow(&secret(), name.as_bytes()).subtree, number)
        })
        .collect();
    assert_eq!(all.len(), 40);
    // Few lines cannot part them; then it is an error, never a wrong set.
    match Image::build(super::input(names, Ranges::default())) {
        Ok(image) => {
            for (hash, category) in all {
                assert_eq!(lookup(&image, hash), 1 << category);
            }
        }
        Err(error) => assert_eq!(error, ImageError::Collision),
    }
}

#[test]
fn what_cannot_be_looked_up_is_refused() {
    let mut names = Names::new(&secret());
    let deep = "a.".repeat(SUFFIXES) + "com";
    for name in ["", &"x".repeat(NAME_MAX), &deep] {
        let error = names.add(name, 0, Reach::Subtree);
        assert_eq!(error, Err(ImageError::Name(name.to_owned())));
    }
    names.add(&deep, 0, Reach::Exact).unwrap();
    assert!(names.add("a.com", 63, Reach::Exact).is_err());
}

/// At most 9 bytes per name from a thousand on, every name found, others
/// not.
#[test]
fn large_tables_are_small_and_right() {
    for count in [1_000u32, 30_000, 1_000_000] {
        let mut names = Names::new(&secret());
        let name = |number: u32| format!("{number}.example.com");
        for number in 0..count {
            names
                .add(&name(number), (number % 63) as u8, Reach::Subtree)
                .unwrap();
        }
        let image = image(names, Ranges::default());
        let bytes = image.table(Table::Names).len() as f64 * 64.0 / f64::from(count);
        println!("{count} names: {bytes:.2} bytes per name");
        assert!(bytes <= 9.0, "{bytes}");
        for number in 0..count {
            let hash = listed(&secret(), name(number).as_bytes());
            assert_eq!(lookup(&image, hash.subtree), 1 << (number % 63));
            assert_eq!(lookup(&image, hash.exact), 0);
        }
    }
}
