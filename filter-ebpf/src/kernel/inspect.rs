//! `inspect` and `inspect_http`: feed a TCP payload to its inspector.

use aya_ebpf::{
    EbpfContext as _, bindings::xdp_action, helpers::generated::bpf_xdp_load_bytes, macros::xdp,
    programs::XdpContext,
};
use filter_ebpf::{
    abi::{
        CONTENT, CONTENT_SLOTS, CONTENT_STEP, Content, FlowFlags, Hello, Protocol, Reason, Tail,
        Verdict,
    },
    bpf::{between_one_and, opaque, touch},
    frame::{is_tcp_tunnel, tcp_flags},
    inspect::{Chunk, Finding, Progress, http, plain, sniff, tls},
    judge::NO_CATEGORY,
};

use super::{
    finish::{finish, jump, scratch},
    maps::{CONTENTS, TICKET, config},
    recent,
    scratch::{AGAIN_HELLO, Scratch},
    stream,
};

#[xdp(frags)]
pub(crate) fn inspect(ctx: XdpContext) -> u32 {
    let Some(s) = scratch() else {
        return xdp_action::XDP_DROP;
    };
    match take(&ctx, s) {
        Taken::Feed(hello) => match Protocol::from_u8(hello.protocol) {
            Protocol::Tls => {
                let told = s.again == AGAIN_HELLO && tls::told(hello).is_some();
                s.repeated = u8::from(told);
                let progress = feed(s, hello, tls::feed);
                after(&ctx, s, hello, progress, Tail::Inspect)
            }
            // HTTP, and SOCKS as `sniff` calls it.
            Protocol::Http | Protocol::Tcp => jump(&ctx, Tail::InspectHttp),
            Protocol::Dns => jump(&ctx, Tail::DnsStream),
            _ => unknown(&ctx, s, hello),
        },
        Taken::Finish => finish(&ctx, s),
        Taken::Jump(tail) => jump(&ctx, tail),
    }
}

/// A stream that names no host; OpenVPN's is told by three bytes, the first of
/// them zero, in however many segments they come (N06).
#[inline(always)]
fn unknown(ctx: &XdpContext, s: &mut Scratch, hello: &mut Hello) -> u32 {
    hello.consumed = hello.consumed.wrapping_add(s.piece);
    s.failed = Reason::UnknownProtocol as u8;
    // It may stand behind a body.
    s.body_end = 0;
    s.body_chunked = 0;
    if let Some(content) = content(hello.content) {
        let first = [content.bytes[0], content.bytes[1], content.bytes[2]];
        if hello.consumed < 3 && first[0] == 0 {
            s.set(Verdict::Pass, Reason::HelloPending);
            return finish(ctx, s);
        }
        if is_tcp_tunnel(first, hello.consumed) {
            s.failed = Reason::Tunnel as u8;
        }
    }
    jump(ctx, Tail::Conclude)
}

#[xdp(frags)]
pub(crate) fn inspect_http(ctx: XdpContext) -> u32 {
    let Some(s) = scratch() else {
        return xdp_action::XDP_DROP;
    };
    let Some(hello) = recent::hello(s) else {
        s.set(Verdict::Drop, Reason::Internal);
        return finish(&ctx, s);
    };
    let progress = feed(s, hello, plain::feed);
    after(&ctx, s, hello, progress, Tail::Inspect)
}

enum Taken {
    /// The next bytes of the stream lie in the chunk and in the content.
    Feed(&'static mut Hello),
    Finish,
    Jump(Tail),
}

/// Finds the hello and takes the next piece of the payload, if it is the
/// stream's next piece.
#[inline(always)]
fn take(ctx: &XdpContext, s: &mut Scratch) -> Taken {
    s.protocol = Protocol::Tcp as u8;
    let Some(hello) = hello(s) else {
        return Taken::Finish;
    };
    let syn = u32::from(s.meta.tcp & tcp_flags::SYN != 0);
    let offset = s
        .meta
        .seq
        .wrapping_add(syn)
        .wrapping_add(s.skip)
        .wrapping_sub(hello.base_seq);
    if offset != hello.consumed {
        if offset < hello.consumed {
            return Taken::Jump(Tail::Resend);
        }
        // A keep-alive may carry a byte that the server has (RFC 1122
        // §4.2.3.6); nothing before the stream's first byte is read.
        let end = offset.wrapping_add(s.meta.payload_len).wrapping_sub(s.skip);
        if end == 0 || end >= 1 << 31 {
            if s.again != AGAIN_HELLO && hello.confirmed != 0 {
                s.set(Verdict::Pass, Reason::Handshake);
                return Taken::Finish;
            }
            return Taken::Jump(Tail::Resend);
        }
        // T03: TCP sends it again when its turn has come.
        s.set(Verdict::Drop, Reason::OutOfOrder);
        return Taken::Finish;
    }
    // Queries go on as long as the connection: past what is kept of them
    // nothing that is sent again could be compared, and clients connect anew
    // (RFC 7766 §6.2.4).
    let cap = if s.meta.key.server_port == 53 {
        CONTENT as u32
    } else {
        config!(hello_cap)
    };
    if hello.consumed >= cap {
        // Behind a complete hello nothing more is looked for.
        if hello.protocol == Protocol::Tls as u8
            && let Some(flags) = tls::told(hello)
        {
            s.protocol = hello.protocol;
            s.flow_flags = flags;
            return Taken::Jump(Tail::Conclude);
        }
        s.failed = Reason::HelloTooLong as u8;
        return Taken::Jump(Tail::Conclude);
    }
    if !load(ctx, s, hello) {
        s.set(Verdict::Drop, Reason::Truncated);
        return Taken::Finish;
    }
    if hello.consumed == 0 && hello.protocol == Protocol::Other as u8 {
        // On the port of resolvers nothing but DNS is spoken: a message's
        // length may begin with any byte.
        hello.protocol = match sniff(s.chunk[0]) {
            _ if s.meta.key.server_port == 53 => Protocol::Dns as u8,
            Some(protocol) => protocol as u8,
            None => Protocol::Other as u8,
        };
    }
    Taken::Feed(hello)
}

/// The hello in progress of this flow, or a new one; `None` with the outcome
/// in `s` where its start is not known. A hello that was forgotten in the
/// middle, because others pushed it out, must not seem to begin there (T23).
#[inline(always)]
fn hello(s: &mut Scratch) -> Option<&'static mut Hello> {
    if let Some(hello) = recent::find_hello(s) {
        return Some(hello);
    }
    let syn = u32::from(s.meta.tcp & tcp_flags::SYN != 0);
    let first = s.meta.seq.wrapping_add(syn).wrapping_add(s.skip);
    if s.again != AGAIN_HELLO && stream::is_over(s.hash, syn) {
        if syn != 0 {
            s.set(Verdict::Drop, Reason::OutOfOrder);
        } else {
            let opinion = s.row.deny(Reason::Midstream, NO_CATEGORY);
            s.set_opinion(opinion);
        }
        return None;
    }
    s.hello = Hello::EMPTY;
    s.hello.generation = config!(generation);
    s.hello.content = ticket();
    s.hello.base_seq = first;
    if s.again == AGAIN_HELLO {
        s.hello.confirmed = 1;
        if s.chunked != 0 {
            http::resume(&mut s.hello);
        }
    } else if let Some(start) = stream::start(s.hash) {
        s.hello.base_seq = start;
        s.hello.confirmed = 1;
    } else if syn == 0 && config!(unseen_start) == 0 {
        let opinion = s.row.deny(Reason::Midstream, NO_CATEGORY);
        s.set_opinion(opinion);
        return None;
    } else {
        s.hello.in_syn = syn as u8;
    }
    let hello = recent::keep_hello(s);
    if hello.is_none() {
        s.set(Verdict::Drop, Reason::Internal);
    }
    hello
}

/// Brings the next slot of contents into the cache.
#[inline(always)]
pub(crate) fn expect_content() {
    if let Some(next) = TICKET.get(0)
        && let Some(slot) = CONTENTS.get((*next as u32).wrapping_add(1) % CONTENT_SLOTS)
    {
        touch(slot);
    }
}

/// A new ticket, and its slot emptied.
#[inline(always)]
fn ticket() -> u64 {
    let Some(next) = TICKET.get_ptr_mut(0) else {
        return 0;
    };
    let mut ticket = 1u64;
    // SAFETY: the map's one u64, aligned. Rust offers no atomics for BPF
    // targets; this is BPF_ATOMIC | BPF_FETCH | BPF_ADD (kernel 5.12).
    unsafe {
        core::arch::asm!(
            "{0} = atomic_fetch_add((u64 *)({1} + 0), {0})",
            inout(reg) ticket,
            in(reg) next,
        );
    }
    ticket += 1;
    if let Some(slot) = CONTENTS.get_ptr_mut(ticket as u32 % CONTENT_SLOTS) {
        // SAFETY: the slot is ours from now on.
        unsafe { (*slot).ticket = ticket };
    }
    ticket
}

/// A stream's content, unless a later stream took its slot.
#[inline(always)]
pub(crate) fn content(ticket: u64) -> Option<&'static mut Content> {
    let slot = CONTENTS.get_ptr_mut(ticket as u32 % CONTENT_SLOTS)?;
    // SAFETY: the value stays a Content; who owns it is compared first.
    let slot = unsafe { &mut *slot };
    (slot.ticket == ticket).then_some(slot)
}

/// Copies the next piece of payload into the chunk and, as far as it is
/// kept, into the content. `false`: the frame does not hold it.
#[inline(always)]
fn load(ctx: &XdpContext, s: &mut Scratch, hello: &Hello) -> bool {
    let Some(len) = piece(ctx, s) else {
        return false;
    };
    let at = hello.consumed;
    if at < CONTENT as u32
        && let Some(content) = content(hello.content)
    {
        let at = opaque(u64::from(at)) as usize & (CONTENT - 1);
        // SAFETY: `at` lies below CONTENT and `len` is at most CONTENT_STEP,
        // which the buffer holds past CONTENT.
        unsafe {
            bpf_xdp_load_bytes(
                ctx.as_ptr().cast(),
                s.meta.payload.wrapping_add(s.skip),
                content.bytes.as_mut_ptr().add(at).cast(),
                between_one_and::<{ CONTENT_STEP as u32 }>(len),
            );
        }
    }
    true
}

/// Copies up to [`CONTENT_STEP`] bytes of payload from `s.skip` on into the
/// chunk; says how many.
#[inline(always)]
pub(crate) fn piece(ctx: &XdpContext, s: &mut Scratch) -> Option<u32> {
    let left = s.meta.payload_len.wrapping_sub(s.skip);
    if left == 0 {
        return None;
    }
    let len = if left > CONTENT_STEP as u32 {
        CONTENT_STEP as u32
    } else {
        left
    };
    let len = between_one_and::<{ CONTENT_STEP as u32 }>(len);
    // SAFETY: `len` is at most CONTENT_STEP, less than the chunk's size.
    let result = unsafe {
        bpf_xdp_load_bytes(
            ctx.as_ptr().cast(),
            s.meta.payload.wrapping_add(s.skip),
            s.chunk.as_mut_ptr().cast(),
            len,
        )
    };
    if result != 0 {
        return None;
    }
    s.piece = len;
    Some(len)
}

/// Steps an inspector over the chunk.
#[inline(always)]
fn feed(
    s: &mut Scratch,
    hello: &mut Hello,
    inspector: impl FnOnce(&mut Hello, &Chunk<'_>) -> Progress,
) -> Progress {
    let chunk = Chunk::new(&s.chunk, s.piece);
    inspector(hello, &chunk)
}

/// What follows from an inspector's word.
#[inline(always)]
fn after(
    ctx: &XdpContext,
    s: &mut Scratch,
    hello: &mut Hello,
    progress: Progress,
    again: Tail,
) -> u32 {
    hello.consumed = hello.consumed.wrapping_add(s.piece);
    s.skip = s.skip.wrapping_add(s.piece);
    s.protocol = hello.protocol;
    s.body_end = 0;
    s.body_chunked = 0;
    if hello.protocol == Protocol::Http as u8
        && let Some((body, chunked)) = http::ahead(hello)
    {
        s.body_end = s.skip.wrapping_add(body);
        s.body_chunked = u8::from(chunked);
    }
    match progress {
        Progress::More => {
            if s.skip < s.meta.payload_len {
                return jump(ctx, again);
            }
            s.set(Verdict::Pass, Reason::HelloPending);
            finish(ctx, s)
        }
        // Another HTTP head behind this one must not name another host.
        Progress::Done(finding) if finding.unfinished != 0 && s.skip < s.meta.payload_len => {
            jump(ctx, again)
        }
        Progress::Done(finding) => {
            s.flow_flags = finding.flags;
            s.inside_head = u8::from(finding.unfinished == Finding::INSIDE_HEAD);
            jump(ctx, Tail::Conclude)
        }
        Progress::Failed(reason) => {
            s.failed = reason as u8;
            s.flow_flags = if reason as u8 == Reason::UnknownProtocol as u8 {
                FlowFlags::UNDECODABLE
            } else {
                0
            };
            jump(ctx, Tail::Conclude)
        }
    }
}
