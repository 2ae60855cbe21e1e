//! Every map and constant of the programs. `docs/DESIGN.md` lists them.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{
        Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, ProgramArray, RingBuf, lpm_trie::Key,
    },
    macros::btf_map,
};
use filter_ebpf::{
    abi::{
        Access, CONTENT_SLOTS, Config, Content, Count, Event, EventBudget, Flow, FlowKey, Group,
        Hello, MAX_CATEGORIES, MAX_GROUPS, MAX_LINKS, MAX_PROVIDERS, Override, OverrideHeader,
        OverrideKey, Room, SafeAddress, Secret, Tail, Trace,
    },
    inspect::{
        dns,
        quic::{self, QuicHello},
    },
    reply::quic::Refusal,
    tables::Line,
};

use super::{
    quic::Budget,
    recent::{Entry, FLOW_SETS, HELLO_SETS},
    scratch::Scratch,
};

pub(crate) const MMAPABLE: usize = BPF_F_MMAPABLE as usize;

/// The image's constants. The loader writes them before the verifier reads
/// them, so branches that a policy does not need vanish.
#[unsafe(no_mangle)]
pub(crate) static CONFIG: Config = Config::EMPTY;

/// Reads one field of [`CONFIG`]: volatile, since LLVM knows only the zeros.
macro_rules! config {
    ($($field:tt)+) => {
        // SAFETY: a field of a static that outlives the program.
        unsafe { core::ptr::read_volatile(&raw const $crate::kernel::maps::CONFIG.$($field)+) }
    };
}
pub(crate) use config;

/// Arrays of the image. Entries beside 1 are set by the loader.
#[btf_map]
pub(crate) static GROUPS: Array<Group, MAX_GROUPS> = Array::new();
#[btf_map]
pub(crate) static ROOMS: Array<Room, 1> = Array::new();
#[btf_map]
pub(crate) static ROOM_OF: Array<u32, { MAX_LINKS * 4096 }, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static ROOM_OF_QINQ: HashMap<u32, u32, 1> = HashMap::new();
#[btf_map]
pub(crate) static ACCESS: Array<Access, 1> = Array::new();
/// The compiled tables, `tables::Table` by name.
#[btf_map]
pub(crate) static SETS: Array<Line, 1, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static NAMES: Array<Line, 1, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static RANGES4_ROOT: Array<Line, 1, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static RANGES4: Array<Line, 1, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static RANGES4_KINDS: Array<Line, 1, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static RANGES6_TREE: Array<Line, 1, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static RANGES6_VALUES: Array<Line, 1, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static RANGES6_LOWER: Array<Line, 1, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static COUNTERS: PerCpuArray<Count, 1> = PerCpuArray::new();
#[btf_map]
pub(crate) static CATEGORY_COUNTERS: PerCpuArray<Count, { MAX_CATEGORIES * 3 }> =
    PerCpuArray::new();
#[btf_map]
pub(crate) static TAIL: ProgramArray<{ Tail::SLOTS }> = ProgramArray::new();
#[btf_map]
pub(crate) static SCRATCH: PerCpuArray<Scratch, 1> = PerCpuArray::new();
/// The egress hook may run while an ingress program waits on the same core.
#[btf_map]
pub(crate) static EGRESS_SCRATCH: PerCpuArray<Scratch, 1> = PerCpuArray::new();
#[btf_map]
pub(crate) static TRACE: Array<Trace, 1> = Array::new();
/// The 403 page: length in the first four bytes, then the whole response.
#[btf_map]
pub(crate) static PAGE: Array<[u8; 1028], 1> = Array::new();

/// A QUIC hello of which no byte was seen: too large for the stack.
#[btf_map]
pub(crate) static QUIC_EMPTY: Array<QuicHello, 1> = Array::new();
#[btf_map]
pub(crate) static QUIC_SCRATCH: PerCpuArray<quic::Scratch, 1> = PerCpuArray::new();
/// What this core did in the present second; see `quic`.
#[btf_map]
pub(crate) static QUIC_BUDGET: PerCpuArray<Budget, 1> = PerCpuArray::new();
/// The answer to a refused datagram.
#[btf_map]
pub(crate) static QUIC_REFUSAL: PerCpuArray<Refusal, 1> = PerCpuArray::new();

/// The query that this core is reading.
#[btf_map]
pub(crate) static DNS_HELLO: PerCpuArray<Hello, 1> = PerCpuArray::new();
/// Long names asked for of late, by room; see `inspect::dns::Bucket`.
#[btf_map]
pub(crate) static DNS_LONG: LruHashMap<u32, dns::Bucket, 4_096> = LruHashMap::new();

/// Hashes of search engines' names, each with its provider.
#[btf_map]
pub(crate) static SAFE_NAMES: HashMap<u64, u32, 1> = HashMap::new();
#[btf_map]
pub(crate) static SAFE_ADDRESSES: Array<SafeAddress, MAX_PROVIDERS> = Array::new();

/// Shared by all images.
#[btf_map]
pub(crate) static FLOW_TAGS: Array<Line, FLOW_SETS, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static FLOWS: Array<Entry<Flow>, { FLOW_SETS * 8 }, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static HELLO_TAGS: Array<Line, HELLO_SETS, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static HELLOS: Array<Entry<Hello>, { HELLO_SETS * 8 }, MMAPABLE> = Array::new();
/// Twice the browsers of a large school that start at one moment; 5 KB each.
#[btf_map]
pub(crate) static QUIC_HELLOS: LruHashMap<FlowKey, QuicHello, 4_096> = LruHashMap::new();
#[btf_map]
pub(crate) static CONTENTS: Array<Content, { CONTENT_SLOTS as usize }> = Array::new();
/// Next ticket for [`CONTENTS`].
#[btf_map]
pub(crate) static TICKET: Array<u64, 1> = Array::new();
/// Where streams start, by a hash of the flow: see `stream`.
#[btf_map]
pub(crate) static STARTS: Array<u64, { super::stream::SLOTS as usize }> = Array::new();
/// Flows about which an event went out lately.
#[btf_map]
pub(crate) static REPORTED: LruHashMap<FlowKey, u64, 8_192> = LruHashMap::new();
/// When this core may report again, and what it could not.
#[btf_map]
pub(crate) static REPORT_BUDGET: PerCpuArray<EventBudget, 1> = PerCpuArray::new();
#[btf_map]
pub(crate) static OVERRIDE_HEADER: Array<OverrideHeader, 1> = Array::new();
#[btf_map]
pub(crate) static OVERRIDE_NAMES: HashMap<OverrideKey, Override, 65_536> = HashMap::new();
#[btf_map]
pub(crate) static OVERRIDE_RANGES: LpmTrie<[u8; 24], Override, 16_384> = LpmTrie::new();
#[btf_map]
pub(crate) static SECRET: Array<Secret, 1> = Array::new();
#[btf_map]
pub(crate) static EVENTS: RingBuf<Event, { 1 << 20 }> = RingBuf::new();

/// Key of [`OVERRIDE_RANGES`].
pub(crate) type RangeTrieKey = Key<[u8; 24]>;
