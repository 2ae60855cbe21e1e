//! `reply` and `reply_quic`: tell the client at once that nothing will come, in
//! the refused packet's own frame.

use aya_ebpf::{
    EbpfContext as _,
    bindings::xdp_action,
    helpers::generated::{
        bpf_csum_diff, bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len,
        bpf_xdp_load_bytes, bpf_xdp_store_bytes,
    },
    macros::xdp,
    programs::XdpContext,
};
use filter_ebpf::{
    abi::{Protocol, Reason, Tail},
    bpf::between_one_and,
    frame::{MetaFlags, tcp_flags},
    inspect::{
        Chunk,
        dns::{self, qtype},
        quic::{Kind, V1},
    },
    reply::{
        self, PAGE_MAX,
        dns::{Answer, answer},
        quic::{HEAD, RESERVED_VERSION, Refusal},
    },
};

use super::{
    finish::{jump, scratch},
    maps::{DNS_HELLO, PAGE, QUIC_HELLOS, QUIC_REFUSAL, SAFE_ADDRESSES},
    quic::may_seal,
    scratch::{EMPTY, REPLY, SAFE, Scratch},
};

#[xdp(frags)]
pub(crate) fn reply(ctx: XdpContext) -> u32 {
    let Some(s) = scratch() else {
        return xdp_action::XDP_DROP;
    };
    if is_long_header(&ctx, s) {
        return jump(&ctx, Tail::ReplyQuic);
    }
    let mut len = build(&ctx, s);
    // A page may find no room; a reset always does.
    let mut tries = 0;
    while tries < 2 {
        let Some(bytes) = len else { break };
        if send(&ctx, s, bytes).is_some() {
            return xdp_action::XDP_TX;
        }
        if s.meta.key.protocol != 6 {
            break;
        }
        len = reply::reset(&s.meta, &mut s.reply, sum);
        tries += 1;
    }
    xdp_action::XDP_DROP
}

/// Whether a refused datagram may be one of QUIC's before its handshake.
#[inline(always)]
fn is_long_header(ctx: &XdpContext, s: &Scratch) -> bool {
    if s.meta.key.protocol != 17 || s.answer != 0 || s.meta.flags & MetaFlags::FRAGMENT != 0 {
        return false;
    }
    let mut first = 0_u8;
    // SAFETY: one byte, which `first` holds; false past the packet's end.
    let loaded = unsafe {
        bpf_xdp_load_bytes(
            ctx.as_ptr().cast(),
            s.meta.payload,
            (&raw mut first).cast(),
            1,
        )
    };
    loaded == 0 && s.meta.payload_len > 0 && first & 0x80 != 0
}

#[xdp(frags)]
pub(crate) fn reply_quic(ctx: XdpContext) -> u32 {
    let (Some(s), Some(refusal)) = (scratch(), refusal()) else {
        return xdp_action::XDP_DROP;
    };
    let told = match head(&ctx, s, refusal) {
        Some(len) => quic_answer(u64::from(len)),
        None => NOTHING,
    };
    let len = if told == CLOSE {
        return jump(&ctx, Tail::SealQuic);
    } else if told == NOTHING {
        icmp(&ctx, s)
    } else {
        refusal.negotiate(told as u32);
        reply::quic::datagram(&s.meta, refusal, &mut s.reply, sum)
    };
    transmit(&ctx, s, len)
}

/// Behind `reply_quic`, by itself: what the cipher leaves on the stack is
/// much.
#[xdp(frags)]
pub(crate) fn seal_quic(ctx: XdpContext) -> u32 {
    let (Some(s), Some(refusal)) = (scratch(), refusal()) else {
        return xdp_action::XDP_DROP;
    };
    refusal.close();
    let len = reply::quic::datagram(&s.meta, refusal, &mut s.reply, sum);
    transmit(&ctx, s, len)
}

#[inline(always)]
fn refusal() -> Option<&'static mut Refusal> {
    // SAFETY: one per CPU; see `Scratch`.
    QUIC_REFUSAL
        .get_ptr_mut(0)
        .map(|refusal| unsafe { &mut *refusal })
}

#[inline(always)]
fn transmit(ctx: &XdpContext, s: &mut Scratch, len: Option<u32>) -> u32 {
    match len {
        Some(len) if send(ctx, s, len).is_some() => xdp_action::XDP_TX,
        _ => xdp_action::XDP_DROP,
    }
}

/// What a refused client is told in place of the one version that is spoken:
/// nothing that QUIC understands, or that the connection is closed.
const NOTHING: u64 = 0;
const CLOSE: u64 = 1 << 32;

/// Shortest datagram that a server negotiates about, or tunnels and games
/// would be answered too (RFC 9000 §6.1, §14.1).
const NEGOTIABLE: u32 = 1200;

/// Reads the datagram's first bytes; how many.
#[inline(always)]
fn head(ctx: &XdpContext, s: &Scratch, refusal: &mut Refusal) -> Option<u32> {
    let len = if s.meta.payload_len > HEAD as u32 {
        HEAD as u32
    } else {
        s.meta.payload_len
    };
    let len = between_one_and::<{ HEAD as u32 }>(len);
    // SAFETY: `len` is at most HEAD, which the buffer holds.
    let loaded = unsafe {
        bpf_xdp_load_bytes(
            ctx.as_ptr().cast(),
            s.meta.payload,
            refusal.head.as_mut_ptr().cast(),
            len,
        )
    };
    (loaded == 0).then_some(len)
}

/// Another version to a client that nobody has answered yet, else [`CLOSE`];
/// [`NOTHING`] where it would not understand either. A global function to BPF,
/// see `conclude::decide_flow`; 6.1 takes no key of a map from its arguments.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn quic_answer(len: u64) -> u64 {
    let (Some(s), Some(refusal)) = (scratch(), refusal()) else {
        return NOTHING;
    };
    match refusal.read(len as u32) {
        Some(Kind::UnknownVersion) if s.meta.payload_len >= NEGOTIABLE => u64::from(V1),
        Some(Kind::Initial | Kind::Early) => {
            let sealed =
                s.reason != Reason::QuicBudget as u8 && is_heard(s, refusal) && may_seal(s);
            if sealed {
                CLOSE
            } else {
                u64::from(RESERVED_VERSION)
            }
        }
        _ => NOTHING,
    }
}

/// Whether the client may have heard from the server, and so would ignore a
/// negotiation: its datagrams have another ID than the first one had, or it
/// comes again where it was answered. The refusal learns of the first ID.
#[inline(always)]
fn is_heard(s: &Scratch, refusal: &mut Refusal) -> bool {
    let Some(hello) = QUIC_HELLOS.get_ptr_mut(&s.meta.key) else {
        return false;
    };
    // SAFETY: the value stays a QuicHello as long as the program runs.
    let hello = unsafe { &*hello };
    if hello.version == 0 {
        return false;
    }
    refusal.known(&hello.dcid, hello.dcid_len) || s.gathered == 0
}

/// Longest run of bytes before the IP header: Ethernet, two tags, PPPoE.
const LINK: usize = 32;

/// Brings the frame to `want` bytes. `link` receives what stands before the
/// IP header.
#[inline(always)]
fn resize(ctx: &XdpContext, l3: u32, want: u32, link: &mut [u8; LINK]) -> Option<()> {
    let raw = ctx.as_ptr().cast();
    let l3 = between_one_and::<{ LINK as u32 }>(l3);
    // SAFETY: the context is the program's own; no view of the packet is
    // used past here; `l3` is at most LINK.
    unsafe {
        if bpf_xdp_load_bytes(raw, 0, link.as_mut_ptr().cast(), l3) != 0 {
            return None;
        }
        let have = bpf_xdp_get_buff_len(raw) as u32;
        let more = want.wrapping_sub(have) as i32;
        if bpf_xdp_adjust_tail(raw, more) == 0 {
            return Some(());
        }
        // Behind a frame there may be no room; in front of it drivers leave
        // some (XDP_PACKET_HEADROOM).
        if more <= 0 || bpf_xdp_adjust_head(raw, more.wrapping_neg()) != 0 {
            return None;
        }
    }
    Some(())
}

/// Writes the reply from the IP header on into `s.reply`; its length.
#[inline(always)]
fn build(ctx: &XdpContext, s: &mut Scratch) -> Option<u32> {
    if s.meta.flags & MetaFlags::FRAGMENT != 0 {
        return None;
    }
    if s.answer != 0 {
        let len = dns_reply(s);
        return (len != 0).then_some(len as u32);
    }
    match s.meta.key.protocol {
        6 => tcp(s),
        1 | 58 if s.meta.flags & MetaFlags::IPV6 == 0 && s.meta.icmp_type != 8 => None,
        1 | 58 if s.meta.flags & MetaFlags::IPV6 != 0 && s.meta.icmp_type < 128 => None,
        _ => icmp(ctx, s),
    }
}

#[inline(always)]
fn tcp(s: &mut Scratch) -> Option<u32> {
    let http = s.protocol == Protocol::Http as u8;
    let ending = s.meta.tcp & (tcp_flags::SYN | tcp_flags::FIN) != 0;
    if s.meta.tcp & tcp_flags::RST != 0 {
        return None;
    }
    if http && s.meta.payload_len == 0 && !ending {
        // The client acknowledges the page: a reset now could cost it.
        return None;
    }
    if http && s.meta.payload_len > 0 {
        let page = PAGE.get(0)?;
        let len = u32::from_ne_bytes([page[0], page[1], page[2], page[3]]);
        if len > 0 && len <= PAGE_MAX {
            return reply::page(&s.meta, page, len, &mut s.reply, sum);
        }
    }
    reply::reset(&s.meta, &mut s.reply, sum)
}

/// Answers the query that `judge_dns` refused: bytes of the reply, 0 for none.
/// A global function to BPF, see `conclude::decide_flow`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn dns_reply(s: *mut Scratch) -> u64 {
    // SAFETY: the caller passes its own scratch, which nobody else has.
    match unsafe { s.as_mut() } {
        Some(s) => u64::from(dns(s).unwrap_or(0)),
        None => 0,
    }
}

#[inline(always)]
fn dns(s: &mut Scratch) -> Option<u32> {
    let hello = DNS_HELLO.get_ptr_mut(0)?;
    // SAFETY: one per CPU; see `Scratch`.
    let query = dns::query(unsafe { &mut *hello });
    let safe = SAFE_ADDRESSES.get(u32::from(s.provider))?;
    let told = match s.answer {
        EMPTY => Answer::Empty,
        SAFE if s.query_kind == qtype::AAAA => Answer::V6,
        SAFE => Answer::V4,
        _ => Answer::NxDomain,
    };
    let chunk = Chunk::new(&s.chunk, s.piece);
    answer(&s.meta, &chunk, &query, told, safe, &mut s.reply, sum)
}

#[inline(always)]
fn icmp(ctx: &XdpContext, s: &mut Scratch) -> Option<u32> {
    // The offending packet's header and the first eight bytes of its payload
    // (RFC 792); more is allowed and not needed.
    let at = reply::quote_at(&s.meta);
    let len = reply::quote_len(&s.meta);
    // SAFETY: the quote lies inside `reply` by the bounds of the two
    // functions above, as the verifier checks.
    let loaded = unsafe {
        bpf_xdp_load_bytes(
            ctx.as_ptr().cast(),
            s.meta.l3,
            s.reply.as_mut_ptr().add(at as usize).cast(),
            len,
        )
    };
    if loaded != 0 {
        return None;
    }
    reply::prohibited(&s.meta, &mut s.reply, sum)
}

/// One's complement sum of the first `len` bytes, a multiple of four.
#[inline(always)]
fn sum(bytes: &[u8], len: u32, seed: u32) -> u32 {
    // SAFETY: callers pass slices of `reply` that hold `len` bytes.
    unsafe {
        bpf_csum_diff(
            core::ptr::null_mut(),
            0,
            bytes.as_ptr().cast_mut().cast(),
            len,
            seed,
        ) as u32
    }
}

/// Puts `s.reply` behind the Ethernet header, turned round.
#[inline(always)]
fn send(ctx: &XdpContext, s: &mut Scratch, len: u32) -> Option<()> {
    if len == 0 || len > REPLY as u32 {
        return None;
    }
    let raw = ctx.as_ptr().cast();
    let mut link = [0u8; LINK];
    resize(ctx, s.meta.l3, s.meta.l3.wrapping_add(len), &mut link)?;
    let mut i = 0;
    while i < 6 {
        let mac = link[i];
        link[i] = link[i + 6];
        link[i + 6] = mac;
        i += 1;
    }
    // SAFETY: the context is the program's own; no view of the packet is
    // used past here.
    unsafe {
        let l3 = between_one_and::<{ LINK as u32 }>(s.meta.l3);
        bpf_xdp_store_bytes(raw, 0, link.as_mut_ptr().cast(), l3);
        if s.meta.flags & MetaFlags::PPPOE != 0 {
            // RFC 2516 §4: the length counts the PPP protocol field.
            let length = (len as u16).wrapping_add(2).to_be_bytes();
            bpf_xdp_store_bytes(
                raw,
                s.meta.l3.wrapping_sub(4),
                length.as_ptr().cast_mut().cast(),
                2,
            );
        }
        let len = between_one_and::<{ REPLY as u32 }>(len);
        if bpf_xdp_store_bytes(raw, s.meta.l3, s.reply.as_mut_ptr().cast(), len) != 0 {
            return None;
        }
    }
    Some(())
}
