//! What is measured with: isolated random prefixes, and names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use filter_agent::image::{Image, Input, Names, Ranges, Reach};
use filter_ebpf::abi::{Secret, Verdict};

/// The same addresses as prefixes and as ranges.
#[derive(Default)]
pub(crate) struct Prefixes {
    /// First address, bits; the part of each is its own.
    pub(crate) v4: Vec<(u32, u8)>,
    pub(crate) v6: Vec<(u128, u8)>,
}

impl Prefixes {
    /// `count` prefixes of each family, each alone in its part: IPv4 of 24 to
    /// 32 bits from 1.0.0.0 to 223.255.255.255 (multicast is never dropped),
    /// IPv6 of 40 to 64 bits below 2000::/12.
    pub(crate) fn random(count: u32) -> Self {
        let mut random = Random(u64::from(count));
        let step4 = bench_peers::step(count);
        let step6 = (1u64 << 52) / u64::from(count.max(1));
        let mut prefixes = Self::default();
        for number in 0..count {
            let (address, mask) = bench_peers::prefix(number, step4);
            prefixes.v4.push((address, mask.leading_ones() as u8));
            let bits = 40 + random.below(25) as u8;
            let upper = (0x2000 << 48) + u64::from(number) * step6 + random.below(step6);
            let mask = u64::MAX << (64 - bits);
            prefixes.v6.push((u128::from(upper & mask) << 64, bits));
        }
        prefixes.v6.sort_unstable();
        prefixes.v6.dedup();
        prefixes
    }

    /// The same as ranges of category 0.
    pub(crate) fn ranges(&self) -> Result<Ranges> {
        let mut ranges = Ranges::default();
        for &(address, bits) in &self.v4 {
            let last = address | u32::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            let [first, last] = [address, last].map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
            ranges.add(first, last, 0)?;
        }
        for &(address, bits) in &self.v6 {
            let last = address | u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            let [first, last] = [address, last].map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
            ranges.add(first, last, 0)?;
        }
        Ok(ranges)
    }
}

/// `count` host names of category 0.
pub(crate) fn names(count: u32, secret: &Secret) -> Result<Names> {
    let mut names = Names::new(secret);
    for number in 0..count {
        let name = format!("host{number}.example{}.com", number % 1000);
        names.add(&name, 0, Reach::Subtree)?;
    }
    Ok(names)
}

/// An image of these prefixes and `count` host names, all of category 0.
pub(crate) fn image(prefixes: &Prefixes, count: u32, secret: &Secret) -> Result<Image> {
    Ok(Image::build(Input {
        generation: 1,
        links: vec![1],
        unknown_vlan: Verdict::Drop,
        when_stale: Verdict::Drop,
        trace: false,
        hello_cap: 16_384,
        quic_budget: 1000,
        groups: Vec::new(),
        rooms: Vec::new(),
        categories: 1,
        names: names(count, secret)?,
        ranges: prefixes.ranges()?,
        safe_search: filter_agent::image::SafeSearch::default(),
    })?)
}

/// A small generator: the same rows every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        bench_peers::mix(self.0)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}
