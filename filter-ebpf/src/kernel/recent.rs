//! What is kept by connection: judged flows, and hellos in progress. See
//! `tables::recent` for how.
//!
//! Two cores may work on one set. A place is taken with an atomic exchange of
//! its tag, so that only one writes an entry; the entry's guard is 0 as long
//! as key and value do not belong together. What reads an entry that is then
//! taken for another connection does no more than judge one packet of a
//! connection that was just pushed out by another's verdict.

use aya_ebpf::btf_maps::Array;
use filter_ebpf::{
    abi::{Flow, FlowKey, Hello},
    bpf::touch,
    tables::{
        Line,
        recent::{self, WAYS, fingerprint, same},
    },
};

use super::{
    maps::{FLOW_TAGS, FLOWS, HELLO_TAGS, HELLOS, MMAPABLE, SECRET},
    scratch::Scratch,
};

/// Sets of flows: 262,144 flows, 66 MiB. Behind 65,536 newer connections one
/// in a thousand silent ones has been pushed out, behind 262,144 one of two.
pub(crate) const FLOW_SETS: usize = 1 << 15;
/// Sets of hellos in progress: 16,384 hellos, 8 MiB.
pub(crate) const HELLO_SETS: usize = 1 << 11;

/// What is kept of one connection, from a cache line's start on.
#[repr(C, align(64))]
pub(crate) struct Entry<V> {
    /// The fingerprint, or 0 while the entry is written.
    guard: u32,
    key: FlowKey,
    value: V,
}

type Entries<V, const PLACES: usize> = Array<Entry<V>, PLACES, MMAPABLE>;
type Tags<const SETS: usize> = Array<Line, SETS, MMAPABLE>;

/// A connection's hash, for everything that is kept of it.
#[inline(always)]
pub(crate) fn hash(key: &FlowKey) -> u64 {
    let secret = match SECRET.get(0) {
        Some(secret) => [secret.content[0], secret.content[1]],
        None => [0; 2],
    };
    recent::hash(key, secret)
}

/// Brings what a hello of this connection is kept in into the cache: the tags
/// of the hello, and the translations of the pages where it and its flow will
/// be written, each of which holds a whole set.
#[inline(always)]
pub(crate) fn expect_hello(hash: u64) {
    if let Some(tags) = HELLO_TAGS.get(hello_set(hash)) {
        touch(tags);
    }
    if let Some(hello) = HELLOS.get(hello_set(hash) * WAYS) {
        touch(hello);
    }
    if let Some(flow) = FLOWS.get(flow_set(hash) * WAYS) {
        touch(flow);
    }
}

/// The flow of this packet, and its place in `s`.
#[inline(always)]
pub(crate) fn find_flow(s: &mut Scratch) -> Option<&'static mut Flow> {
    seek_flow(s);
    flow(s)
}

/// A global function to BPF, see `conclude::decide_flow`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn seek_flow(s: *mut Scratch) -> u64 {
    // SAFETY: the caller passes its own scratch, which nobody else has.
    if let Some(s) = unsafe { s.as_mut() } {
        note_flow(s);
    }
    0
}

/// Notes the place of this packet's flow in `s`.
#[inline(always)]
pub(crate) fn note_flow(s: &mut Scratch) {
    s.flow_at = find(
        &FLOW_TAGS,
        &FLOWS,
        flow_set(s.hash),
        &s.meta.key,
        s.hash,
        Some(stamp(s.now)),
    );
}

/// The flow whose place is in `s`.
#[inline(always)]
pub(crate) fn flow(s: &Scratch) -> Option<&'static mut Flow> {
    at(&FLOWS, s.flow_at)
}

/// The flow of another packet's connection.
#[inline(always)]
pub(crate) fn flow_of(key: &FlowKey) -> Option<&'static mut Flow> {
    let hash = hash(key);
    at(
        &FLOWS,
        find(&FLOW_TAGS, &FLOWS, flow_set(hash), key, hash, None),
    )
}

/// Keeps `s.flow` for this packet's connection.
#[inline(always)]
pub(crate) fn keep_flow(s: &mut Scratch) {
    write_flow(s);
}

/// A global function, as `seek_flow`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn write_flow(s: *mut Scratch) -> u64 {
    // SAFETY: as above.
    if let Some(s) = unsafe { s.as_mut() } {
        s.flow_at = write(
            &FLOW_TAGS,
            &FLOWS,
            flow_set(s.hash),
            &s.meta.key,
            s.hash,
            stamp(s.now),
            &s.flow,
        );
    }
    0
}

/// Forgets this packet's flow.
#[inline(always)]
pub(crate) fn forget_flow(s: &mut Scratch) {
    free(&FLOW_TAGS, s.flow_at, s.hash);
    s.flow_at = 0;
}

/// The hello in progress of this packet's connection, and its place in `s`.
#[inline(always)]
pub(crate) fn find_hello(s: &mut Scratch) -> Option<&'static mut Hello> {
    seek_hello(s);
    hello(s)
}

/// A global function, as `seek_flow`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn seek_hello(s: *mut Scratch) -> u64 {
    // SAFETY: as above.
    if let Some(s) = unsafe { s.as_mut() } {
        s.hello_at = find(
            &HELLO_TAGS,
            &HELLOS,
            hello_set(s.hash),
            &s.meta.key,
            s.hash,
            None,
        );
    }
    0
}

/// The hello whose place is in `s`.
#[inline(always)]
pub(crate) fn hello(s: &Scratch) -> Option<&'static mut Hello> {
    at(&HELLOS, s.hello_at)
}

/// Keeps `s.hello` for this packet's connection. They go in the order in which
/// they came, as what is kept of their bytes does.
#[inline(always)]
pub(crate) fn keep_hello(s: &mut Scratch) -> Option<&'static mut Hello> {
    s.hello_at = write(
        &HELLO_TAGS,
        &HELLOS,
        hello_set(s.hash),
        &s.meta.key,
        s.hash,
        s.hello.content as u32,
        &s.hello,
    );
    hello(s)
}

/// Forgets this packet's hello.
#[inline(always)]
pub(crate) fn forget_hello(s: &mut Scratch) {
    free(&HELLO_TAGS, s.hello_at, s.hash);
    s.hello_at = 0;
}

/// When a flow's last packet came, in steps of 4 ms.
#[inline(always)]
fn stamp(now: u64) -> u32 {
    (now >> 22) as u32
}

#[inline(always)]
fn flow_set(hash: u64) -> u32 {
    (hash >> 49) as u32 & (FLOW_SETS as u32 - 1)
}

#[inline(always)]
fn hello_set(hash: u64) -> u32 {
    (hash >> 38) as u32 & (HELLO_SETS as u32 - 1)
}

/// The place of a connection's entry, from 1 on; 0 where it has none.
#[inline(always)]
fn find<V, const SETS: usize, const PLACES: usize>(
    tags: &'static Tags<SETS>,
    entries: &'static Entries<V, PLACES>,
    set: u32,
    key: &FlowKey,
    hash: u64,
    stamp: Option<u32>,
) -> u32 {
    let Some(line) = tags.get_ptr_mut(set) else {
        return 0;
    };
    // SAFETY: a line of the map; another core may change words of it, each
    // of them at once.
    let line = unsafe { &mut *line };
    let print = fingerprint(hash);
    let way = recent::find(line, print);
    if way >= WAYS {
        return 0;
    }
    let place = set * WAYS + way;
    let Some(entry) = entries.get_ptr_mut(place) else {
        return 0;
    };
    // SAFETY: as above; the guard comes first.
    if unsafe { (&raw const (*entry).guard).read_volatile() } != print
        || !same(unsafe { &(*entry).key }, key)
    {
        return 0;
    }
    // Not written without need, or cores that share a line would slow each
    // other.
    if let Some(stamp) = stamp
        && line[way as usize & 7] as u32 != stamp
    {
        line[way as usize & 7] = recent::tag(print, stamp);
    }
    place + 1
}

/// The value at a place that `find` or `write` gave.
#[inline(always)]
fn at<V, const PLACES: usize>(
    entries: &'static Entries<V, PLACES>,
    place: u32,
) -> Option<&'static mut V> {
    if place == 0 {
        return None;
    }
    let entry = entries.get_ptr_mut(place - 1)?;
    // SAFETY: the value stays a V as long as the program runs; whose it is,
    // see above.
    Some(unsafe { &mut (*entry).value })
}

/// Writes a connection's entry; its place, or 0 where another core took it.
#[inline(always)]
fn write<V: Copy, const SETS: usize, const PLACES: usize>(
    tags: &'static Tags<SETS>,
    entries: &'static Entries<V, PLACES>,
    set: u32,
    key: &FlowKey,
    hash: u64,
    stamp: u32,
    value: &V,
) -> u32 {
    let Some(line) = tags.get_ptr_mut(set) else {
        return 0;
    };
    // SAFETY: see `find`.
    let line = unsafe { &mut *line };
    let print = fingerprint(hash);
    let way = recent::place(line, hash, stamp);
    let place = set * WAYS + way;
    let Some(entry) = entries.get_ptr_mut(place) else {
        return 0;
    };
    // SAFETY: as above.
    let entry = unsafe { &mut *entry };
    let tag = recent::tag(print, stamp);
    let slot = &mut line[way as usize & 7];
    let old = *slot;
    if (old >> 32) as u32 == print && entry.guard == print && same(&entry.key, key) {
        replace(&mut entry.value, value);
        return place + 1;
    }
    let mut found = old;
    // SAFETY: an aligned word of the map. Rust offers no atomics for BPF
    // targets; this is BPF_ATOMIC | BPF_CMPXCHG (kernel 5.12).
    unsafe {
        core::arch::asm!(
            "r0 = cmpxchg_64({slot} + 0, r0, {tag})",
            slot = in(reg) slot,
            tag = in(reg) tag,
            inout("r0") found,
        );
    }
    if found != old {
        return 0;
    }
    ordered(&mut entry.guard, 0);
    entry.value = *value;
    entry.key = *key;
    ordered(&mut entry.guard, print);
    place + 1
}

/// Puts a value in the place of the same connection's older one. What tells
/// whether a flow is current, its first word, comes last: another core never
/// takes the older verdict for a current one.
#[inline(always)]
fn replace<V: Copy>(old: &mut V, new: &V) {
    const { assert!(align_of::<V>() == 8) };
    let (old, new) = (
        (&raw mut *old).cast::<u64>(),
        (&raw const *new).cast::<u64>(),
    );
    // SAFETY: both are values of 8-byte words.
    unsafe {
        core::ptr::copy_nonoverlapping(new.add(1), old.add(1), size_of::<V>() / 8 - 1);
        ordered(&mut *old, *new);
    }
}

/// Stores a word behind all that was written before it, and before all that
/// is written next. x86 keeps that order; LLVM must not change it.
#[inline(always)]
fn ordered<T: Copy>(word: &mut T, value: T) {
    barrier();
    // SAFETY: an aligned integer that is borrowed here.
    unsafe { (&raw mut *word).write_volatile(value) };
    barrier();
}

#[inline(always)]
fn barrier() {
    // A move, see `bpf::opaque`; without `nomem` LLVM takes it for a write to
    // all memory.
    // SAFETY: the assembly moves one register onto itself.
    unsafe {
        core::arch::asm!("{0} = {0}", inout(reg) 0u64 => _, options(nostack, preserves_flags));
    }
}

#[inline(always)]
fn free<const SETS: usize>(tags: &'static Tags<SETS>, place: u32, hash: u64) {
    if place == 0 {
        return;
    }
    let place = place - 1;
    if let Some(line) = tags.get_ptr_mut(place / WAYS) {
        // SAFETY: see `find`.
        let tag = unsafe { &mut (*line)[(place % WAYS) as usize] };
        // Not another's that has taken the place meanwhile.
        if (*tag >> 32) as u32 == fingerprint(hash) {
            *tag = 0;
        }
    }
}
