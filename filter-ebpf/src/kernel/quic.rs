//! `quic` and `quic_walk`: from a client's Initial packets to the name.
//!
//! Every Initial of a flow comes here, also behind a verdict (Q03, Q05): a
//! second hello on the same ports is judged like the first.

use aya_ebpf::{
    EbpfContext as _, bindings::xdp_action, helpers::generated::bpf_xdp_load_bytes, macros::xdp,
    programs::XdpContext,
};
use filter_ebpf::{
    abi::{FlowFlags, Hello, Protocol, Reason, Tail, Verdict},
    bpf::between_one_and,
    frame::{Meta, View},
    inspect::{
        CHUNK, Progress,
        quic::{self, Kind, Outcome, QuicHello},
    },
    judge::NO_CATEGORY,
};

use super::{
    finish::{finish, jump, scratch},
    judge::remember,
    maps::{GROUPS, QUIC_BUDGET, QUIC_EMPTY, QUIC_HELLOS, QUIC_SCRATCH, config},
    recent,
    scratch::{AGAIN_HELLO, Scratch},
};

/// Datagrams with long headers that a handshake takes, two of them for the
/// hello.
const DATAGRAMS_PER_HELLO: u64 = 4;
const SECOND: u64 = 1_000_000_000;
/// Fixed header, empty connection IDs, a packet number and a sample (RFC 9000
/// §17.2, RFC 9001 §5.4.2).
const SHORTEST: u32 = 21;

/// What a core did in the present second.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Budget {
    since: u64,
    read: u64,
    sealed: u64,
}

impl Budget {
    /// This core's, begun anew with every second.
    #[inline(always)]
    fn of_now(s: &Scratch) -> Option<&'static mut Self> {
        let budget = QUIC_BUDGET.get_ptr_mut(0)?;
        // SAFETY: a per-CPU value.
        let budget = unsafe { &mut *budget };
        if s.now.wrapping_sub(budget.since) >= SECOND {
            budget.since = s.now;
            budget.read = 0;
            budget.sealed = 0;
        }
        Some(budget)
    }
}

/// Whether a datagram must be read as QUIC: in a flow that is judged already
/// only what may carry a hello or data before it, in a `fresh` one anything
/// with a long header.
#[inline(always)]
pub(crate) fn begins(view: &View, meta: &Meta, fresh: bool) -> bool {
    if meta.key.protocol != 17 || meta.payload_len < SHORTEST {
        return false;
    }
    let Some(head) = view.at::<8>(meta.payload) else {
        return false;
    };
    let first = head.u8::<0>();
    match quic::sniff(first, head.be32::<1>()) {
        Kind::Initial | Kind::Early => true,
        Kind::Other => fresh,
        // Other protocols may begin like this too; a connection ID of an
        // unknown version is rarely longer than 20 bytes (RFC 9000 §17.2).
        Kind::UnknownVersion => {
            first >> 6 == 3 && head.u8::<5>() <= 20 && (fresh || meta.key.server_port == 443)
        }
        Kind::Short => false,
    }
}

#[xdp(frags)]
pub(crate) fn quic(ctx: XdpContext) -> u32 {
    let Some(s) = scratch() else {
        return xdp_action::XDP_DROP;
    };
    s.protocol = Protocol::Quic as u8;
    if !within_budget(s) {
        refuse(s, Reason::QuicBudget);
        return finish(&ctx, s);
    }
    let Some(hello) = hello(s) else {
        s.set(Verdict::Drop, Reason::Internal);
        return finish(&ctx, s);
    };
    let Some(q) = QUIC_SCRATCH.get_ptr_mut(0) else {
        s.set(Verdict::Drop, Reason::Internal);
        return finish(&ctx, s);
    };
    // SAFETY: one per CPU; see `Scratch`.
    let q = unsafe { &mut *q };
    let len = if s.meta.payload_len > CHUNK as u32 {
        CHUNK as u32
    } else {
        s.meta.payload_len
    };
    let len = between_one_and::<{ CHUNK as u32 }>(len);
    // SAFETY: `len` is at most CHUNK, which the buffer holds.
    let loaded = unsafe {
        bpf_xdp_load_bytes(
            ctx.as_ptr().cast(),
            s.meta.payload,
            q.datagram.bytes.as_mut_ptr().cast(),
            len,
        )
    };
    if loaded != 0 {
        s.set(Verdict::Drop, Reason::Truncated);
        return finish(&ctx, s);
    }
    q.start(len);
    s.gathered = 1;
    match quic::inspect(q, hello) {
        Outcome::Complete => return jump(&ctx, Tail::QuicWalk),
        Outcome::Settled if s.again != AGAIN_HELLO => return jump(&ctx, Tail::QuicWalk),
        Outcome::Settled => as_judged(s),
        Outcome::Other if s.again == AGAIN_HELLO => as_judged(s),
        Outcome::Pending => pend(s),
        Outcome::Other | Outcome::Hold => s.set(Verdict::Drop, Reason::QuicRefused),
        Outcome::Failed(reason) => {
            fail(s, reason);
        }
    }
    finish(&ctx, s)
}

/// Keeps with the flow that its hello cannot be judged. Not
/// inlined, as `settle` is not.
#[inline(never)]
fn fail(s: &mut Scratch, reason: Reason) {
    refuse(s, reason);
    let dead = s.verdict() != Verdict::Pass;
    // A client may come again from the same port in a version that can be
    // read, as it is told to: nothing of this one got through.
    if !dead || reason as u8 != Reason::QuicVersion as u8 {
        remember(s, if dead { FlowFlags::DEAD } else { 0 });
    }
}

/// Reads the complete hello into `HELLOS`, where `conclude` looks for it.
#[xdp(frags)]
pub(crate) fn quic_walk(ctx: XdpContext) -> u32 {
    let Some(s) = scratch() else {
        return xdp_action::XDP_DROP;
    };
    s.hello = Hello::EMPTY;
    s.hello.confirmed = 1;
    let (Some(hello), Some(gathered)) =
        (recent::keep_hello(s), QUIC_HELLOS.get_ptr_mut(&s.meta.key))
    else {
        s.set(Verdict::Drop, Reason::Internal);
        return finish(&ctx, s);
    };
    // SAFETY: the value stays a QuicHello as long as the program runs; a
    // recycled one is another connection's, of one that was just pushed out.
    let gathered = unsafe { &*gathered };
    s.flow_flags = 0;
    match quic::walk(gathered, hello) {
        Progress::Done(finding) => s.flow_flags = finding.flags,
        Progress::Failed(reason) => s.failed = reason as u8,
        Progress::More => s.failed = Reason::Malformed as u8,
    }
    jump(&ctx, Tail::Conclude)
}

/// What is known of the connection, or a new entry.
#[inline(always)]
fn hello(s: &Scratch) -> Option<&'static mut QuicHello> {
    // SAFETY: see `quic_walk`.
    if let Some(hello) = QUIC_HELLOS.get_ptr_mut(&s.meta.key) {
        return Some(unsafe { &mut *hello });
    }
    let empty = QUIC_EMPTY.get(0)?;
    let _ = QUIC_HELLOS.insert(&s.meta.key, empty, 0);
    // SAFETY: as above.
    QUIC_HELLOS
        .get_ptr_mut(&s.meta.key)
        .map(|hello| unsafe { &mut *hello })
}

/// Whether this core may read another datagram in the present second (Q10).
#[inline(always)]
fn within_budget(s: &Scratch) -> bool {
    let Some(budget) = Budget::of_now(s) else {
        return false;
    };
    budget.read += 1;
    budget.read <= u64::from(config!(quic_budget)) * DATAGRAMS_PER_HELLO
}

/// Whether this core may seal another answer in the present second: one for
/// each hello. Counted apart, or refusals would take the budget of reading.
#[inline(always)]
pub(crate) fn may_seal(s: &Scratch) -> bool {
    let Some(budget) = Budget::of_now(s) else {
        return false;
    };
    budget.sealed += 1;
    budget.sealed <= u64::from(config!(quic_budget))
}

/// The group's verdict for QUIC that cannot be judged; contradictions are
/// denied whatever that is.
#[inline(always)]
fn refuse(s: &mut Scratch, reason: Reason) {
    let verdict = match GROUPS.get(s.group) {
        Some(group) => group.quic,
        None => Verdict::Drop as u8,
    };
    let opinion = match reason {
        Reason::Conflict | Reason::Malformed => s.row.deny(reason, NO_CATEGORY),
        _ => s.row.unjudged(verdict, reason),
    };
    s.set_opinion(opinion);
}

/// Part of a hello passes. Of a flow that was judged by an earlier one, no
/// handshake goes on before this one is complete.
#[inline(always)]
fn pend(s: &mut Scratch) {
    s.set(Verdict::Pass, Reason::HelloPending);
    if let Some(flow) = recent::flow(s) {
        flow.pending = 1;
    }
}

/// The verdict that the flow already has, unless another hello is in progress.
#[inline(always)]
fn as_judged(s: &mut Scratch) {
    let Some(flow) = recent::flow(s) else {
        s.set(Verdict::Drop, Reason::Internal);
        return;
    };
    if flow.pending != 0 {
        s.set(Verdict::Drop, Reason::QuicRefused);
        return;
    }
    s.verdict = flow.verdict;
    s.reason = flow.reason;
    s.category = flow.category;
}
