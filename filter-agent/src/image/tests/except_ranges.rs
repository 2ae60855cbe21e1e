//! Exceptions for addresses against a map of every address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Random;
use crate::image::Ranges;

const SPACE: u64 = 64;

/// The lowest and the highest addresses of a family, which is where an
/// address after the last one would be.
fn address(v6: bool, at: u64) -> IpAddr {
    let (low, back) = (at < SPACE / 2, SPACE - 1 - at);
    match (v6, low) {
        (false, true) => Ipv4Addr::from(at as u32).into(),
        (false, false) => Ipv4Addr::from(u32::MAX - back as u32).into(),
        (true, true) => Ipv6Addr::from(u128::from(at)).into(),
        (true, false) => Ipv6Addr::from(u128::MAX - u128::from(back)).into(),
    }
}

fn span(random: &mut Random) -> (u64, u64) {
    let (a, b) = (random.below(SPACE), random.below(SPACE));
    // Mostly short ones.
    let b = if random.below(3) > 0 {
        (a + b % 4).min(SPACE - 1)
    } else {
        b
    };
    (a.min(b), a.max(b))
}

fn covered(ranges: &Ranges, v6: bool, at: u64) -> bool {
    match address(v6, at) {
        IpAddr::V4(a) => ranges
            .v4
            .iter()
            .any(|r| (r.first..=r.last).contains(&a.to_bits())),
        IpAddr::V6(a) => ranges
            .v6
            .iter()
            .any(|r| (r.first..=r.last).contains(&a.to_bits())),
    }
}

#[test]
fn exactly_the_excepted_addresses_go_and_only_of_the_own_list() {
    let mut random = Random(7);
    let (mut gone, mut idle) = (0, 0);
    for case in 0..4000 {
        let v6 = case % 2 == 1;
        let ends = |(a, b)| (address(v6, a), address(v6, b));
        let mut ranges = Ranges::default();
        let other = span(&mut random);
        let (first, last) = ends(other);
        ranges.add(first, last, 1).unwrap();
        let mark = ranges.mark();
        let listed: Vec<_> = (0..random.below(6)).map(|_| span(&mut random)).collect();
        for one in &listed {
            let (first, last) = ends(*one);
            ranges.add(first, last, 1).unwrap();
        }
        let excepted: Vec<_> = (0..random.below(6)).map(|_| span(&mut random)).collect();
        let exceptions: Vec<_> = excepted.iter().map(|one| ends(*one)).collect();
        let done = ranges.except(&mark, &exceptions);
        let inside = |at: u64, of: &[(u64, u64)]| of.iter().any(|(a, b)| (*a..=*b).contains(&at));
        for at in 0..SPACE {
            let want = inside(at, &[other]) || inside(at, &listed) && !inside(at, &excepted);
            assert_eq!(
                covered(&ranges, v6, at),
                want,
                "{at}: {listed:?} without {excepted:?}"
            );
        }
        let whole = listed
            .iter()
            .filter(|(a, b)| (*a..=*b).all(|at| inside(at, &excepted)));
        assert_eq!(done.taken_out, whole.count() as u64);
        gone += done.taken_out;
        idle += done.unmet;
    }
    assert!(gone > 500 && idle > 500, "{gone} {idle}");
}
