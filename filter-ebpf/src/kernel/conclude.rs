//! `conclude`: from what an inspector found to a verdict that stays with the
//! flow.

use core::ops::ControlFlow;

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use filter_ebpf::{
    abi::{Flow, FlowFlags, Hello, Protocol, Reason, SUFFIXES, Tail, Verdict},
    bpf::{Step, opaque, repeat},
    frame::tcp_flags,
    inspect::name::{Literal, literal},
    judge::{NO_CATEGORY, Opinion},
    tables::hash,
};

use super::{
    finish::{finish, jump, scratch},
    judge::{by_address, is_portless},
    lookup,
    maps::{GROUPS, SECRET, config},
    recent,
    scratch::{AGAIN_FLOW, Scratch},
    stream,
};

#[xdp(frags)]
pub(crate) fn conclude(ctx: XdpContext) -> u32 {
    let Some(s) = scratch() else {
        return xdp_action::XDP_DROP;
    };
    if s.again == AGAIN_FLOW {
        decide(s);
        s.protocol = s.flow.protocol;
        keep(s);
        let looks_on = s.flow.pending | s.flow.watch != 0;
        if looks_on && s.verdict() == Verdict::Pass && s.meta.payload_len > 0 {
            return jump(&ctx, Tail::Judge);
        }
        return finish(&ctx, s);
    }
    let Some(hello) = recent::hello(s) else {
        s.set(Verdict::Drop, Reason::Internal);
        return finish(&ctx, s);
    };
    let told_nothing = s.failed == Reason::UnknownProtocol as u8 || s.failed | s.flow_flags == 0;
    if told_nothing && let Some(flow) = recent::find_flow(s) {
        // Not another hello after all: what was judged still holds.
        flow.pending = 0;
        flow.next = behind(s);
        flow.chunked = s.body_chunked;
        if s.failed != 0 {
            // No more requests (a WebSocket, a tunnel). A decoy that a server
            // does not get may look so: other content kills the flow.
            if flow.protocol == Protocol::Http as u8 {
                flow.protocol = Protocol::Tcp as u8;
            }
            flow.base_seq = hello.base_seq;
            flow.judged_len = hello.consumed;
            flow.content = hello.content;
            flow.flags &= !FlowFlags::CONFIRMED;
        }
        s.verdict = flow.verdict;
        s.reason = flow.reason;
        s.category = flow.category;
        s.protocol = flow.protocol;
        recent::forget_hello(s);
        return go_on(&ctx, s);
    }
    describe(s, hello);
    if s.meta.key.protocol == 6 {
        stream::judged(s.hash);
        s.flow.next = behind(s);
    }
    decide(s);
    if s.repeated != 0 && s.verdict() == Verdict::Pass {
        s.name_len = 0;
    }
    if s.inside_head != 0 && s.verdict() == Verdict::Pass {
        // The rest of the next head is fed on; the verdict waits for it.
        s.flow.pending = 1;
        keep(s);
        return finish(&ctx, s);
    }
    keep(s);
    recent::forget_hello(s);
    go_on(&ctx, s)
}

/// Where the client's stream goes on behind this segment, or behind the body
/// that it is in.
#[inline(always)]
fn behind(s: &Scratch) -> u32 {
    let syn = u32::from(s.meta.tcp & tcp_flags::SYN != 0);
    let taken = if s.body_end != 0 {
        s.body_end
    } else {
        s.meta.payload_len
    };
    s.meta.seq.wrapping_add(syn).wrapping_add(taken)
}

/// Ends the packet, or goes on with what this segment has behind a body.
#[inline(always)]
fn go_on(ctx: &XdpContext, s: &mut Scratch) -> u32 {
    let more = s.body_end != 0 && s.body_end < s.meta.payload_len;
    if !more || s.verdict() != Verdict::Pass {
        return finish(ctx, s);
    }
    // A literal's categories are not the destination's.
    s.ranged = 0;
    s.failed = 0;
    s.again = 0;
    s.skip = 0;
    jump(ctx, Tail::Judge)
}

/// Writes what the hello told into `s.flow`.
#[inline(always)]
pub(crate) fn describe(s: &mut Scratch, hello: &mut Hello) {
    s.flow = Flow::EMPTY;
    s.flow.base_seq = hello.base_seq;
    s.flow.judged_len = hello.consumed;
    s.flow.content = hello.content;
    s.flow.flags = s.flow_flags;
    s.flow.in_syn = hello.in_syn;
    s.flow.chunked = s.body_chunked;
    s.flow.protocol = hello.protocol;
    if s.failed != 0 {
        if hello.confirmed == 0 && s.failed == Reason::UnknownProtocol as u8 {
            s.failed = Reason::Midstream as u8;
        }
        if s.failed == Reason::UnknownProtocol as u8 {
            s.flow.flags |= FlowFlags::UNDECODABLE;
            s.flow.protocol = Protocol::Tcp as u8;
            s.protocol = s.flow.protocol;
        }
    }
    s.flow.unread = u16::from(s.failed);
    s.flow.watch = u8::from(
        hello.protocol == Protocol::Http as u8
            // A proxy's.
            || hello.protocol == Protocol::Tcp as u8
            || hello.protocol == Protocol::Quic as u8
            || s.flow.flags & FlowFlags::UNDECODABLE != 0,
    );
    if s.flow.flags & FlowFlags::NAMED == 0 {
        return;
    }
    s.name = hello.name;
    s.name_len = hello.name_len;
    match literal(hello) {
        Some(Literal::V4(address)) => {
            s.range_mask |= lookup::address_categories(0, u64::from(address), 0);
        }
        Some(Literal::V6(upper, lower)) => {
            s.range_mask |= lookup::address_categories(upper, lower, 1);
        }
        None => {}
    }
    if let Some(secret) = SECRET.get(0) {
        hash::suffixes(secret, &s.name, u32::from(s.name_len), &mut s.suffixes);
    }
    s.flow.suffixes = s.suffixes.subtree;
    s.flow.suffixes_len = s.suffixes.len as u8;
    s.flow.exact = s.suffixes.exact;
}

/// Judges `s.flow` by the row and tables that hold now; the outcome is in
/// `s`.
#[inline(always)]
pub(crate) fn decide(s: &mut Scratch) {
    if decide_flow(s) != 0 {
        s.set(Verdict::Drop, Reason::Internal);
    }
}

/// As [`lookup::address_categories`] a global function to BPF, or the
/// verifier would follow it anew behind every path that leads here. To the
/// verifier its argument may be null.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn decide_flow(s: *mut Scratch) -> u64 {
    // SAFETY: callers pass their own scratch, which nobody else has.
    let Some(s) = (unsafe { s.as_mut() }) else {
        return 1;
    };
    let opinion = opinion(s);
    s.set_opinion(opinion);
    0
}

#[inline(always)]
pub(crate) fn opinion(s: &mut Scratch) -> Opinion {
    let Some(group) = GROUPS.get(s.group) else {
        return s.row.deny(Reason::Internal, NO_CATEGORY);
    };
    let flags = s.flow.flags;
    if flags & FlowFlags::DEAD != 0 {
        return s.row.deny(Reason::from_u8(s.flow.reason), NO_CATEGORY);
    }
    // What is no protocol error but an attempt to hide is refused whatever
    // the group may do.
    let failed = Reason::from_u8(if s.failed != 0 {
        s.failed
    } else {
        s.flow.unread as u8
    });
    match failed {
        Reason::Unknown | Reason::UnknownProtocol | Reason::Proxy | Reason::Tunnel => {}
        _ => {
            s.flow.flags |= FlowFlags::DEAD;
            return s.row.deny(failed, NO_CATEGORY);
        }
    }
    names(s);
    if s.names.blocked != 0 {
        return s.row.deny(Reason::Blocked, NO_CATEGORY);
    }
    if let Some(locked) = s.row.name(s.names.seen & s.row.locked) {
        return locked;
    }
    let range = by_address(s);
    if let Some(opinion) = range
        && opinion.verdict != Verdict::Pass
    {
        return opinion;
    }
    if s.names.granted != 0 || s.range_granted != 0 {
        return Opinion {
            verdict: Verdict::Pass,
            reason: Reason::Granted,
            category: NO_CATEGORY,
        };
    }
    let named = s.row.name(s.names.mask);
    if flags & FlowFlags::ECH != 0 && s.names.seen & group.ech_providers != 0 {
        return s.row.unjudged(group.encrypted_name, Reason::EncryptedName);
    }
    if let Some(opinion) = named.or(range) {
        return opinion;
    }
    if flags & FlowFlags::UNNAMED != 0 {
        return s.row.unjudged(group.unnamed, Reason::Unnamed);
    }
    if failed as u8 == Reason::Proxy as u8 {
        return s.row.unjudged(group.tunnel, Reason::Proxy);
    }
    if failed as u8 == Reason::Tunnel as u8 {
        return s.row.unjudged(group.tunnel, Reason::Tunnel);
    }
    if flags & FlowFlags::UNDECODABLE != 0 {
        return s.row.unjudged(group.undecodable, Reason::UnknownProtocol);
    }
    s.row.default()
}

/// Asks the tables and overrides about a name and its suffixes, the most
/// specific first; the answer is in `s.names`.
#[inline(always)]
fn names(s: &mut Scratch) {
    s.names = Names::NONE;
    if s.flow.flags & FlowFlags::NAMED == 0 {
        return;
    }
    s.names.left = u32::from(s.flow.suffixes_len) + 1;
    let mut walk = Walk {
        s,
        overridden: u32::from(lookup::has_name_overrides()),
    };
    repeat(SUFFIXES as u32 + 1, &mut walk);
}

/// What the tables say about a name and its suffixes.
#[repr(C)]
pub(crate) struct Names {
    /// Mask of the most specific name that speaks to the group.
    mask: u64,
    /// All masks together.
    seen: u64,
    /// Categories that a more specific name is excepted from.
    hidden: u64,
    /// Hashes still to be asked; the first one is the exact name's.
    left: u32,
    blocked: u8,
    granted: u8,
    reserved: [u8; 2],
}

impl Names {
    const NONE: Self = Self {
        mask: 0,
        seen: 0,
        hidden: 0,
        left: 0,
        blocked: 0,
        granted: 0,
        reserved: [0; 2],
    };
}

struct Walk<'a> {
    s: &'a mut Scratch,
    overridden: u32,
}

impl Step for Walk<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        let s = &mut *self.s;
        let len = u32::from(s.flow.suffixes_len);
        let left = s.names.left;
        if left == 0 {
            return ControlFlow::Break(());
        }
        s.names.left = left - 1;
        let hash = if left > len {
            s.flow.exact
        } else {
            let at = opaque(u64::from(left - 1)) as usize;
            if at >= SUFFIXES {
                return ControlFlow::Break(());
            }
            s.flow.suffixes[at]
        };
        // Overrides first: what they leave on the stack is gone then.
        if self.overridden != 0 {
            let (blocked, granted) = lookup::name_override(s, hash);
            s.names.blocked |= u8::from(blocked);
            s.names.granted |= u8::from(granted);
        }
        let (listed, excepted) = lookup::name(hash);
        let mask = listed & !s.names.hidden;
        s.names.hidden |= excepted;
        s.names.seen |= mask;
        let relevant = s.row.allow | s.row.deny | s.row.locked;
        // The whole name as a subtree is as specific as the exact host:
        // their masks count together.
        if left >= len {
            s.names.mask |= mask;
        } else if s.names.mask & relevant == 0 {
            s.names.mask = mask;
        }
        ControlFlow::Continue(())
    }
}

/// Keeps the verdict with the flow.
#[inline(always)]
pub(crate) fn keep(s: &mut Scratch) {
    if is_portless(&s.meta.key) {
        return;
    }
    s.flow.generation = config!(generation);
    s.flow.epoch = s.epoch;
    s.flow.valid_until = s.valid_until;
    s.flow.verdict = s.verdict;
    s.flow.reason = s.reason;
    s.flow.category = s.category;
    s.flow.room = s.room as u16;
    s.flow.group = s.group as u16;
    recent::keep_flow(s);
}
