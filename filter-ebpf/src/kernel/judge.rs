//! `judge`: a packet that no current flow speaks for.

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use filter_ebpf::{
    abi::{Flow, FlowFlags, FlowKey, Group, GroupFlags, Protocol, Reason, Room, Tail, Verdict},
    access::door,
    frame::{
        MAX_HEADER_OFFSET, Meta, MetaFlags, View, halves, is_udp_tunnel, mapped, set_halves,
        tcp_flags,
    },
    judge::{NO_CATEGORY, OWN_NETWORK, Opinion, Row},
};

use super::{
    finish::{finish, jump, scratch},
    flood,
    ingress::{Ahead, ahead, begins_anew, is_current, misleads, opens},
    lookup,
    maps::{ACCESS, GROUPS, ROOM_OF, ROOM_OF_QINQ, ROOMS, config},
    quic, recent,
    scratch::{AGAIN_FLOW, AGAIN_HELLO, Scratch},
    stream,
};

#[xdp(frags)]
pub(crate) fn judge(ctx: XdpContext) -> u32 {
    let Some(s) = scratch() else {
        return xdp_action::XDP_DROP;
    };
    // SAFETY: the context's own bounds, used before the packet changes.
    let view = unsafe { View::new(ctx.data() as u64, ctx.data_end() as u64) };
    match look(&view, s) {
        Next::Finish => finish(&ctx, s),
        Next::Jump(tail) => jump(&ctx, tail),
    }
}

enum Next {
    Finish,
    Jump(Tail),
}

#[inline(always)]
fn look(view: &View, s: &mut Scratch) -> Next {
    if s.ranged == 0 {
        let ipv6 = s.meta.flags & MetaFlags::IPV6 != 0;
        s.range_mask = lookup::address(&s.meta.key.server, ipv6);
    }
    let Some(room) = room(s) else {
        if s.range_mask & OWN_NETWORK != 0 {
            s.set(Verdict::Pass, Reason::OwnNetwork);
        } else {
            s.set(Verdict::from_u8(config!(unknown_vlan)), Reason::UnknownVlan);
        }
        return Next::Finish;
    };
    s.group = u32::from(room.group);
    if !belongs(room, &s.meta.key, s.meta.flags & MetaFlags::IPV6 != 0) {
        s.set(Verdict::Drop, Reason::SpoofedSource);
        return Next::Finish;
    }
    // The source is the room's own, and so is its neighbour.
    if s.meta.flags & MetaFlags::NEIGHBOUR != 0 && room.subnets6_len != 0 {
        s.set(Verdict::Pass, Reason::Keepalive);
        return Next::Finish;
    }
    let Some(group) = GROUPS.get(s.group) else {
        s.set(Verdict::Drop, Reason::Internal);
        return Next::Finish;
    };
    if is_source_routed(view, &s.meta) {
        s.set(Verdict::Drop, Reason::SourceRoute);
        return Next::Finish;
    }
    // Queries to the school's own resolver are judged too: it asks for the
    // room whatever the room may not reach.
    let own = s.range_mask & OWN_NETWORK != 0;
    let query = is_query(&s.meta) && group.flags & GroupFlags::BY_NAME != 0;
    if own && !query {
        s.set(Verdict::Pass, Reason::OwnNetwork);
        return Next::Finish;
    }
    if let Some(next) = enter(s, room, group) {
        if own {
            s.set(Verdict::Pass, Reason::OwnNetwork);
        }
        return next;
    }
    let range = by_address(s);
    if query && s.meta.key.protocol == 17 {
        return dns(s, group, range);
    }
    if s.meta.key.protocol == 17
        && let Some(opinion) = refused(s, range)
    {
        s.protocol = Protocol::Udp as u8;
        s.set_opinion(opinion);
        if range.is_some() {
            flood::keep(s);
        }
        return Next::Finish;
    }
    let mut fresh = true;
    if s.unasked != 0 {
        s.unasked = 0;
        s.hash = recent::hash(&s.meta.key);
        recent::find_flow(s);
    }
    if let Some(flow) = recent::flow(s) {
        // A QUIC hello is read again rather than judged by the last one.
        let hello = s.row.by_name()
            && flow.flags & FlowFlags::DEAD == 0
            && quic::begins(view, &s.meta, false);
        if !is_current(flow, s) && !hello {
            s.flow = *flow;
            s.again = AGAIN_FLOW;
            return Next::Jump(Tail::Conclude);
        }
        if s.meta.key.protocol == 6 {
            if s.meta.flags & MetaFlags::URGENT != 0 && misleads(flow) {
                s.set(Verdict::Drop, Reason::BadTcp);
                return Next::Finish;
            }
            if flow.pending == 0 {
                let next = if flow.watch != 0 && s.meta.payload_len > 0 {
                    ahead(view, flow, &s.meta, s.body_end)
                } else {
                    Ahead::Known
                };
                match next {
                    Ahead::Known => return as_judged(s, flow),
                    Ahead::Gap => {
                        s.set(Verdict::Drop, Reason::OutOfOrder);
                        return Next::Finish;
                    }
                    Ahead::Look(skip) => {
                        s.skip = skip;
                        s.chunked = flow.chunked;
                    }
                }
            // T23: the hello that was begun has been pushed out.
            } else if recent::find_hello(s).is_none() {
                let opinion = s.row.deny(Reason::Midstream, NO_CATEGORY);
                s.set_opinion(opinion);
                return Next::Finish;
            }
            flow.pending = 1;
        }
        if is_current(flow, s) {
            let passes = flow.verdict == Verdict::Pass as u8;
            if s.meta.key.protocol == 17 && !(passes && begins_anew(view, flow, &s.meta)) {
                return as_judged(s, flow);
            }
            s.again = AGAIN_HELLO;
            fresh = flow.pending != 0;
        }
    }
    match s.meta.key.protocol {
        6 => tcp(s, group, range),
        17 => udp(view, s, group, range, fresh),
        1 | 58 => icmp(view, s, range),
        // IPIP, 6in4, GRE, ESP, AH, EtherIP, L2TP.
        4 | 41 | 47 | 50 | 51 | 97 | 115 => {
            let opinion = s.row.unjudged(group.tunnel, Reason::Tunnel);
            by_range(s, range, opinion)
        }
        _ => {
            let opinion = s.row.unjudged(group.undecodable, Reason::UnknownProtocol);
            by_range(s, range, opinion)
        }
    }
}

/// A packet that goes the way of its flow.
#[inline(always)]
fn as_judged(s: &mut Scratch, flow: &Flow) -> Next {
    s.again = AGAIN_HELLO;
    s.verdict = flow.verdict;
    s.reason = flow.reason;
    s.category = flow.category;
    s.protocol = flow.protocol;
    Next::Finish
}

/// Whether options of IPv4 send the packet on from its destination (RFC 791
/// §3.1, loose and strict source route). Where the options hold such a number
/// otherwise, which no ordinary packet does, it counts too.
#[inline(always)]
fn is_source_routed(view: &View, meta: &Meta) -> bool {
    let mut at = meta.l3.wrapping_add(20);
    if meta.flags & MetaFlags::IPV6 != 0 {
        return false;
    }
    let mut words = 0;
    while words < 10 {
        if at >= meta.l4 {
            return false;
        }
        let Some(word) = view.at::<4>(at) else {
            return true;
        };
        for byte in word.be32::<0>().to_be_bytes() {
            if byte == 131 || byte == 137 {
                return true;
            }
        }
        at = at.wrapping_add(4);
        words += 1;
    }
    false
}

/// The room of the frame's tags, noted in `s`.
#[inline(always)]
pub(crate) fn room(s: &mut Scratch) -> Option<&'static Room> {
    let link = s.meta.key.link;
    let number = if link & 0xfff != 0 {
        if config!(qinq) == 0 {
            return None;
        }
        // SAFETY: the value is copied at once.
        unsafe { *ROOM_OF_QINQ.get(&link)? }
    } else {
        *ROOM_OF.get((link >> 24) * 4096 + (link >> 12 & 0xfff))?
    };
    let room = ROOMS.get(number)?;
    if number >= config!(rooms) {
        return None;
    }
    s.room = number;
    Some(room)
}

/// N08: a source must lie in one of the room's subnets, where it has any of
/// that family.
#[inline(always)]
fn belongs(room: &Room, key: &FlowKey, ipv6: bool) -> bool {
    let (upper, lower) = halves(&key.client);
    if ipv6 {
        let len = room.subnets6_len as usize;
        // Link-local sources never get past the router.
        if len == 0 || upper >> 54 == 0x3fa {
            return true;
        }
        let mut i = 0;
        while i < room.subnets6.len() {
            let net = &room.subnets6[i];
            if i < len && upper & net.upper_mask == net.upper && lower & net.lower_mask == net.lower
            {
                return true;
            }
            i += 1;
        }
        return false;
    }
    let len = room.subnets4_len as usize;
    if len == 0 {
        return true;
    }
    let address = lower as u32;
    let mut i = 0;
    while i < room.subnets4.len() {
        let net = &room.subnets4[i];
        if i < len && address & net.mask == net.address {
            return true;
        }
        i += 1;
    }
    false
}

/// Passes the room's door and works out the row of the matrix that holds now.
#[inline(always)]
fn enter(s: &mut Scratch, room: &Room, group: &Group) -> Option<Next> {
    if !open(s, room, group) {
        return Some(Next::Finish);
    }
    lookup::range_override(s);
    if s.range_blocked != 0 {
        let opinion = s.row.deny(Reason::Blocked, NO_CATEGORY);
        s.set_opinion(opinion);
        return Some(Next::Finish);
    }
    None
}

/// Reads the door into `s`; `false` where it is closed.
#[inline(always)]
pub(crate) fn open(s: &mut Scratch, room: &Room, group: &Group) -> bool {
    let Some(access) = ACCESS.get(s.room) else {
        s.set(Verdict::Drop, Reason::Internal);
        return false;
    };
    let stale = Verdict::from_u8(config!(when_stale));
    let door = door(access, room.flags, stale, s.now);
    s.valid_until = door.until;
    let mut granted = 0;
    let mut i = 0;
    while i < access.grant_mask.len() {
        if s.now < access.grant_until[i] {
            granted |= access.grant_mask[i];
            if access.grant_until[i] < s.valid_until {
                s.valid_until = access.grant_until[i];
            }
        }
        i += 1;
    }
    s.row = Row::new(group, granted);
    if door.verdict == Verdict::Pass {
        return true;
    }
    let verdict = if door.verdict == Verdict::Reject {
        s.row.refuse
    } else {
        door.verdict
    };
    s.set(verdict, door.reason);
    false
}

#[inline(always)]
fn tcp(s: &mut Scratch, group: &Group, range: Option<Opinion>) -> Next {
    if s.meta.flags & MetaFlags::FRAGMENT != 0 {
        let opinion = s.row.unjudged(group.fragment, Reason::Fragment);
        return by_range(s, range, opinion);
    }
    s.protocol = Protocol::Tcp as u8;
    if let Some(opinion) = refused(s, range) {
        s.set_opinion(opinion);
        return Next::Finish;
    }
    if opens(&s.meta)
        && let Some(next) = opened(s)
    {
        return next;
    }
    let urgent = s.meta.flags & MetaFlags::URGENT != 0 && s.row.by_name();
    if s.meta.payload_len == 0 && !urgent {
        s.set(Verdict::Pass, Reason::Handshake);
        return Next::Finish;
    }
    if !s.row.by_name() {
        let opinion = range.unwrap_or(s.row.default());
        s.set_opinion(opinion);
        remember(s, 0);
        return Next::Finish;
    }
    // T08: no client sends these before its hello is through.
    let bad = s.meta.flags & (MetaFlags::BAD_TCP | MetaFlags::URGENT) != 0;
    let unacknowledged = s.meta.tcp & (tcp_flags::SYN | tcp_flags::ACK) == 0;
    if bad || unacknowledged {
        s.set(Verdict::Drop, Reason::BadTcp);
        return Next::Finish;
    }
    Next::Jump(Tail::Inspect)
}

#[inline(always)]
fn udp(view: &View, s: &mut Scratch, group: &Group, range: Option<Opinion>, fresh: bool) -> Next {
    if s.meta.flags & MetaFlags::FRAGMENT != 0 {
        let opinion = s.row.unjudged(group.fragment, Reason::Fragment);
        return by_range(s, range, opinion);
    }
    s.protocol = Protocol::Udp as u8;
    let first = if s.meta.payload > MAX_HEADER_OFFSET {
        0
    } else {
        match view.at::<4>(s.meta.payload) {
            Some(first) => first.be32::<0>(),
            None => 0,
        }
    };
    if s.row.by_name() && quic::begins(view, &s.meta, fresh) {
        return Next::Jump(Tail::Quic);
    }
    let opinion = match range {
        Some(opinion) => opinion,
        None if asks_a_resolver(view, s) => s.row.deny(Reason::Resolver, NO_CATEGORY),
        None if is_udp_tunnel(s.meta.key.server_port, first, s.meta.payload_len) => {
            s.row.unjudged(group.tunnel, Reason::Tunnel)
        }
        None => s.row.default(),
    };
    s.set_opinion(opinion);
    // A flood of refused datagrams must not push out the flows that live.
    if opinion.verdict == Verdict::Pass {
        remember(s, FlowFlags::BY_RANGE);
    }
    Next::Finish
}

/// DNS queries, over UDP or TCP: no verdict about one holds for the next,
/// which names another host.
#[inline(always)]
fn is_query(meta: &Meta) -> bool {
    matches!(meta.key.protocol, 6 | 17) && meta.key.server_port == 53
}

#[inline(always)]
fn dns(s: &mut Scratch, group: &Group, range: Option<Opinion>) -> Next {
    s.protocol = Protocol::Dns as u8;
    if s.meta.flags & MetaFlags::FRAGMENT != 0 {
        let opinion = s.row.unjudged(group.fragment, Reason::Fragment);
        s.set_opinion(opinion);
        return Next::Finish;
    }
    if let Some(opinion) = refused(s, range) {
        s.set_opinion(opinion);
        return Next::Finish;
    }
    Next::Jump(Tail::InspectDns)
}

/// What is refused by its address and port alone.
#[inline(always)]
fn refused(s: &Scratch, range: Option<Opinion>) -> Option<Opinion> {
    match range {
        Some(opinion) if opinion.verdict == Verdict::Pass => None,
        Some(opinion) => Some(opinion),
        None if is_foreign_resolver(s) => Some(s.row.deny(Reason::Resolver, NO_CATEGORY)),
        None => None,
    }
}

/// Name services that a group with the school's resolver may not reach (D02):
/// DNS, DNS over TLS and QUIC (RFC 7858 §3.1, RFC 9250 §4.1.1).
#[inline(always)]
fn is_foreign_resolver(s: &Scratch) -> bool {
    s.row.flags & GroupFlags::SCHOOL_DNS != 0
        && s.range_mask & OWN_NETWORK == 0
        && matches!(s.meta.key.server_port, 53 | 853)
}

/// A SYN: notes its number, and that whatever came with another one before may
/// be about either (T07). Data in it is what passed already, or nothing; the
/// client goes on without data.
#[inline(always)]
fn opened(s: &mut Scratch) -> Option<Next> {
    let first = s.meta.seq.wrapping_add(1);
    if !stream::syn(s.hash, first, s.meta.payload_len > 0) {
        return None;
    }
    if let Some(hello) = recent::find_hello(s) {
        if hello.in_syn != 0 && hello.base_seq != first {
            hello.in_syn = 2;
        }
    }
    let flow = recent::find_flow(s)?;
    if flow.in_syn != 0 && flow.base_seq != first {
        flow.in_syn = 2;
    }
    if s.meta.payload_len == 0 {
        return None;
    }
    if flow.verdict == Verdict::Pass as u8 {
        return Some(Next::Jump(Tail::Resend));
    }
    s.set(Verdict::Drop, Reason::OutOfOrder);
    Some(Next::Finish)
}

/// Whether a datagram on any port is a query (RFC 1035 §4.1.1: one question,
/// no answer) of a group that must ask the school's resolver; some public ones
/// answer on ports of other things.
#[inline(always)]
fn asks_a_resolver(view: &View, s: &Scratch) -> bool {
    if s.row.flags & GroupFlags::SCHOOL_DNS == 0 || s.meta.payload_len < 17 {
        return false;
    }
    let Some(head) = view.at::<12>(s.meta.payload) else {
        return false;
    };
    // Neither QR nor an opcode nor TC nor a code.
    let counts = head.be64::<4>();
    head.be16::<2>() & 0xfa0f == 0 && counts & !1 == 1 << 48
}

#[inline(always)]
fn icmp(view: &View, s: &mut Scratch, range: Option<Opinion>) -> Next {
    s.protocol = Protocol::Icmp as u8;
    // Unreachable, too big, time exceeded, parameter problem (RFC 792,
    // RFC 4443 §2.1).
    let error = if s.meta.flags & MetaFlags::FRAGMENT != 0 {
        false
    } else if s.meta.flags & MetaFlags::IPV6 != 0 {
        s.meta.icmp_type < 128
    } else {
        matches!(s.meta.icmp_type, 3 | 11 | 12)
    };
    let opinion = if error && is_about_flow(view, s) {
        Opinion {
            verdict: Verdict::Pass,
            reason: Reason::Handshake,
            category: NO_CATEGORY,
        }
    } else {
        s.row.default()
    };
    by_range(s, range, opinion)
}

/// Whether an ICMP error quotes a packet from its destination that belongs to
/// a connection which passes; others would carry data to anybody.
#[inline(always)]
fn is_about_flow(view: &View, s: &mut Scratch) -> bool {
    let quote = s.meta.l4.wrapping_add(8);
    s.event.key = s.meta.key;
    let key = &mut s.event.key;
    let ports = if s.meta.flags & MetaFlags::IPV6 != 0 {
        let Some(ip) = view.at::<40>(quote) else {
            return false;
        };
        if halves(&key.server) != (ip.be64::<8>(), ip.be64::<16>()) {
            return false;
        }
        set_halves(&mut key.client, ip.be64::<24>(), ip.be64::<32>());
        key.protocol = u32::from(ip.u8::<6>());
        quote.wrapping_add(40)
    } else {
        let Some(ip) = view.at::<20>(quote) else {
            return false;
        };
        if halves(&key.server) != (0, mapped(ip.be32::<12>())) {
            return false;
        }
        set_halves(&mut key.client, 0, mapped(ip.be32::<16>()));
        key.protocol = u32::from(ip.u8::<9>());
        quote.wrapping_add(u32::from(ip.u8::<0>() & 15) * 4)
    };
    let Some(ports) = view.at::<4>(ports) else {
        return false;
    };
    key.server_port = ports.be16::<0>();
    key.client_port = ports.be16::<2>();
    match recent::flow_of(&s.event.key) {
        Some(flow) => flow.verdict == Verdict::Pass as u8,
        None => false,
    }
}

/// The verdict of the destination's range, else `otherwise`.
#[inline(always)]
fn by_range(s: &mut Scratch, range: Option<Opinion>, otherwise: Opinion) -> Next {
    s.set_opinion(range.unwrap_or(otherwise));
    Next::Finish
}

/// What the destination's address alone says: locked, granted, denied or
/// allowed.
#[inline(always)]
pub(crate) fn by_address(s: &Scratch) -> Option<Opinion> {
    if s.range_granted != 0 && !s.row.is_locked(s.range_mask) {
        return Some(Opinion {
            verdict: Verdict::Pass,
            reason: Reason::Granted,
            category: NO_CATEGORY,
        });
    }
    s.row.range(s.range_mask)
}

/// Keeps the outcome for the packets to come.
#[inline(always)]
pub(crate) fn remember(s: &mut Scratch, flags: u8) {
    if is_portless(&s.meta.key) {
        return;
    }
    s.flow = Flow {
        generation: config!(generation),
        epoch: s.epoch,
        valid_until: s.valid_until,
        verdict: s.verdict,
        reason: s.reason,
        category: s.category,
        protocol: s.protocol,
        flags,
        base_seq: s.meta.seq,
        room: s.room as u16,
        group: s.group as u16,
        watch: u8::from(s.row.by_name()),
        ..Flow::EMPTY
    };
    recent::keep_flow(s);
}

/// Whether a flow has the key that fragments have, which tell no ports (N01):
/// nothing that is kept under it may speak for them.
#[inline(always)]
pub(crate) fn is_portless(key: &FlowKey) -> bool {
    key.client_port | key.server_port == 0
}
