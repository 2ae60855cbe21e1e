//! Peers of the filter in the kernel.
//!
//! The programs named after a table ask it one random question per run, and
//! `empty` makes up the question only: what they take above it is the
//! table's. `lpm4_drop`, `drop` and `pass` stand where the filter stands.
#![no_std]
#![no_main]

use aya_ebpf::bindings::{BPF_F_MMAPABLE, xdp_action};
use aya_ebpf::btf_maps::{Array, LpmTrie, PerCpuArray, lpm_trie::Key};
use aya_ebpf::macros::{btf_map, xdp};
use aya_ebpf::programs::XdpContext;
use filter_ebpf::tables::{Line, Lines, names, ranges4, ranges6};

const MMAPABLE: usize = BPF_F_MMAPABLE as usize;
type Table = Array<Line, 1, MMAPABLE>;

#[btf_map]
static NAMES: Table = Array::new();
#[btf_map]
static RANGES4_ROOT: Table = Array::new();
#[btf_map]
static RANGES4: Table = Array::new();
#[btf_map]
static RANGES6_TREE: Table = Array::new();
#[btf_map]
static RANGES6_VALUES: Table = Array::new();
#[btf_map]
static RANGES6_LOWER: Table = Array::new();
/// The same prefixes as the tables of ranges hold.
#[btf_map]
static LPM4: LpmTrie<[u8; 4], u32, 1> = LpmTrie::new();
#[btf_map]
static LPM6: LpmTrie<[u8; 16], u32, 1> = LpmTrie::new();
/// Runs so far, and answers that were not "none".
#[btf_map]
static STATE: PerCpuArray<[u64; 2], 1> = PerCpuArray::new();

/// Addresses that `send` sends to, network byte order.
#[btf_map]
static TARGETS: Array<u32, 1, MMAPABLE> = Array::new();

/// Lines of `NAMES`.
#[unsafe(no_mangle)]
static NAME_LINES: u32 = 1;
/// Entries of `TARGETS`.
#[unsafe(no_mangle)]
static TARGETS_LEN: u32 = 1;

/// Offset of the destination in an IPv4 frame with one VLAN tag.
const DESTINATION: usize = 14 + 4 + 16;

struct Map(&'static Table);

impl Lines for Map {
    #[inline(always)]
    fn line(&self, index: u32) -> Option<&Line> {
        self.0.get(index)
    }
}

/// Hands a random number to `ask` and counts its answers.
#[inline(always)]
fn question(ask: impl FnOnce(u64) -> bool) -> u32 {
    let Some(state) = STATE.get_ptr_mut(0) else {
        return xdp_action::XDP_ABORTED;
    };
    // SAFETY: the value is this core's, and XDP programs do not nest.
    let state = unsafe { &mut *state };
    state[0] = state[0].wrapping_add(1);
    let mixed = state[0].wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state[1] = state[1].wrapping_add(u64::from(ask(mixed ^ mixed >> 32)));
    xdp_action::XDP_DROP
}

/// A random upper half of an address in 2000::/12, where ranges are.
#[inline(always)]
fn global(random: u64) -> u64 {
    0x2000 << 48 | random >> 12
}

#[xdp]
fn empty(_: XdpContext) -> u32 {
    question(|random| random == 0)
}

#[xdp]
fn ranges4(_: XdpContext) -> u32 {
    question(|random| ranges4::lookup(&Map(&RANGES4_ROOT), &Map(&RANGES4), random as u32) != 0)
}

#[xdp]
fn lpm4(_: XdpContext) -> u32 {
    question(|random| {
        LPM4.get(&Key::new(32, (random as u32).to_be_bytes()))
            .is_some()
    })
}

#[xdp]
fn ranges6(_: XdpContext) -> u32 {
    question(|random| {
        let tables = (
            Map(&RANGES6_TREE),
            Map(&RANGES6_VALUES),
            Map(&RANGES6_LOWER),
        );
        ranges6::lookup(&tables.0, &tables.1, &tables.2, global(random), random) != 0
    })
}

#[xdp]
fn lpm6(_: XdpContext) -> u32 {
    question(|random| {
        let address = u128::from(global(random)) << 64 | u128::from(random);
        LPM6.get(&Key::new(128, address.to_be_bytes())).is_some()
    })
}

#[xdp]
fn names(_: XdpContext) -> u32 {
    question(|random| {
        // SAFETY: a static that outlives the program; the loader writes it.
        let lines = unsafe { core::ptr::read_volatile(&raw const NAME_LINES) };
        names::lookup(&Map(&NAMES), lines, random) != 0
    })
}

/// Drops a tagged IPv4 frame to a listed address.
#[xdp]
fn lpm4_drop(ctx: XdpContext) -> u32 {
    let Some(address) = destination(&ctx) else {
        return xdp_action::XDP_PASS;
    };
    // SAFETY: `destination` checked that four bytes lie there.
    let key = Key::new(32, unsafe { *address });
    match LPM4.get(&key) {
        Some(_) => xdp_action::XDP_DROP,
        None => xdp_action::XDP_PASS,
    }
}

/// Gives a tagged IPv4 frame a random destination and sends it.
#[xdp]
fn send(ctx: XdpContext) -> u32 {
    let (Some(address), Some(state)) = (destination(&ctx), STATE.get_ptr_mut(0)) else {
        return xdp_action::XDP_ABORTED;
    };
    // SAFETY: the value is this core's, and XDP programs do not nest.
    let state = unsafe { &mut *state };
    state[0] = state[0].wrapping_add(1);
    let mixed = state[0].wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // SAFETY: a static that outlives the program; the loader writes it.
    let len = unsafe { core::ptr::read_volatile(&raw const TARGETS_LEN) };
    let index = ((mixed >> 32) * u64::from(len)) >> 32;
    if let Some(target) = TARGETS.get(index as u32) {
        // SAFETY: `destination` checked that four bytes lie there.
        unsafe { *address = target.to_ne_bytes() };
    }
    xdp_action::XDP_TX
}

/// The destination of a tagged IPv4 frame.
#[inline(always)]
fn destination(ctx: &XdpContext) -> Option<*mut [u8; 4]> {
    let start = ctx.data();
    if start + DESTINATION + 4 > ctx.data_end() {
        return None;
    }
    // 802.1Q (IEEE 802.1Q §9.4), then IPv4.
    // SAFETY: the bytes up to the destination's end lie in the frame.
    let tag = unsafe { *((start + 12) as *const [u8; 6]) };
    let tagged = tag[0] == 0x81 && tag[1] == 0 && tag[4] == 8 && tag[5] == 0;
    tagged.then_some((start + DESTINATION) as *mut [u8; 4])
}

#[xdp]
fn drop(_: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

#[xdp]
fn pass(_: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier proves that no path leads here.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
