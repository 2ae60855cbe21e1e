//! What one packet's programs hand on to each other.

use filter_ebpf::{
    abi::{Event, Flow, Hello, Reason, Verdict},
    frame::Meta,
    inspect::CHUNK_ROOM,
    judge::{Opinion, Row},
    tables::hash::Suffixes,
};

use super::{conclude::Names, flood};

/// Room for a reply: headers and the 403 page.
pub(crate) const REPLY: usize = filter_ebpf::reply::BUFFER;

/// The flow was judged under older rules: judge it again.
pub(crate) const AGAIN_FLOW: u8 = 1;
/// The flow passes, and another hello begins in it.
pub(crate) const AGAIN_HELLO: u8 = 2;

/// The name does not exist.
pub(crate) const NXDOMAIN: u8 = 1;
/// The name has no such record.
pub(crate) const EMPTY: u8 = 2;
/// The provider's safe address.
pub(crate) const SAFE: u8 = 3;

/// One per CPU. Packets of one core never interleave between tail calls:
/// XDP runs in one NAPI poll, test runs with bottom halves off.
#[repr(C)]
pub(crate) struct Scratch {
    pub(crate) meta: Meta,
    pub(crate) now: u64,
    /// The kernel's tick at which `now` was read.
    pub(crate) tick: u64,
    /// Until when a verdict of this packet holds.
    pub(crate) valid_until: u64,
    /// Categories of the destination's address.
    pub(crate) range_mask: u64,
    pub(crate) row: Row,
    /// Hash of the connection; see `recent`.
    pub(crate) hash: u64,
    /// Places of its flow and of its hello, from 1 on; 0: none.
    pub(crate) flow_at: u32,
    pub(crate) hello_at: u32,
    pub(crate) epoch: u32,
    pub(crate) room: u32,
    pub(crate) group: u32,
    /// Bytes of the payload that were consumed already.
    pub(crate) skip: u32,
    /// Outcome so far; see `opinion` and `set_opinion`.
    pub(crate) verdict: u8,
    pub(crate) reason: u8,
    pub(crate) category: u8,
    /// `abi::Protocol` of what was found.
    pub(crate) protocol: u8,
    /// What is known of the flow: 0 nothing, [`AGAIN_FLOW`] or
    /// [`AGAIN_HELLO`].
    pub(crate) again: u8,
    /// Why an inspector failed, 0 where it did not.
    pub(crate) failed: u8,
    pub(crate) name_len: u8,
    /// 1: the destination's address was blocked, or granted, just now.
    pub(crate) range_blocked: u8,
    pub(crate) range_granted: u8,
    /// `FlowFlags` that the inspector found.
    pub(crate) flow_flags: u8,
    /// 1: behind the judged HTTP head another one has begun.
    pub(crate) inside_head: u8,
    /// 1: what is looked at lies behind a chunk of a body.
    pub(crate) chunked: u8,
    /// 1: the name was told by an earlier packet.
    pub(crate) repeated: u8,
    /// 1: the QUIC gatherer looked for the keys that this datagram reads under.
    pub(crate) gathered: u8,
    /// What a refused DNS query is told: 0 nothing, [`NXDOMAIN`], [`EMPTY`]
    /// or [`SAFE`].
    pub(crate) answer: u8,
    /// Whose address [`SAFE`] means.
    pub(crate) provider: u8,
    /// 1: it was not asked yet whether there is a flow.
    pub(crate) unasked: u8,
    /// 1: `range_mask` is the destination's.
    pub(crate) ranged: u8,
    /// Type of record that the DNS query asks for.
    pub(crate) query_kind: u16,
    /// Where the present HTTP body ends, from the payload's first byte on, and
    /// 1 where another chunk may follow; 0: outside of bodies.
    pub(crate) body_end: u32,
    pub(crate) body_chunked: u8,
    /// Messages of this segment that `judge_dns` judged.
    pub(crate) messages: u32,
    /// Bytes in the chunk.
    pub(crate) piece: u32,
    /// What an event is about, for its flow; see `report`.
    pub(crate) told: u64,
    /// See `flood`.
    pub(crate) refused: flood::Answers,
    pub(crate) suffixes: Suffixes,
    pub(crate) names: Names,
    pub(crate) name: [u8; 256],
    pub(crate) flow: Flow,
    pub(crate) hello: Hello,
    pub(crate) event: Event,
    pub(crate) chunk: [u8; CHUNK_ROOM],
    pub(crate) reply: [u8; REPLY],
}

impl Scratch {
    #[inline(always)]
    pub(crate) fn set_opinion(&mut self, opinion: Opinion) {
        self.verdict = opinion.verdict as u8;
        self.reason = opinion.reason as u8;
        self.category = opinion.category;
    }

    #[inline(always)]
    pub(crate) fn verdict(&self) -> Verdict {
        Verdict::from_u8(self.verdict)
    }

    /// An outcome without a category.
    #[inline(always)]
    pub(crate) fn set(&mut self, verdict: Verdict, reason: Reason) {
        self.verdict = verdict as u8;
        self.reason = reason as u8;
        self.category = filter_ebpf::judge::NO_CATEGORY;
    }
}
