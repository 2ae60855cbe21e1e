//! Ranges of addresses, and what a public list may not hold.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// First and last address, both included, first ≤ last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpRange {
    V4 { first: u32, last: u32 },
    V6 { first: u128, last: u128 },
}

impl IpRange {
    /// `None` when the families differ or `last` comes before `first`.
    /// IPv4-mapped ranges become IPv4.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        match (first.to_canonical(), last.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => Some(Self::V4 {
                first: first.into(),
                last: last.into(),
            }),
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => Some(Self::V6 {
                first: first.into(),
                last: last.into(),
            }),
            _ => None,
        }
    }

    pub fn first(&self) -> IpAddr {
        match *self {
            Self::V4 { first, .. } => Ipv4Addr::from(first).into(),
            Self::V6 { first, .. } => Ipv6Addr::from(first).into(),
        }
    }

    pub fn last(&self) -> IpAddr {
        match *self {
            Self::V4 { last, .. } => Ipv4Addr::from(last).into(),
            Self::V6 { last, .. } => Ipv6Addr::from(last).into(),
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match (*self, address.to_canonical()) {
            (Self::V4 { first, last }, IpAddr::V4(a)) => (first..=last).contains(&a.into()),
            (Self::V6 { first, last }, IpAddr::V6(a)) => (first..=last).contains(&a.into()),
            _ => false,
        }
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (*self, *other) {
            (
                Self::V4 { first, last },
                Self::V4 {
                    first: from,
                    last: to,
                },
            ) => first <= to && from <= last,
            (
                Self::V6 { first, last },
                Self::V6 {
                    first: from,
                    last: to,
                },
            ) => first <= to && from <= last,
            _ => false,
        }
    }

    /// Wider than any list of hosts or networks needs: IPv4 beyond a /6,
    /// IPv6 beyond a /16. `0.0.0.0/0` and its halves are.
    pub(super) fn is_too_wide(&self) -> bool {
        match *self {
            Self::V4 { first, last } => last - first >= 1 << 26,
            Self::V6 { first, last } => last - first >= 1 << 112,
        }
    }

    /// What stays of the range without `cut`: nothing, one or two pieces.
    fn without(self, cut: &Self) -> [Option<Self>; 2] {
        match (self, *cut) {
            (
                Self::V4 { first, last },
                Self::V4 {
                    first: from,
                    last: to,
                },
            ) if first <= to && from <= last => [
                (first < from).then(|| Self::V4 {
                    first,
                    last: from.wrapping_sub(1),
                }),
                (to < last).then(|| Self::V4 {
                    first: to.wrapping_add(1),
                    last,
                }),
            ],
            (
                Self::V6 { first, last },
                Self::V6 {
                    first: from,
                    last: to,
                },
            ) if first <= to && from <= last => [
                (first < from).then(|| Self::V6 {
                    first,
                    last: from.wrapping_sub(1),
                }),
                (to < last).then(|| Self::V6 {
                    first: to.wrapping_add(1),
                    last,
                }),
            ],
            _ => [Some(self), None],
        }
    }

    /// What stays without any of `cuts`.
    pub(crate) fn without_all(self, cuts: &[Self]) -> Vec<Self> {
        let mut left = vec![self];
        for cut in cuts {
            left = left
                .into_iter()
                .flat_map(|range| range.without(cut))
                .flatten()
                .collect();
        }
        left
    }
}

impl From<IpNet> for IpRange {
    fn from(net: IpNet) -> Self {
        match net {
            IpNet::V4(net) => Self::V4 {
                first: net.network().into(),
                last: net.broadcast().into(),
            },
            IpNet::V6(net) => {
                let (first, last) = (net.network(), net.broadcast());
                match (first.to_ipv4_mapped(), last.to_ipv4_mapped()) {
                    (Some(first), Some(last)) => Self::V4 {
                        first: first.into(),
                        last: last.into(),
                    },
                    _ => Self::V6 {
                        first: first.into(),
                        last: last.into(),
                    },
                }
            }
        }
    }
}

/// Ranges that a school's own network or its router's control traffic may
/// use: private, shared, loopback, link-local, multicast, reserved (IANA
/// special-purpose registries, RFC 6890). Documentation ranges are not among
/// them: nothing lives there that a list could harm.
pub(super) const RESERVED: &[IpRange] = &[
    v4(0x0000_0000, 8),
    v4(0x0a00_0000, 8),
    v4(0x6440_0000, 10),
    v4(0x7f00_0000, 8),
    v4(0xa9fe_0000, 16),
    v4(0xac10_0000, 12),
    v4(0xc000_0000, 24),
    v4(0xc0a8_0000, 16),
    v4(0xe000_0000, 3),
    v6(0, 96),
    v6(0xffff << 32, 96),
    v6(0x0064_ff9b_0001 << 80, 48),
    v6(0xfc << 120, 7),
    v6(0xfe80 << 112, 10),
    v6(0xfec0 << 112, 10),
    v6(0xff << 120, 8),
];

const fn v4(first: u32, prefix: u32) -> IpRange {
    IpRange::V4 {
        first,
        last: first | (u32::MAX >> prefix),
    }
}

const fn v6(first: u128, prefix: u32) -> IpRange {
    IpRange::V6 {
        first,
        last: first | (u128::MAX >> prefix),
    }
}

/// Two addresses and blanks between them take less.
pub(super) const RANGE_MAX: usize = 96;

/// A range as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) range: IpRange,
    /// Bits were set beyond the prefix.
    pub(super) host_bits: bool,
}

/// Reads `address`, `address/prefix` (also with a netmask) or `first-last`.
/// IPv4 octets may be padded with zeros, which never means octal here.
/// `None` when the text is none of these.
pub fn parse_range(text: &[u8]) -> Option<IpRange> {
    written(text).map(|written| written.range)
}

pub(super) fn written(text: &[u8]) -> Option<Written> {
    if text.len() > RANGE_MAX {
        return None;
    }
    if let Some(at) = memchr::memchr(b'/', text) {
        let (base, prefix) = (text.get(..at)?, text.get(at + 1..)?);
        return prefixed(address(base)?, prefix);
    }
    let range = match memchr::memchr(b'-', text) {
        Some(at) => {
            let first = address(text.get(..at)?.trim_ascii_end())?;
            let last = text.get(at + 1..)?.trim_ascii_start();
            IpRange::new(first, address(last)?)?
        }
        None => {
            let one = address(text)?;
            IpRange::new(one, one)?
        }
    };
    Some(Written {
        range,
        host_bits: false,
    })
}

fn prefixed(base: IpAddr, prefix: &[u8]) -> Option<Written> {
    let prefix = match (base, address(prefix)) {
        (IpAddr::V4(_), Some(IpAddr::V4(mask))) => {
            let mask = u32::from(mask);
            (mask.leading_ones() == mask.count_ones()).then_some(mask.leading_ones() as u8)?
        }
        _ => number(prefix)?,
    };
    let net = IpNet::new(base, prefix).ok()?;
    Some(Written {
        range: net.into(),
        host_bits: net.addr() != net.network(),
    })
}

/// Reads one address, IPv6 also in brackets.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    if let Some(v4) = dotted(text) {
        return Some(v4.into());
    }
    memchr::memchr(b':', text)?;
    let text = text
        .strip_prefix(b"[")
        .and_then(|t| t.strip_suffix(b"]"))
        .unwrap_or(text);
    str::from_utf8(text)
        .ok()?
        .parse::<Ipv6Addr>()
        .ok()
        .map(IpAddr::V6)
}

fn dotted(text: &[u8]) -> Option<Ipv4Addr> {
    if text.len() > 15 {
        return None;
    }
    let mut parts = text.split(|&b| b == b'.');
    let mut value = 0;
    for _ in 0..4 {
        value = value << 8 | u32::from(number(parts.next()?)?);
    }
    parts.next().is_none().then(|| value.into())
}

/// One to three decimal digits up to 255.
fn number(text: &[u8]) -> Option<u8> {
    if text.is_empty() || text.len() > 3 {
        return None;
    }
    let mut value = 0_u16;
    for &byte in text {
        value = value * 10 + u16::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        parse_range(text.as_bytes()).map(|range| format!("{}-{}", range.first(), range.last()))
    }

    #[test]
    fn ranges_in_every_spelling() {
        for (text, want) in [
            ("1.2.3.4", "1.2.3.4-1.2.3.4"),
            ("001.010.003.004", "1.10.3.4-1.10.3.4"),
            ("1.2.3.4/24", "1.2.3.0-1.2.3.255"),
            ("1.2.3.0/255.255.254.0", "1.2.2.0-1.2.3.255"),
            ("1.2.3.4 - 1.2.3.9", "1.2.3.4-1.2.3.9"),
            (
                "2001:db8::/32",
                "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            ),
            ("[2001:db8::1]", "2001:db8::1-2001:db8::1"),
            ("2001:db8::1-2001:db8::2", "2001:db8::1-2001:db8::2"),
            ("::ffff:1.2.3.4", "1.2.3.4-1.2.3.4"),
            ("::ffff:1.2.3.0/120", "1.2.3.0-1.2.3.255"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(want), "{text}");
        }
        for text in [
            "",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.4/33",
            "1.2.3.4/",
            "/8",
            "1.2.3.9-1.2.3.4",
            "1.2.3.4-2001:db8::1",
            "1.2.3.4/255.0.255.0",
            "2001:db8::/129",
            "::g",
            "a.b.c.d",
            "-",
            "1.2.3.4-",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn cutting_leaves_exactly_the_rest() {
        let range = parse_range(b"9.0.0.0-11.255.255.255").unwrap();
        let left: Vec<_> = range
            .without_all(RESERVED)
            .iter()
            .map(|range| format!("{}-{}", range.first(), range.last()))
            .collect();
        assert_eq!(left, ["9.0.0.0-9.255.255.255", "11.0.0.0-11.255.255.255"]);
        for inside in [
            "10.1.2.0/24",
            "192.168.0.0/16",
            "fe80::1",
            "::/128",
            "255.255.255.255",
        ] {
            assert!(
                parse_range(inside.as_bytes())
                    .unwrap()
                    .without_all(RESERVED)
                    .is_empty()
            );
        }
    }
}
