//! Addresses as keys hold them, and addresses inside addresses.

use crate::bpf::{load, store};

/// Upper and lower 64 bits of a key's address, in host byte order.
#[inline(always)]
pub fn halves(address: &[u8; 16]) -> (u64, u64) {
    let from = address.as_ptr();
    // By words, not bytes: what was just written by words is read at once.
    // SAFETY: both words lie in the address.
    let (upper, lower) = unsafe { (load(from), load(from.add(8))) };
    (upper.swap_bytes(), lower.swap_bytes())
}

/// Writes a key's address.
#[inline(always)]
pub fn set_halves(address: &mut [u8; 16], upper: u64, lower: u64) {
    let to = address.as_mut_ptr();
    // SAFETY: both words lie in the address, which is borrowed.
    unsafe {
        store(to, upper.swap_bytes());
        store(to.add(8), lower.swap_bytes());
    }
}

/// The lower half of an IPv4 address (RFC 4291 §2.5.5.2); the upper one is 0.
#[inline(always)]
pub fn mapped(address: u32) -> u64 {
    0xffff << 32 | u64::from(address)
}

/// An IPv4 address carried by an IPv6 one (N07 of the attack table): what a
/// translator or tunnel between here and the destination would reach.
///
/// IPv4-mapped (RFC 4291 §2.5.5.2), IPv4-compatible (§2.5.5.1), NAT64
/// (RFC 6052 §2.1; RFC 8215 §5, of 96 bits), IPv4-translated (RFC 2765 §2.1), 6to4 (RFC 3056 §2), Teredo (RFC 4380 §4: the client's
/// address, bits inverted). Upper and lower 64 bits in host byte order.
#[inline(always)]
pub fn embedded_ipv4(upper: u64, lower: u64) -> Option<u32> {
    if upper >> 48 == 0x2002 {
        return Some((upper >> 16) as u32);
    }
    if upper >> 32 == 0x2001_0000 {
        return Some(!(lower as u32));
    }
    let mapped = upper == 0 && matches!(lower >> 32, 0xffff | 0xffff_0000);
    // ::/96 without the unspecified and the loopback address.
    let compatible = upper == 0 && lower >> 32 == 0 && lower > 1;
    let nat64 =
        upper == 0x0064_ff9b_0000_0000 && lower >> 32 == 0 || upper >> 16 == 0x0064_ff9b_0001;
    if mapped || compatible || nat64 {
        return Some(lower as u32);
    }
    None
}

/// 224.0.0.0/4 and the limited broadcast (RFC 1112 §4, RFC 919 §7).
#[inline(always)]
pub fn is_multicast4(address: u32) -> bool {
    address >> 28 == 0xe || address == u32::MAX
}

/// ff00::/8 (RFC 4291 §2.7).
#[inline(always)]
pub fn is_multicast6(upper: u64) -> bool {
    upper >> 56 == 0xff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(text: &str) -> (u64, u64) {
        let bits = text.parse::<core::net::Ipv6Addr>().unwrap().to_bits();
        ((bits >> 64) as u64, bits as u64)
    }

    #[test]
    fn n07_embedded_addresses() {
        let want = Some(u32::from(core::net::Ipv4Addr::new(192, 0, 2, 33)));
        for text in [
            "::ffff:192.0.2.33",
            "::192.0.2.33",
            "64:ff9b::192.0.2.33",
            "64:ff9b:1:2::192.0.2.33",
            "::ffff:0:192.0.2.33",
            "2002:c000:221::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdde",
        ] {
            let (upper, lower) = v6(text);
            assert_eq!(embedded_ipv4(upper, lower), want, "{text}");
        }
        for text in ["2001:db8::1", "::", "::1", "fe80::1", "2003::1"] {
            let (upper, lower) = v6(text);
            assert_eq!(embedded_ipv4(upper, lower), None, "{text}");
        }
    }
}
