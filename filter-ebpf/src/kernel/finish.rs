//! The last step of every path: count, report, act.

use aya_ebpf::{
    bindings::xdp_action,
    helpers::generated::{bpf_jiffies64, bpf_ktime_get_coarse_ns},
    programs::XdpContext,
};
use filter_ebpf::{
    abi::{Protocol, Reason, Tail, Verdict, counter_index},
    judge::NO_CATEGORY,
};

use super::{
    maps::{
        CATEGORY_COUNTERS, COUNTERS, EVENTS, OVERRIDE_HEADER, REPORT_BUDGET, REPORTED, SCRATCH,
        TAIL, TRACE, config,
    },
    scratch::Scratch,
};

/// Events a core may send per second.
const REPORTS_PER_SECOND: u64 = 2_000;
/// How many of them may tell of flows that pass: denials come first.
const PASSES_PER_SECOND: u64 = 1_000;
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

/// Sets `now` to the kernel's clock, or to replay's.
///
/// The coarse clock moves with the kernel's ticks. Which tick it is costs a
/// load (the verifier writes `bpf_jiffies64` out, kernel: `bpf_do_misc_fixups`),
/// the clock itself a call, so it is read once in a tick on each core.
#[inline(always)]
pub(crate) fn tick(s: &mut Scratch) {
    if config!(trace) != 0
        && let Some(trace) = TRACE.get(0)
    {
        s.now = trace.now;
        return;
    }
    // SAFETY: a helper without arguments.
    let tick = unsafe { bpf_jiffies64() };
    if s.tick != tick {
        s.tick = tick;
        // SAFETY: as above.
        s.now = unsafe { bpf_ktime_get_coarse_ns() };
    }
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
        fill_event(s);
        // Where replay reads it.
        if let Some(trace) = TRACE.get_ptr_mut(0) {
            // SAFETY: the one value of the map, where the scratch does not
            // lie; replay waits for us.
            unsafe {
                core::ptr::copy_nonoverlapping(&raw const s.event, &raw mut (*trace).event, 1)
            };
        }
        return;
    }
    s.told = u64::from(s.reason);
    let limit = if verdict != Verdict::Pass {
        REPORTS_PER_SECOND
    } else if is_judged(s) && on_trial(s) && (s.again == 0 || s.name_len != 0) {
        // A connection that goes on was told when it was judged, by its name.
        if s.name_len != 0 {
            // Requests of one connection may name many hosts.
            s.told |= s.flow.exact << 8;
        }
        PASSES_PER_SECOND
    } else {
        return;
    };
    report(s, limit);
}

/// Whether a policy gave this verdict, and not the state of a connection. A
/// query is not told: what is asked for is seen when it is reached for.
#[inline(always)]
fn is_judged(s: &Scratch) -> bool {
    const REASONS: u64 = 1 << Reason::RangeAllowed as u64
        | 1 << Reason::NameAllowed as u64
        | 1 << Reason::DefaultOpen as u64
        | 1 << Reason::Unnamed as u64
        | 1 << Reason::EncryptedName as u64
        | 1 << Reason::UnknownProtocol as u64
        | 1 << Reason::Tunnel as u64
        | 1 << Reason::Proxy as u64;
    s.protocol != Protocol::Dns as u8 && REASONS >> (s.reason & 63) & 1 != 0
}

/// Whether a policy is on trial beside the one in force.
#[inline(always)]
fn on_trial(s: &Scratch) -> bool {
    match OVERRIDE_HEADER.get(0) {
        Some(header) => s.now >> 30 < u64::from(header.trial_until),
        None => false,
    }
}

/// Sends an event: one per flow and `told`, and never more than the ring and
/// its reader can bear.
#[inline(always)]
fn report(s: &mut Scratch, limit: u64) {
    let Some(budget) = REPORT_BUDGET.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: a per-CPU value.
    let budget = unsafe { &mut *budget };
    if s.now.wrapping_sub(budget.since) >= SECOND {
        budget.since = s.now;
        budget.sent = 0;
    }
    // Not a part of the connection: a resent segment is no news.
    if s.reason == Reason::OutOfOrder as u8 {
        return;
    }
    if budget.sent >= limit {
        budget.over += 1;
        budget.untold += 1;
        return;
    }
    // SAFETY: the value is read at once.
    if let Some(last) = unsafe { REPORTED.get(&s.meta.key) }
        && *last == s.told
    {
        return;
    }
    let _ = REPORTED.insert(&s.meta.key, &s.told, 0);
    budget.sent += 1;
    s.event.untold = budget.untold as u32;
    fill_event(s);
    let sent = EVENTS.output(&s.event, 0);
    if sent.is_ok() {
        budget.untold = 0;
    } else {
        budget.full += 1;
        budget.untold += 1;
    }
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
