//! `wan_ingress`: drops what comes from addresses that no group may reach,
//! before the router spends anything on it.

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use filter_ebpf::{
    abi::{Reason, Verdict},
    frame::{Meta, MetaFlags, Parsed, View, parse},
};

use super::{
    finish::count,
    ingress::{linear_len, whole_len},
    lookup,
    maps::config,
};

/// Frames from the Internet.
#[xdp(frags)]
pub(crate) fn wan_ingress(ctx: XdpContext) -> u32 {
    let denied = config!(denied_by_all);
    if denied == 0 {
        return xdp_action::XDP_PASS;
    }
    // SAFETY: the context's own bounds.
    let view = unsafe { View::new(ctx.data() as u64, ctx.data_end() as u64) };
    let mut meta = Meta::default();
    if parse(&view, linear_len(&ctx), || whole_len(&ctx), &mut meta) != Parsed::Ip {
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
        meta.frame_len,
    );
    xdp_action::XDP_DROP
}
