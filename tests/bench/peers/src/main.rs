//! Peers of the filter in the kernel.
//!
//! The programs named after a table ask it one random question per run, and
//! `empty` makes up the question only: what they take above it is the
//! table's. `lpm4_drop`, `ranges4_drop`, `drop` and `pass` stand where the filter
//! stands; `send` and `send_flows` send to them, `drive` calls the filter's
//! programs.
#![no_std]
#![no_main]

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{BPF_F_MMAPABLE, xdp_action};
use aya_ebpf::btf_maps::{Array, LpmTrie, PerCpuArray, ProgramArray, lpm_trie::Key};
use aya_ebpf::helpers::generated::bpf_xdp_store_bytes;
use aya_ebpf::macros::{btf_map, xdp};
use aya_ebpf::programs::XdpContext;
use filter_ebpf::bpf::{load, store};
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
static RANGES4_KINDS: Table = Array::new();
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

/// Lines of `NAMES`.
#[unsafe(no_mangle)]
static NAME_LINES: u32 = 1;
/// Prefixes that `send` sends to, and their step; see the library.
#[unsafe(no_mangle)]
static TARGETS: u32 = 1;
#[unsafe(no_mangle)]
static TARGETS_STEP: u32 = 1;

/// What `drive` and `send_flows` play; written before each run.
#[repr(C)]
struct Plan {
    /// Frames per client, from the start of `FRAMES`.
    frames: u32,
    /// Clients, and the number of the first one.
    flows: u32,
    first: u32,
    /// The next frame, and the next client from the first one.
    frame: u32,
    flow: u32,
    /// 1: to random listed destinations.
    targets: u32,
}

#[btf_map]
static PLAN: Array<Plan, 1> = Array::new();
/// Bytes of a frame of a plan with several.
const FRAME: usize = 1536;
#[btf_map]
static FRAMES: Array<[u8; FRAME], 4> = Array::new();
#[btf_map]
static UNDER_TEST: ProgramArray<1> = ProgramArray::new();

/// Offsets in an IPv4 frame with one VLAN tag.
const SOURCE: usize = 14 + 4 + 12;
const SOURCE_PORT: usize = 14 + 4 + 20;
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
    let (Some(random), Some(state)) = (random(), STATE.get_ptr_mut(0)) else {
        return xdp_action::XDP_ABORTED;
    };
    let answer = u64::from(ask(random ^ random >> 32));
    // SAFETY: the value is this core's, and XDP programs do not nest.
    unsafe { (*state)[1] = (*state)[1].wrapping_add(answer) };
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

#[inline(always)]
fn ranges4_set(address: u32) -> u16 {
    ranges4::lookup(
        &Map(&RANGES4_ROOT),
        &Map(&RANGES4),
        &Map(&RANGES4_KINDS),
        address,
    )
}

#[xdp]
fn ranges4(_: XdpContext) -> u32 {
    question(|random| ranges4_set(random as u32) != 0)
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

/// The same by our table.
#[xdp]
fn ranges4_drop(ctx: XdpContext) -> u32 {
    let Some(address) = destination(&ctx) else {
        return xdp_action::XDP_PASS;
    };
    // SAFETY: `destination` checked that four bytes lie there.
    let address = u32::from_be_bytes(unsafe { *address });
    match ranges4_set(address) {
        0 => xdp_action::XDP_PASS,
        _ => xdp_action::XDP_DROP,
    }
}

/// Gives an IPv4 frame a random destination and sends it.
#[xdp]
fn send(ctx: XdpContext) -> u32 {
    let (Some(address), Some(random)) = (destination(&ctx), random()) else {
        return xdp_action::XDP_ABORTED;
    };
    aim(address, random);
    xdp_action::XDP_TX
}

/// Writes a listed address to `address`, the destination in an IPv4 header
/// without options inside the frame, and adapts the checksum (RFC 1624).
#[inline(always)]
fn aim(address: *mut [u8; 4], random: u64) {
    // SAFETY: statics that outlive the program; the loader writes them.
    let (count, step) = unsafe {
        (
            core::ptr::read_volatile(&raw const TARGETS),
            core::ptr::read_volatile(&raw const TARGETS_STEP),
        )
    };
    let number = ((random >> 32) * u64::from(count)) >> 32;
    let (first, mask) = bench_peers::prefix(number as u32, step);
    let target = (first | random as u32 & !mask).to_be();
    // SAFETY: by the caller's word; the checksum lies six bytes in front.
    unsafe {
        let old = u32::from_ne_bytes(*address);
        let checksum = address.cast::<u8>().sub(6).cast::<[u8; 2]>();
        let mut sum = u32::from(!u16::from_ne_bytes(*checksum));
        sum += (!old & 0xffff) + (!old >> 16) + (target & 0xffff) + (target >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        *address = target.to_ne_bytes();
        *checksum = (!sum as u16).to_ne_bytes();
    }
}

/// Gives a tagged IPv4 frame a random one of the plan's clients and sends it.
#[xdp]
fn send_flows(ctx: XdpContext) -> u32 {
    let (Some(plan), Some(random)) = (plan(), random()) else {
        return xdp_action::XDP_ABORTED;
    };
    let flow = plan.first + ((random >> 32) * u64::from(plan.flows) >> 32) as u32;
    match set_client(&ctx, flow) {
        Some(()) => xdp_action::XDP_TX,
        None => xdp_action::XDP_ABORTED,
    }
}

/// Plays the plan's frames to the program in `UNDER_TEST`: the whole of them
/// for one client, then for the next.
#[xdp(frags)]
fn drive(ctx: XdpContext) -> u32 {
    let Some(plan) = plan() else {
        return xdp_action::XDP_ABORTED;
    };
    if plan.frames > 1 && show(&ctx, plan.frame).is_none() {
        return xdp_action::XDP_ABORTED;
    }
    if set_client(&ctx, plan.first + plan.flow).is_none() {
        return xdp_action::XDP_ABORTED;
    }
    if plan.targets != 0
        && let (Some(address), Some(random)) = (destination(&ctx), random())
    {
        aim(address, random);
    }
    plan.frame += 1;
    if plan.frame >= plan.frames {
        plan.frame = 0;
        plan.flow += 1;
        if plan.flow >= plan.flows {
            plan.flow = 0;
        }
    }
    // SAFETY: the context is the program's own, UNDER_TEST a program array.
    unsafe { UNDER_TEST.tail_call(&ctx, 0) };
    xdp_action::XDP_ABORTED
}

/// What `drive` runs to find out what it takes itself.
#[xdp(frags)]
fn nothing(_: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

#[inline(always)]
fn plan() -> Option<&'static mut Plan> {
    // SAFETY: a run is over before the next one is planned.
    PLAN.get_ptr_mut(0).map(|plan| unsafe { &mut *plan })
}

/// Writes frame `number` of the plan over the packet, all but its tail.
#[inline(always)]
fn show(ctx: &XdpContext, number: u32) -> Option<()> {
    let frame = FRAMES.get_ptr_mut(number)?;
    // SAFETY: the value has FRAME bytes; the helper checks the packet's end.
    let result = unsafe { bpf_xdp_store_bytes(ctx.as_ptr().cast(), 0, frame.cast(), FRAME as u32) };
    (result == 0).then_some(())
}

/// Makes client `number` the sender: 10.x.y.5, where every 32,768 clients
/// share an address, ports from 32,768 on.
#[inline(always)]
fn set_client(ctx: &XdpContext, number: u32) -> Option<()> {
    let start = ctx.data();
    if start + SOURCE_PORT + 8 > ctx.data_end() {
        return None;
    }
    let middle = u64::from(((number >> 15) as u16).to_be()) << 8;
    let port = u64::from((number as u16 | 0x8000).to_be());
    let (address, ports) = (
        (start + SOURCE) as *mut u8,
        (start + SOURCE_PORT) as *mut u8,
    );
    // Whole words: a processor waits where a word is read of which a part was
    // just written, and a network card writes long before.
    // SAFETY: the eight bytes from the source port on lie in the frame; a
    // tagged IPv4 frame without options has the addresses in front of them.
    unsafe {
        store(address, load(address) & !0xff_ff00 | middle);
        store(ports, load(ports) & !0xffff | port);
    }
    Some(())
}

/// The next random number of this core.
#[inline(always)]
fn random() -> Option<u64> {
    let state = STATE.get_ptr_mut(0)?;
    // SAFETY: the value is this core's, and XDP programs do not nest.
    let state = unsafe { &mut *state };
    state[0] = state[0].wrapping_add(1);
    let mixed = state[0].wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Some((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9))
}

/// The destination of an IPv4 frame with one tag or none.
#[inline(always)]
fn destination(ctx: &XdpContext) -> Option<*mut [u8; 4]> {
    let start = ctx.data();
    if start + DESTINATION + 4 > ctx.data_end() {
        return None;
    }
    // 802.1Q (IEEE 802.1Q §9.4), then IPv4.
    // SAFETY: the bytes up to the destination's end lie in the frame.
    let tag = unsafe { *((start + 12) as *const [u8; 6]) };
    if tag[0] == 0x81 && tag[1] == 0 && tag[4] == 8 && tag[5] == 0 {
        return Some((start + DESTINATION) as *mut [u8; 4]);
    }
    (tag[0] == 8 && tag[1] == 0).then_some((start + DESTINATION - 4) as *mut [u8; 4])
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
