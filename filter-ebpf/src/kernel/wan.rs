//! `wan_ingress`: drops what comes from addresses that no group may reach,
//! before the router spends anything on it.

use aya_ebpf::{
    EbpfContext as _, bindings::xdp_action, helpers::generated::bpf_xdp_get_buff_len, macros::xdp,
    programs::XdpContext,
};
use filter_ebpf::{
    abi::{Reason, Verdict},
    frame::{Meta, MetaFlags, Parsed, View, parse},
};

use super::{finish::count, lookup, maps::config};

/// Frames from the Internet.
#[xdp(frags)]
pub(crate) fn wan_ingress(ctx: XdpContext) -> u32 {
    let denied = config!(denied_by_all);
    if denied == 0 {
        return xdp_action::XDP_PASS;
    }
    // SAFETY: the context's own bounds.
    let view = unsafe { View::new(ctx.data() as u64, ctx.data_end() as u64) };
    // SAFETY: the context is the program's own.
    let frame_len = unsafe { bpf_xdp_get_buff_len(ctx.as_ptr().cast()) } as u32;
    let mut meta = Meta::default();
    if parse(&view, frame_len, &mut meta) != Parsed::Ip {
        return xdp_action::XDP_PASS;
    }
    let mask = lookup::address(&meta.key.client, meta.flags & MetaFlags::IPV6 != 0);
    if mask & denied == 0 {
        return xdp_action::XDP_PASS;
    }
    count(
        config!(rooms),
        Verdict::Drop,
        Reason::RangeDenied,
        frame_len,
    );
    xdp_action::XDP_DROP
}
