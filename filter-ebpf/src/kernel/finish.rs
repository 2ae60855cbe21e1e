//! The last step of every path: count, report, act.

use aya_ebpf::{
    bindings::xdp_action, helpers::generated::bpf_ktime_get_coarse_ns, programs::XdpContext,
};
use filter_ebpf::{
    abi::{Reason, Tail, Verdict, counter_index},
    judge::NO_CATEGORY,
};

use super::{
    maps::{
        CATEGORY_COUNTERS, COUNTERS, EVENTS, REPORT_BUDGET, REPORTED, SCRATCH, TAIL, TRACE, config,
    },
    scratch::Scratch,
};

/// Events a core may send per second.
const REPORTS_PER_SECOND: u64 = 2_000;
const SECOND: u64 = 1_000_000_000;

/// This packet's scratch.
#[inline(always)]
pub(crate) fn scratch() -> Option<&'static mut Scratch> {
    // SAFETY: one per CPU, and only one program of a chain runs at a time.
    SCRATCH.get_ptr_mut(0).map(|s| unsafe { &mut *s })
}

/// Jumps to another program of the chain; returns only if it is missing,
/// and then nothing passes.
#[inline(always)]
pub(crate) fn jump(ctx: &XdpContext, tail: Tail) -> u32 {
    // SAFETY: the context is the program's own, TAIL a program array.
    unsafe { TAIL.tail_call(ctx, tail as u32) };
    if let Some(s) = scratch() {
        count(s.room, Verdict::Drop, Reason::Internal, s.meta.frame_len);
    }
    xdp_action::XDP_DROP
}

/// The kernel's clock, or replay's.
#[inline(always)]
pub(crate) fn now() -> u64 {
    if config!(trace) != 0
        && let Some(trace) = TRACE.get(0)
    {
        return trace.now;
    }
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// Adds a packet to a room's counter.
#[inline(always)]
pub(crate) fn count(room: u32, verdict: Verdict, reason: Reason, bytes: u32) {
    let index = counter_index(room, verdict, reason);
    if let Some(count) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: a per-CPU value, ours alone until we return.
        unsafe {
            (*count).packets += 1;
            (*count).bytes += u64::from(bytes);
        }
    }
}

/// Adds a packet to a category's counter.
#[inline(always)]
pub(crate) fn count_category(category: u8, verdict: Verdict, bytes: u32) {
    if category == NO_CATEGORY {
        return;
    }
    if let Some(count) = CATEGORY_COUNTERS.get_ptr_mut(u32::from(category) * 3 + verdict as u32) {
        // SAFETY: as above.
        unsafe {
            (*count).packets += 1;
            (*count).bytes += u64::from(bytes);
        }
    }
}

/// Counts, reports and carries out the outcome in `s`.
#[inline(always)]
pub(crate) fn finish(ctx: &XdpContext, s: &mut Scratch) -> u32 {
    settle(s);
    match s.verdict() {
        Verdict::Pass => xdp_action::XDP_PASS,
        Verdict::Drop => xdp_action::XDP_DROP,
        Verdict::Reject => jump(ctx, Tail::Reply),
    }
}

/// Counts and reports the outcome in `s`.
///
/// Not inlined: what it keeps on the stack must not add to what the programs
/// keep there while they inspect.
#[inline(never)]
pub(crate) fn settle(s: &mut Scratch) {
    let verdict = s.verdict();
    count(s.room, verdict, Reason::from_u8(s.reason), s.meta.frame_len);
    count_category(s.category, verdict, s.meta.frame_len);
    if config!(trace) != 0 {
        trace(s);
    } else if verdict != Verdict::Pass {
        report(s);
    }
}

/// Writes the outcome where replay reads it.
#[inline(always)]
fn trace(s: &mut Scratch) {
    fill_event(s);
    if let Some(trace) = TRACE.get_ptr_mut(0) {
        // SAFETY: the one value of the map; replay waits for us.
        unsafe { (*trace).event = s.event };
    }
}

/// Sends an event: one per flow and reason, and never more than the ring
/// and its reader can bear.
#[inline(always)]
fn report(s: &mut Scratch) {
    let Some(budget) = REPORT_BUDGET.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: a per-CPU value.
    let budget = unsafe { &mut *budget };
    if s.now.wrapping_sub(budget[0]) >= SECOND {
        budget[0] = s.now;
        budget[1] = 0;
    }
    if budget[1] >= REPORTS_PER_SECOND {
        return;
    }
    // Not a part of the connection: a resent segment is no news.
    if s.reason == Reason::OutOfOrder as u8 {
        return;
    }
    // SAFETY: the value is copied at once.
    let last = unsafe { REPORTED.get(&s.meta.key).copied() };
    if last == Some(u64::from(s.reason)) {
        return;
    }
    let reason = u64::from(s.reason);
    let _ = REPORTED.insert(&s.meta.key, reason, 0);
    budget[1] += 1;
    fill_event(s);
    let _ = EVENTS.output(&s.event, 0);
}

#[inline(always)]
fn fill_event(s: &mut Scratch) {
    s.event.time = s.now;
    s.event.key = s.meta.key;
    s.event.generation = config!(generation);
    s.event.room = s.room as u16;
    s.event.group = s.group as u16;
    s.event.verdict = s.verdict;
    s.event.reason = s.reason;
    s.event.category = s.category;
    s.event.protocol = s.protocol;
    s.event.name_len = s.name_len;
    s.event.packet_bytes = s.meta.frame_len;
    s.event.name = s.name;
}
