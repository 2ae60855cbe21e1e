//! DNS queries, judged by their names. `inspect_dns` reads one over UDP,
//! which `reply` answers where it goes no further; `dns_stream` reads those
//! of a TCP connection, one after another, and ends it at the first that is
//! refused. `judge_dns` decides about both.

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use filter_ebpf::{
    abi::{FlowFlags, GroupFlags, Hello, NAME_MAX, Protocol, Reason, SafeAddress, Tail, Verdict},
    inspect::{
        Chunk, Progress,
        dns::{self, Framing, is_long, qtype},
    },
    judge::{NO_CATEGORY, OWN_NETWORK},
};

use super::{
    conclude::{decide, describe, keep},
    finish::{finish, jump, scratch},
    inspect::piece,
    maps::{DNS_HELLO, DNS_LONG, GROUPS, SAFE_ADDRESSES, SAFE_NAMES},
    recent,
    scratch::{EMPTY, NXDOMAIN, SAFE, Scratch},
};

/// The name that browsers ask for before they use another resolver by
/// themselves; one that does not exist keeps them from it.
const CANARY: &[u8; 23] = b"use-application-dns.net";

/// Messages of one segment that are judged: each takes two of the 33 tail
/// calls that a packet has. Stub resolvers send two, for both families.
const MESSAGES: u32 = 12;

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
    s.query_kind = dns::query(hello).kind;
    describe(s, hello);
    jump(&ctx, Tail::JudgeDns)
}

/// Reads the messages of a segment that `inspect` found to be the stream's
/// next one, as far as they are complete. A message that goes on in the next
/// segment passes in part: without its end no resolver answers it.
#[xdp(frags)]
pub(crate) fn dns_stream(ctx: XdpContext) -> u32 {
    let Some(s) = scratch() else {
        return xdp_action::XDP_DROP;
    };
    let Some(hello) = recent::hello(s) else {
        s.set(Verdict::Drop, Reason::Internal);
        return finish(&ctx, s);
    };
    s.protocol = Protocol::Dns as u8;
    s.answer = 0;
    if s.messages != 0 && s.verdict() != Verdict::Pass {
        s.flow.flags |= FlowFlags::DEAD;
        keep(s);
        recent::forget_hello(s);
        return finish(&ctx, s);
    }
    s.flow_flags = 0;
    match dns::feed(hello, &Chunk::new(&s.chunk, s.piece), Framing::Stream) {
        Progress::Done(finding) => s.flow_flags = finding.flags & !FlowFlags::UNNAMED,
        Progress::Failed(reason) => s.failed = reason as u8,
        Progress::More => {
            hello.consumed = hello.consumed.wrapping_add(s.piece);
            s.skip = s.skip.wrapping_add(s.piece);
            if s.skip < s.meta.payload_len {
                return jump(&ctx, Tail::Inspect);
            }
            if s.messages == 0 {
                s.set(Verdict::Pass, Reason::HelloPending);
            }
            return finish(&ctx, s);
        }
    }
    s.name_len = 0;
    s.messages = s.messages.wrapping_add(1);
    if s.messages > MESSAGES {
        s.failed = Reason::DnsRate as u8;
    }
    s.query_kind = dns::query(hello).kind;
    describe(s, hello);
    jump(&ctx, Tail::JudgeDns)
}

/// Decides about the query, and what it is told where it goes no further.
#[xdp(frags)]
pub(crate) fn judge_dns(ctx: XdpContext) -> u32 {
    let Some(s) = scratch() else {
        return xdp_action::XDP_DROP;
    };
    decide(s);
    // What could not be read is told nothing by name.
    if s.failed == 0 {
        tell(s);
    }
    if s.meta.key.protocol == 6 {
        return jump(&ctx, Tail::DnsStream);
    }
    finish(&ctx, s)
}

#[inline(always)]
fn tell(s: &mut Scratch) {
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
    if s.flow.flags & FlowFlags::NAMED != 0 && search_safely(s) {
        return;
    }
    if matches!(s.query_kind, qtype::HTTPS | qtype::SVCB)
        && s.row.flags & GroupFlags::STRIP_ECH != 0
    {
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

/// Answers the name of a search engine with its safe address, where the group
/// asks for it. Whatever else is asked about the name does not exist.
#[inline(always)]
fn search_safely(s: &mut Scratch) -> bool {
    if s.row.flags & GroupFlags::SAFE_SEARCH == 0 {
        return false;
    }
    // SAFETY: the value is copied at once.
    let Some(provider) = (unsafe { SAFE_NAMES.get(&s.flow.exact).copied() }) else {
        return false;
    };
    let asked = match GROUPS.get(s.group) {
        Some(group) => u32::from(group.safe_search) >> (provider & 7) & 1,
        None => 0,
    };
    let Some(address) = SAFE_ADDRESSES.get(provider) else {
        return false;
    };
    if asked == 0 {
        return false;
    }
    let wanted = match s.query_kind {
        qtype::A => SafeAddress::V4,
        qtype::AAAA => SafeAddress::V6,
        _ => 0,
    };
    s.provider = provider as u8;
    s.answer = if address.families == 0 {
        NXDOMAIN
    } else if address.families & wanted != 0 {
        SAFE
    } else {
        EMPTY
    };
    s.set(Verdict::Reject, Reason::SafeSearch);
    true
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
