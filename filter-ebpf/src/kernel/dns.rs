//! `inspect_dns` and `judge_dns`: a DNS query over UDP, judged by its name.
//! `reply` answers it where it goes no further.

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use filter_ebpf::{
    abi::{FlowFlags, GroupFlags, Hello, NAME_MAX, Reason, Tail, Verdict},
    inspect::{
        Chunk, Progress,
        dns::{self, Framing, is_long, qtype},
    },
    judge::{NO_CATEGORY, OWN_NETWORK},
};

use super::{
    conclude::{decide, describe},
    finish::{finish, jump, scratch},
    inspect::piece,
    maps::{DNS_HELLO, DNS_LONG},
    scratch::{EMPTY, NXDOMAIN, Scratch},
};

/// The name that browsers ask for before they use another resolver by
/// themselves; one that does not exist keeps them from it.
const CANARY: &[u8; 23] = b"use-application-dns.net";

/// Reads the query and judges its name; what it is told is the next
/// program's.
#[xdp(frags)]
pub(crate) fn inspect_dns(ctx: XdpContext) -> u32 {
    let Some(s) = scratch() else {
        return xdp_action::XDP_DROP;
    };
    let Some(hello) = DNS_HELLO.get_ptr_mut(0) else {
        s.set(Verdict::Drop, Reason::Internal);
        return finish(&ctx, s);
    };
    // SAFETY: one per CPU; see `Scratch`.
    let hello = unsafe { &mut *hello };
    *hello = Hello::EMPTY;
    if piece(&ctx, s).is_none() {
        let opinion = s.row.deny(Reason::Malformed, NO_CATEGORY);
        s.set_opinion(opinion);
        return finish(&ctx, s);
    }
    s.flow_flags = 0;
    let progress = dns::feed(hello, &Chunk::new(&s.chunk, s.piece), Framing::Datagram);
    match progress {
        // The root hides nothing.
        Progress::Done(finding) => s.flow_flags = finding.flags & !FlowFlags::UNNAMED,
        Progress::Failed(reason) => s.failed = reason as u8,
        Progress::More => s.failed = Reason::Malformed as u8,
    }
    describe(s, hello);
    jump(&ctx, Tail::JudgeDns)
}

/// Decides about the query, and what it is told where it goes no further.
#[xdp(frags)]
pub(crate) fn judge_dns(ctx: XdpContext) -> u32 {
    let Some(s) = scratch() else {
        return xdp_action::XDP_DROP;
    };
    let Some(hello) = DNS_HELLO.get_ptr_mut(0) else {
        s.set(Verdict::Drop, Reason::Internal);
        return finish(&ctx, s);
    };
    // SAFETY: as above.
    let kind = dns::query(unsafe { &mut *hello }).kind;
    let opinion = decide(s);
    s.set_opinion(opinion);
    // What could not be read is told nothing by name.
    if s.failed == 0 {
        tell(s, kind);
    }
    finish(&ctx, s)
}

#[inline(always)]
fn tell(s: &mut Scratch, kind: u16) {
    if s.verdict() != Verdict::Pass {
        s.answer = NXDOMAIN;
        return;
    }
    if s.flow.flags & FlowFlags::NAMED != 0 {
        if is_canary(&s.name, s.name_len) {
            s.set(Verdict::Reject, Reason::Canary);
            s.answer = NXDOMAIN;
            return;
        }
        if is_long(&s.name, u32::from(s.name_len)) && !may_ask(s) {
            let opinion = s.row.deny(Reason::DnsRate, NO_CATEGORY);
            s.set_opinion(opinion);
            s.answer = NXDOMAIN;
            return;
        }
    }
    if matches!(kind, qtype::HTTPS | qtype::SVCB) && s.row.flags & GroupFlags::STRIP_ECH != 0 {
        s.set(Verdict::Reject, Reason::EchKeys);
        s.answer = EMPTY;
        return;
    }
    s.reason = if s.range_mask & OWN_NETWORK != 0 {
        Reason::OwnNetwork as u8
    } else {
        Reason::DnsAnswer as u8
    };
}

#[inline(always)]
fn is_canary(name: &[u8; NAME_MAX], len: u8) -> bool {
    let mut difference = len ^ CANARY.len() as u8;
    let mut i = 0;
    while i < CANARY.len() {
        difference |= name[i] ^ CANARY[i];
        i += 1;
    }
    difference == 0
}

/// Whether the room may look up another long name now (D04).
#[inline(always)]
fn may_ask(s: &Scratch) -> bool {
    if DNS_LONG.get_ptr_mut(&s.room).is_none() {
        let _ = DNS_LONG.insert(&s.room, &dns::Bucket::default(), 0);
    }
    match DNS_LONG.get_ptr_mut(&s.room) {
        // SAFETY: two cores at once lose a token, no more.
        Some(bucket) => unsafe { (*bucket).take(s.now) },
        None => false,
    }
}
