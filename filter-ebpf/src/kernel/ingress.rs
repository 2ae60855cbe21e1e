//! `lan_ingress`: what every frame from the LAN goes through, and all that an
//! established connection needs.

use aya_ebpf::{
    EbpfContext as _, bindings::xdp_action, helpers::generated::bpf_xdp_get_buff_len, macros::xdp,
    programs::XdpContext,
};
use filter_ebpf::{
    abi::{Flow, FlowFlags, MAX_LINKS, Protocol, Reason, Tail, Verdict},
    frame::{MAX_HEADER_OFFSET, Meta, MetaFlags, Parsed, View, opens_udp_tunnel, parse, tcp_flags},
    inspect::plain::restarts,
};

use super::{
    finish::{count, count_category, finish, jump, scratch, tick},
    flood, inspect, lookup,
    maps::{OVERRIDE_HEADER, config},
    quic, recent,
    scratch::Scratch,
    stream,
};

/// Frames from the LAN trunk.
#[xdp(frags)]
pub(crate) fn lan_ingress(ctx: XdpContext) -> u32 {
    let Some(s) = scratch() else {
        return xdp_action::XDP_DROP;
    };
    s.meta = Meta::default();
    // SAFETY: the context's own bounds, used before the packet changes.
    let view = unsafe { View::new(ctx.data() as u64, ctx.data_end() as u64) };
    match parse(&view, linear_len(&ctx), || whole_len(&ctx), &mut s.meta) {
        Parsed::Ip => {}
        Parsed::Keepalive => {
            begin(s);
            s.set(Verdict::Pass, Reason::Keepalive);
            return finish(&ctx, s);
        }
        Parsed::Bad(reason) => {
            begin(s);
            s.set(Verdict::Drop, reason);
            return finish(&ctx, s);
        }
    }
    let Some(slot) = slot(ctx.ingress_ifindex() as u32) else {
        begin(s);
        s.set(Verdict::Drop, Reason::UnknownVlan);
        return finish(&ctx, s);
    };
    s.meta.key.link |= slot << 24;
    s.epoch = match OVERRIDE_HEADER.get(0) {
        Some(header) => header.epoch,
        None => 0,
    };
    tick(s);
    s.unasked = 0;
    s.flow_at = 0;
    // Datagrams to addresses that some group may not reach are asked about
    // there first: a flood of them to ever new ports finds its flows in no
    // cache, and the answer for the address is the cheaper one.
    s.ranged = u8::from(s.meta.key.protocol == 17);
    if s.ranged != 0 {
        let ipv6 = s.meta.flags & MetaFlags::IPV6 != 0;
        s.range_mask = lookup::address(&s.meta.key.server, ipv6);
        if s.range_mask & config!(denied_by_any) != 0 {
            if flood::again(s) {
                return finish(&ctx, s);
            }
            s.unasked = 1;
            begin(s);
            return jump(&ctx, Tail::Judge);
        }
    }
    s.hash = recent::hash(&s.meta.key);
    if begins_tls(&view, &s.meta) {
        // What a hello needs lies in no cache, and one place after the other
        // would be waited for.
        recent::expect_hello(s.hash);
        stream::expect(s.hash);
        inspect::expect_content();
    }
    // What an older connection of the same ports was judged to be says
    // nothing about the one that a SYN opens.
    if !opens(&s.meta) {
        recent::note_flow(s);
    }
    if let Some(flow) = recent::flow(s)
        && is_current(flow, s)
        && let Some(action) = established(&ctx, &view, flow, s)
    {
        return action;
    }
    begin(s);
    jump(&ctx, Tail::Judge)
}

/// Whether a segment's first byte is a TLS handshake's (RFC 8446 §5.1), which
/// few segments behind the hello begin with.
#[inline(always)]
fn begins_tls(view: &View, meta: &Meta) -> bool {
    if meta.key.protocol != 6 || meta.payload_len == 0 {
        return false;
    }
    match view.at::<1>(meta.payload) {
        Some(first) => first.u8::<0>() == 22,
        None => false,
    }
}

/// Bytes of the frame's first buffer.
#[inline(always)]
pub(crate) fn linear_len(ctx: &XdpContext) -> u32 {
    (ctx.data_end() - ctx.data()) as u32
}

/// Bytes of the frame in all its buffers.
#[inline(always)]
pub(crate) fn whole_len(ctx: &XdpContext) -> u32 {
    // SAFETY: the context is the program's own.
    unsafe { bpf_xdp_get_buff_len(ctx.as_ptr().cast()) as u32 }
}

/// Sets what the programs behind the first one, and reports, start with.
/// What `lan_ingress` decides by itself needs none of it.
#[inline(always)]
pub(crate) fn begin(s: &mut Scratch) {
    tick(s);
    s.valid_until = u64::MAX;
    s.room = config!(rooms);
    s.group = 0;
    s.skip = 0;
    s.answer = 0;
    s.provider = 0;
    s.messages = 0;
    s.protocol = Protocol::Other as u8;
    s.again = 0;
    s.failed = 0;
    s.name_len = 0;
    s.range_blocked = 0;
    s.range_granted = 0;
    s.inside_head = 0;
    s.chunked = 0;
    s.body_end = 0;
    s.body_chunked = 0;
    s.repeated = 0;
    s.gathered = 0;
    s.flow_flags = 0;
    s.event.set = 0;
    s.hello_at = 0;
}

/// Position of an interface in the image's list.
#[inline(always)]
pub(crate) fn slot(ifindex: u32) -> Option<u32> {
    let mut slot = 0;
    while slot < MAX_LINKS {
        let link = config!(links[slot]);
        if link == 0 {
            return None;
        }
        if link == ifindex {
            return Some(slot as u32);
        }
        slot += 1;
    }
    None
}

/// Whether a packet opens a connection: a SYN of TCP without ACK.
#[inline(always)]
pub(crate) fn opens(meta: &Meta) -> bool {
    meta.tcp & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN
}

/// Whether a flow's verdict still stands.
#[inline(always)]
pub(crate) fn is_current(flow: &Flow, s: &Scratch) -> bool {
    flow.generation == config!(generation) && flow.epoch == s.epoch && s.now < flow.valid_until
}

/// A packet of a judged flow; `None` where it needs another look.
#[inline(always)]
fn established(ctx: &XdpContext, view: &View, flow: &mut Flow, s: &mut Scratch) -> Option<u32> {
    let verdict = Verdict::from_u8(flow.verdict);
    if s.meta.key.protocol == 6 {
        if s.meta.tcp & (tcp_flags::SYN | tcp_flags::RST) == tcp_flags::SYN {
            return None;
        }
        if s.meta.flags & MetaFlags::URGENT != 0 && misleads(flow) {
            return None;
        }
        if s.meta.payload_len > 0 && verdict == Verdict::Pass {
            // Once the server confirmed the judged bytes nothing can change
            // them any more.
            if flow.flags & FlowFlags::CONFIRMED == 0 {
                let offset = s.meta.seq.wrapping_sub(flow.base_seq);
                if offset < flow.judged_len {
                    begin(s);
                    return Some(jump(ctx, Tail::Resend));
                }
            }
            if flow.pending != 0 {
                return None;
            }
            if flow.watch != 0 && !matches!(ahead(view, flow, &s.meta, 0), Ahead::Known) {
                return None;
            }
        }
    } else if verdict == Verdict::Pass && begins_anew(view, flow, &s.meta) {
        return None;
    }
    let reason = Reason::from_u8(flow.reason);
    if verdict != Verdict::Pass || config!(trace) != 0 {
        begin(s);
        s.room = u32::from(flow.room);
        s.group = u32::from(flow.group);
        s.verdict = flow.verdict;
        s.reason = flow.reason;
        s.category = flow.category;
        s.protocol = flow.protocol;
        return Some(finish(ctx, s));
    }
    count(u32::from(flow.room), verdict, reason, s.meta.frame_len);
    count_category(flow.category, verdict, s.meta.frame_len);
    Some(xdp_action::XDP_PASS)
}

/// Whether an urgent pointer may take a byte out of what is still to be judged
/// (T08): the server does not read it, and the pointer may come before it.
#[inline(always)]
pub(crate) fn misleads(flow: &Flow) -> bool {
    flow.pending != 0 || flow.protocol == Protocol::Http as u8
}

/// What a segment means to a connection that is looked at beyond its hello.
pub(crate) enum Ahead {
    /// It goes the way of the connection.
    Known,
    /// It begins behind what is looked at next, or before what can be
    /// compared.
    Gap,
    /// After so many bytes there may be another hello: TLS after STARTTLS, or
    /// the next request of a kept-alive HTTP connection.
    Look(u32),
}

/// Half of the sequence numbers are before a place, half behind.
const HALF: u32 = 1 << 31;

/// Looks where the client's stream goes on. Requests follow each other
/// without a gap, so that each one's first byte is seen; other protocols may
/// have segments in any order, and a hello is seen where a segment, or what
/// it has of new bytes, begins with one. `judged` bytes of it were judged just
/// now.
#[inline(always)]
pub(crate) fn ahead(view: &View, flow: &mut Flow, meta: &Meta, judged: u32) -> Ahead {
    if meta.flags & MetaFlags::BAD_TCP != 0 {
        return Ahead::Known;
    }
    let end = meta.seq.wrapping_add(meta.payload_len);
    let known = flow.next.wrapping_sub(end) < HALF;
    let skip = flow.next.wrapping_sub(meta.seq);
    if flow.protocol == Protocol::Http as u8 {
        // What passed before the last request, and is not confirmed, cannot
        // be compared any more.
        let older = judged == 0 && meta.seq.wrapping_sub(flow.base_seq) >= HALF;
        return if older && flow.flags & FlowFlags::CONFIRMED == 0 {
            Ahead::Gap
        } else if known {
            Ahead::Known
        } else if skip < HALF {
            Ahead::Look(skip)
        } else {
            Ahead::Gap
        };
    }
    if begins_hello(view, flow.protocol, meta.payload) {
        return Ahead::Look(0);
    }
    if known {
        return Ahead::Known;
    }
    if skip < HALF && begins_hello(view, flow.protocol, meta.payload.wrapping_add(skip)) {
        return Ahead::Look(skip);
    }
    flow.next = end;
    Ahead::Known
}

#[inline(always)]
fn begins_hello(view: &View, protocol: u8, at: u32) -> bool {
    match view.at::<1>(at) {
        Some(first) => restarts(first.u8::<0>(), Protocol::from_u8(protocol)),
        None => true,
    }
}

/// Whether a datagram of a flow that passes needs another look.
#[inline(always)]
pub(crate) fn begins_anew(view: &View, flow: &Flow, meta: &Meta) -> bool {
    flow.watch != 0 && (quic::begins(view, meta, flow.pending != 0) || is_tunnel(view, flow, meta))
}

/// Whether a datagram opens a tunnel behind others that were passed.
#[inline(always)]
fn is_tunnel(view: &View, flow: &Flow, meta: &Meta) -> bool {
    if flow.protocol != Protocol::Udp as u8 || meta.payload > MAX_HEADER_OFFSET {
        return false;
    }
    match view.at::<4>(meta.payload) {
        Some(first) => opens_udp_tunnel(first.be32::<0>(), meta.payload_len),
        None => false,
    }
}
