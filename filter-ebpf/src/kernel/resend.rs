//! `resend`: bytes of a hello that passed already come again. One sequence
//! number, one content (T04, T05): another content kills the flow.

use core::ops::ControlFlow;

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use filter_ebpf::{
    abi::{CONTENT, CONTENT_STEP, Flow, FlowFlags, Reason, Tail, Verdict},
    bpf::{Step, opaque, repeat},
    frame::{MetaFlags, tcp_flags},
    inspect::CHUNK_ROOM,
    judge::{NO_CATEGORY, Row},
};

use super::{
    finish::{finish, jump, scratch},
    ingress::opens,
    inspect::{content, piece},
    maps::{GROUPS, config},
    recent,
    scratch::Scratch,
};

#[xdp(frags)]
pub(crate) fn resend(ctx: XdpContext) -> u32 {
    let Some(s) = scratch() else {
        return xdp_action::XDP_DROP;
    };
    let hello = recent::find_hello(s);
    let flow = recent::find_flow(s);
    // T08: an urgent byte is no part of what the server reads.
    if s.meta.flags & (MetaFlags::URGENT | MetaFlags::BAD_TCP) != 0 {
        s.set(Verdict::Drop, Reason::BadTcp);
        return finish(&ctx, s);
    }
    if let Some(flow) = &flow
        && flow.flags & FlowFlags::CONFIRMED != 0
        && is_behind(flow, s)
    {
        s.set(Verdict::Pass, Reason::HelloPending);
        return finish(&ctx, s);
    }
    let watch = matches!(&flow, Some(flow) if flow.watch != 0);
    let (base, known, ticket, in_hello) = match (hello, flow) {
        (Some(hello), _) => (hello.base_seq, hello.consumed, hello.content, true),
        (None, Some(flow)) => {
            s.room = u32::from(flow.room);
            s.group = u32::from(flow.group);
            (flow.base_seq, flow.judged_len, flow.content, false)
        }
        (None, None) => {
            s.set(Verdict::Drop, Reason::Midstream);
            return finish(&ctx, s);
        }
    };
    let syn = u32::from(s.meta.tcp & tcp_flags::SYN != 0);
    let at = s
        .meta
        .seq
        .wrapping_add(syn)
        .wrapping_add(s.skip)
        .wrapping_sub(base);
    let Some(len) = piece(&ctx, s) else {
        s.set(Verdict::Drop, Reason::Truncated);
        return finish(&ctx, s);
    };
    let overlap = known.wrapping_sub(at);
    let overlap = if overlap < len { overlap } else { len };
    let kept = at < CONTENT as u32 && at.wrapping_add(overlap) <= CONTENT as u32;
    let Some(content) = content(ticket).filter(|_| kept && at < known) else {
        // It cannot be compared, so it does not pass.
        s.set(Verdict::Drop, Reason::OutOfOrder);
        return finish(&ctx, s);
    };
    let mut compare = Compare {
        new: &s.chunk,
        old: &content.bytes,
        at,
        index: 0,
        len: overlap,
        differs: 0,
    };
    repeat(CONTENT_STEP as u32, &mut compare);
    if compare.differs != 0 {
        kill(s);
        return finish(&ctx, s);
    }
    s.skip = s.skip.wrapping_add(overlap);
    if at.wrapping_add(overlap) >= known {
        if in_hello && s.skip < s.meta.payload_len {
            return jump(&ctx, Tail::Inspect);
        }
        if watch && s.skip < s.meta.payload_len && opens(&s.meta) {
            // More than the SYN said before (T07): where it lies in the
            // stream is counted otherwise than behind a handshake.
            s.set(Verdict::Drop, Reason::OutOfOrder);
            return finish(&ctx, s);
        }
        if watch && s.skip < s.meta.payload_len {
            // What is new in it may begin another hello.
            s.skip = 0;
            return jump(&ctx, Tail::Judge);
        }
    } else if s.skip < s.meta.payload_len {
        return jump(&ctx, Tail::Resend);
    }
    s.set(Verdict::Pass, Reason::HelloPending);
    finish(&ctx, s)
}

/// Whether the segment ends before what the server has confirmed: it throws it
/// away, whatever it is (a keep-alive's byte).
#[inline(always)]
fn is_behind(flow: &Flow, s: &Scratch) -> bool {
    let end = s.meta.seq.wrapping_add(s.meta.payload_len);
    let left = flow
        .base_seq
        .wrapping_add(flow.judged_len)
        .wrapping_sub(end);
    left < 1 << 31
}

struct Compare<'a> {
    new: &'a [u8; CHUNK_ROOM],
    old: &'a [u8; CONTENT + CONTENT_STEP],
    at: u32,
    index: u32,
    len: u32,
    differs: u32,
}

impl Step for Compare<'_> {
    #[inline(always)]
    fn step(&mut self) -> ControlFlow<()> {
        if self.index >= self.len {
            return ControlFlow::Break(());
        }
        let new = opaque(u64::from(self.index)) as usize & (CONTENT_STEP - 1);
        let old = opaque(u64::from(self.at.wrapping_add(self.index))) as usize & (CONTENT - 1);
        self.index = self.index.wrapping_add(1);
        if self.new[new] != self.old[old] {
            self.differs = 1;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// The flow is dead: no later image opens it again.
///
/// Not inlined: the copies of a flow would fill the program's stack.
#[inline(never)]
fn kill(s: &mut Scratch) {
    let refuse = match GROUPS.get(s.group) {
        Some(group) => Row::new(group, 0).refuse,
        None => Verdict::Drop,
    };
    s.set(refuse, Reason::Conflict);
    s.category = NO_CATEGORY;
    s.flow = match recent::flow(s) {
        Some(flow) => *flow,
        None => Flow::EMPTY,
    };
    s.flow.generation = config!(generation);
    s.flow.epoch = s.epoch;
    s.flow.valid_until = u64::MAX;
    s.flow.verdict = s.verdict;
    s.flow.reason = s.reason;
    s.flow.category = s.category;
    s.flow.flags |= FlowFlags::DEAD;
    s.flow.pending = 0;
    s.flow.room = s.room as u16;
    s.flow.group = s.group as u16;
    recent::keep_flow(s);
    recent::forget_hello(s);
}
