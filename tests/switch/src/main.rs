//! Tags frames between a trunk and its ports, on kernels without 8021q.
//!
//! A frame that comes in at a port gets the port's tags and leaves by the
//! trunk; one that comes in at the trunk loses its tags and leaves by the port
//! they name. The same programs stand for a school's switch and for the VLAN
//! devices of a router.
#![no_std]
#![no_main]

use aya_ebpf::bindings::{TC_ACT_SHOT, xdp_action};
use aya_ebpf::helpers::{bpf_redirect, bpf_skb_vlan_pop, bpf_skb_vlan_push};
use aya_ebpf::macros::{classifier, map, xdp};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::{TcContext, XdpContext};

/// IEEE 802.1Q and 802.1ad tag types.
const CUSTOMER: u16 = 0x8100;
const SERVICE: u16 = 0x88a8;

/// Port (interface index) to `trunk's index << 32 | outer << 12 | inner`; a
/// VLAN of 0 is no tag.
#[map]
static PORTS: HashMap<u32, u64> = HashMap::with_max_entries(64, 0);

/// `outer << 12 | inner` to port (interface index).
#[map]
static TAGS: HashMap<u32, u32> = HashMap::with_max_entries(64, 0);

#[classifier]
fn port(ctx: TcContext) -> i32 {
    // SAFETY: the kernel hands over a valid __sk_buff.
    let index = unsafe { (*ctx.skb.skb).ifindex };
    // SAFETY: nobody writes the map while programs run.
    let Some(port) = (unsafe { PORTS.get(index) }).copied() else {
        return TC_ACT_SHOT;
    };
    let outer = (port >> 12) as u16 & 0xfff;
    let inner = port as u16 & 0xfff;
    let kind = if inner != 0 { SERVICE } else { CUSTOMER };
    if !put_tag(&ctx, CUSTOMER, inner) || !put_tag(&ctx, kind, outer) {
        return TC_ACT_SHOT;
    }
    redirect((port >> 32) as u32)
}

#[classifier]
fn trunk(ctx: TcContext) -> i32 {
    let (Ok(outer), Ok(inner)) = (take_tag(&ctx), take_tag(&ctx)) else {
        return TC_ACT_SHOT;
    };
    // SAFETY: nobody writes the map while programs run.
    match unsafe { TAGS.get(outer << 12 | inner) } {
        Some(port) => redirect(*port),
        None => TC_ACT_SHOT,
    }
}

/// Puts a tag on, unless it is 0.
#[inline(always)]
fn put_tag(ctx: &TcContext, kind: u16, tag: u16) -> bool {
    // SAFETY: a valid __sk_buff; no pointer into its data is held.
    tag == 0 || unsafe { bpf_skb_vlan_push(ctx.skb.skb, kind.to_be(), tag) } == 0
}

/// Takes the outermost tag off; 0 where there is none.
#[inline(always)]
fn take_tag(ctx: &TcContext) -> Result<u32, i32> {
    // SAFETY: the kernel hands over a valid __sk_buff.
    let (present, tag) = unsafe { ((*ctx.skb.skb).vlan_present, (*ctx.skb.skb).vlan_tci) };
    if present == 0 {
        return Ok(0);
    }
    // SAFETY: a valid __sk_buff; no pointer into its data is held.
    match unsafe { bpf_skb_vlan_pop(ctx.skb.skb) } {
        0 => Ok(tag & 0xfff),
        _ => Err(TC_ACT_SHOT),
    }
}

#[inline(always)]
fn redirect(index: u32) -> i32 {
    // SAFETY: a helper without pointers.
    unsafe { bpf_redirect(index, 0) as i32 }
}

/// On the far end of a veth pair: frames sent back by XDP arrive only where a
/// program waits for them.
#[xdp]
fn receive(_: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
