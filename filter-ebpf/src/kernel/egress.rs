//! `lan_egress`: what goes towards the rooms. Cuts what still streams into a
//! closed room or along a denied connection, and notes what servers confirm.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{__sk_buff, TC_ACT_OK, TC_ACT_SHOT},
    helpers::generated::bpf_skb_pull_data,
    macros::classifier,
    programs::TcContext,
};
use filter_ebpf::{
    abi::{Flow, FlowFlags, Reason, Verdict},
    frame::{Meta, MetaFlags, Parsed, View, parse, tcp_flags},
    judge::OWN_NETWORK,
};

use super::{
    conclude::opinion,
    finish::settle,
    ingress::{begin, is_current, slot},
    judge::{open, room},
    lookup,
    maps::{EGRESS_SCRATCH, GROUPS, OVERRIDE_HEADER, config},
    recent,
    scratch::Scratch,
    stream,
};

/// Bytes that hold every header of an ordinary frame.
const HEADERS: u32 = 128;

/// Frames towards the LAN trunk.
#[classifier]
pub(crate) fn lan_egress(ctx: TcContext) -> i32 {
    // SAFETY: one per CPU; the hook does not interleave with itself.
    let Some(s) = EGRESS_SCRATCH.get_ptr_mut(0).map(|s| unsafe { &mut *s }) else {
        return TC_ACT_SHOT;
    };
    s.meta = Meta::default();
    begin(s);
    let skb: *mut __sk_buff = ctx.as_ptr().cast();
    // SAFETY: the context is the program's own.
    let (len, vlan_present, vlan_tci, ifindex) = unsafe {
        (
            (*skb).len,
            (*skb).vlan_present,
            (*skb).vlan_tci,
            (*skb).ifindex,
        )
    };
    // Headers may lie outside the linear part, in front of a page of data.
    if ctx.data_end() - ctx.data() < HEADERS as usize {
        let want = if len < HEADERS { len } else { HEADERS };
        // SAFETY: as above; no view was made yet.
        unsafe { bpf_skb_pull_data(skb, want) };
    }
    // SAFETY: the context's own bounds.
    let view = unsafe { View::new(ctx.data() as u64, ctx.data_end() as u64) };
    match parse(&view, len, || len, &mut s.meta) {
        Parsed::Ip => {}
        Parsed::Keepalive | Parsed::Bad(_) => return TC_ACT_OK,
    }
    turn(s);
    if vlan_present != 0 {
        // The outermost tag travels beside the frame.
        let outer = vlan_tci & 0xfff;
        s.meta.key.link = if outer == 0 {
            s.meta.key.link
        } else {
            outer << 12 | s.meta.key.link >> 12
        };
    }
    let Some(slot) = slot(ifindex) else {
        return TC_ACT_OK;
    };
    s.meta.key.link |= slot << 24;
    s.epoch = match OVERRIDE_HEADER.get(0) {
        Some(header) => header.epoch,
        None => 0,
    };
    s.hash = recent::hash(&s.meta.key);
    if look(s) {
        return TC_ACT_OK;
    }
    settle(s);
    TC_ACT_SHOT
}

/// Turns the key to the client's side.
#[inline(always)]
fn turn(s: &mut Scratch) {
    // In place: a copy would not leave `decide` the stack that it needs.
    let key = &mut s.meta.key;
    core::mem::swap(&mut key.client, &mut key.server);
    core::mem::swap(&mut key.client_port, &mut key.server_port);
}

/// Whether the packet may go on; else the outcome is in `s`.
#[inline(always)]
fn look(s: &mut Scratch) -> bool {
    let tcp = s.meta.key.protocol == 6 && s.meta.flags & MetaFlags::FRAGMENT == 0;
    let syn_ack =
        tcp && s.meta.tcp & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN | tcp_flags::ACK;
    if syn_ack {
        begin_stream(s);
    }
    if let Some(flow) = recent::find_flow(s) {
        let current = is_current(flow, s);
        if current && !syn_ack {
            s.room = u32::from(flow.room);
            s.group = u32::from(flow.group);
            s.verdict = flow.verdict;
            s.reason = flow.reason;
            s.category = flow.category;
            s.protocol = flow.protocol;
            if s.verdict() != Verdict::Pass {
                return false;
            }
            if tcp && s.meta.tcp & tcp_flags::ACK != 0 {
                let confirmed = s.meta.ack.wrapping_sub(flow.base_seq);
                // Half the number space is before, half behind.
                if confirmed >= flow.judged_len && confirmed < 1 << 31 {
                    flow.flags |= FlowFlags::CONFIRMED;
                }
            }
            return passed(s);
        }
        s.flow = *flow;
        s.again = u8::from(!syn_ack);
    }
    // Here and not behind `judge_egress`, whose stack it would come on top of:
    // 6.1 counts 512 bytes for all calls together.
    let client_side = s.meta.key.server;
    s.range_mask = lookup::address(&client_side, s.meta.flags & MetaFlags::IPV6 != 0);
    judge_egress(s) != 0
}

/// A packet that no current flow speaks for: 1 where it may go on. A global
/// function to BPF, see `conclude::decide_flow`.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn judge_egress(s: *mut Scratch) -> u64 {
    // SAFETY: the caller passes its own scratch, which nobody else has.
    let Some(s) = (unsafe { s.as_mut() }) else {
        return 0;
    };
    u64::from(look_anew(s))
}

#[inline(always)]
fn look_anew(s: &mut Scratch) -> bool {
    if s.range_mask & OWN_NETWORK != 0 {
        s.set(Verdict::Pass, Reason::OwnNetwork);
        return passed(s);
    }
    let Some(room) = room(s) else {
        s.set(Verdict::from_u8(config!(unknown_vlan)), Reason::UnknownVlan);
        return s.verdict() == Verdict::Pass;
    };
    s.group = u32::from(room.group);
    let Some(group) = GROUPS.get(s.group) else {
        s.set(Verdict::Drop, Reason::Internal);
        return false;
    };
    if !open(s, room, group) {
        return false;
    }
    lookup::range_override(s);
    if s.again == 0 {
        s.set(Verdict::Pass, Reason::Handshake);
        return passed(s);
    }
    let opinion = opinion(s);
    s.set_opinion(opinion);
    s.verdict() == Verdict::Pass && passed(s)
}

/// Counts a packet that goes on, as replay wants to see it.
#[inline(always)]
fn passed(s: &mut Scratch) -> bool {
    if config!(trace) != 0 {
        settle(s);
    }
    true
}

/// A server took a connection: what was judged under another start is about
/// an older one, or was a decoy.
///
/// Not inlined: what it keeps on the stack must not add to what `decide`
/// keeps there.
#[inline(never)]
fn begin_stream(s: &mut Scratch) {
    let first = s.meta.ack;
    stream::syn_ack(s.hash, first);
    let mut start = Start::Same;
    if let Some(flow) = recent::find_flow(s) {
        // A server that has confirmed data takes no stream any more: this is
        // another one with the same numbers.
        let confirmed = flow.flags & FlowFlags::CONFIRMED != 0 && flow.in_syn != 1;
        start = Start::of(
            first.wrapping_sub(flow.base_seq),
            flow.judged_len,
            flow.in_syn,
        );
        if start != Start::Same || confirmed {
            recent::forget_flow(s);
        }
    }
    if let Some(hello) = recent::find_hello(s) {
        start = Start::of(
            first.wrapping_sub(hello.base_seq),
            hello.consumed,
            hello.in_syn,
        );
        if start != Start::Same {
            recent::forget_hello(s);
        }
    }
    if start == Start::Unclear {
        s.flow = Flow {
            generation: config!(generation),
            epoch: s.epoch,
            valid_until: u64::MAX,
            verdict: Verdict::Drop as u8,
            reason: Reason::Conflict as u8,
            flags: FlowFlags::DEAD,
            base_seq: first,
            ..Flow::EMPTY
        };
        recent::keep_flow(s);
    }
}

/// What a SYN-ACK says about a stream of which `len` bytes were seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// It is the one that was seen.
    Same,
    /// It is another one.
    Other,
    /// It may be either: a client sent data in a SYN, and then another SYN
    /// whose number lies in that data (T07).
    Unclear,
}

impl Start {
    /// `taken`: how far behind the stream's first byte the server is.
    #[inline(always)]
    fn of(taken: u32, len: u32, in_syn: u8) -> Self {
        if taken == 0 {
            return Self::Same;
        }
        // With TCP Fast Open the acknowledgement covers the first data.
        match in_syn {
            1 if taken <= len => Self::Same,
            2 if taken <= len => Self::Unclear,
            _ => Self::Other,
        }
    }
}
