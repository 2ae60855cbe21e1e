//! Look-ups in the image's tables and in the overrides.

use aya_ebpf::btf_maps::Array;
use filter_ebpf::{
    abi::{Override, OverrideHeader, OverrideKey, Scope},
    frame::{embedded_ipv4, halves},
    tables::{Line, Lines, Table, names, ranges4, ranges6, sets},
};

use super::{
    maps::{
        MMAPABLE, NAMES, OVERRIDE_HEADER, OVERRIDE_NAMES, OVERRIDE_RANGES, RANGES4, RANGES4_KINDS,
        RANGES4_ROOT, RANGES6_LOWER, RANGES6_TREE, RANGES6_VALUES, RangeTrieKey, SETS, config,
    },
    scratch::Scratch,
};

/// A table's map as lines.
struct Map(&'static Array<Line, 1, MMAPABLE>);

impl Lines for Map {
    #[inline(always)]
    fn line(&self, index: u32) -> Option<&Line> {
        self.0.get(index)
    }
}

/// Categories of an address, IPv4 as ::ffff:a.b.c.d; an IPv6 address that
/// carries an IPv4 one has the categories of both.
#[inline(always)]
pub(crate) fn address(address: &[u8; 16], ipv6: bool) -> u64 {
    let (upper, lower) = halves(address);
    if ipv6 {
        address_categories(upper, lower, 1)
    } else {
        mask(ipv4_set(lower) as u16)
    }
}

/// Categories of an address in two halves; an IPv4 one lies in the lower 32
/// bits.
///
/// A global function to BPF: the verifier looks at it once, whatever is known
/// where it is called (kernel/bpf/verifier.c, `do_check_subprogs`).
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn address_categories(upper: u64, lower: u64, ipv6: u64) -> u64 {
    let mut mask = 0;
    let mut v4 = Some(lower as u32);
    if ipv6 != 0 {
        mask = self::mask(ipv6_set(upper, lower) as u16);
        v4 = embedded_ipv4(upper, lower);
    }
    if let Some(v4) = v4 {
        mask |= self::mask(ipv4_set(u64::from(v4)) as u16);
    }
    mask
}

/// The set of an IPv4 address. A global function, as above: else the verifier
/// would follow its search behind every way through the other one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ipv4_set(address: u64) -> u64 {
    let set = ranges4::lookup(
        &Map(&RANGES4_ROOT),
        &Map(&RANGES4),
        &Map(&RANGES4_KINDS),
        address as u32,
    );
    u64::from(set)
}

/// The set of an IPv6 address.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ipv6_set(upper: u64, lower: u64) -> u64 {
    let set = ranges6::lookup(
        &Map(&RANGES6_TREE),
        &Map(&RANGES6_VALUES),
        &Map(&RANGES6_LOWER),
        upper,
        lower,
    );
    u64::from(set)
}

/// Categories of a name's suffix, by its hash: those it is listed in, and
/// those it is excepted from.
#[inline(always)]
pub(crate) fn name(hash: u64) -> (u64, u64) {
    let lines = config!(lines[Table::Names as usize]);
    let set = names::lookup(&Map(&NAMES), lines, hash);
    let excepted = sets::excepted(&Map(&SETS), set, config!(excepting));
    (mask(set), excepted)
}

#[inline(always)]
fn mask(set: u16) -> u64 {
    if set == 0 {
        0
    } else {
        sets::mask(&Map(&SETS), set)
    }
}

/// Overrides of the destination's address: notes them in `s`.
#[inline(always)]
pub(crate) fn range_override(s: &mut Scratch) {
    s.range_blocked = 0;
    s.range_granted = 0;
    match OVERRIDE_HEADER.get(0) {
        Some(OverrideHeader { ranges, .. }) if *ranges > 0 => {}
        _ => return,
    }
    let scopes = scopes(s);
    for scope in scopes {
        let b = scope.to_be_bytes();
        let a = &s.meta.key.server;
        let key = RangeTrieKey::new(
            192,
            [
                0, 0, 0, 0, b[0], b[1], b[2], b[3], a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7],
                a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15],
            ],
        );
        if let Some(found) = OVERRIDE_RANGES.get(&key)
            && s.now < found.until
        {
            note(s, found);
            if found.block != 0 {
                s.range_blocked = 1;
            } else {
                s.range_granted = 1;
            }
        }
    }
}

/// What overrides say about a suffix: (blocked, granted).
#[inline(always)]
pub(crate) fn name_override(s: &mut Scratch, hash: u64) -> (bool, bool) {
    let (mut blocked, mut granted) = (false, false);
    for scope in scopes(s) {
        let key = OverrideKey {
            hash,
            scope,
            reserved: 0,
        };
        // SAFETY: the value is read at once.
        if let Some(found) = unsafe { OVERRIDE_NAMES.get(&key) }
            && s.now < found.until
        {
            note(s, found);
            if found.block != 0 {
                blocked = true;
            } else {
                granted = true;
            }
        }
    }
    (blocked, granted)
}

/// Whether any override speaks about names.
#[inline(always)]
pub(crate) fn has_name_overrides() -> bool {
    matches!(OVERRIDE_HEADER.get(0), Some(header) if header.names > 0)
}

#[inline(always)]
fn scopes(s: &Scratch) -> [u32; 3] {
    [
        Scope::Everyone.to_u32(),
        Scope::Room(s.room as u16).to_u32(),
        Scope::Group(s.group as u16).to_u32(),
    ]
}

/// The verdict holds no longer than the override.
#[inline(always)]
fn note(s: &mut Scratch, found: &Override) {
    if found.until < s.valid_until {
        s.valid_until = found.until;
    }
}
