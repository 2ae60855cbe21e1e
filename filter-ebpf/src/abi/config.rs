//! The immutable part of an image: what the policy says, without its lists.

use super::pod;

/// Categories a policy may have: one bit each of a mask; bit 63 marks the
/// school's own networks.
pub const MAX_CATEGORIES: usize = 63;
/// Search engines with a safe address.
pub const MAX_PROVIDERS: usize = 8;
/// Groups a policy may have.
pub const MAX_GROUPS: usize = 32;
/// Interfaces that carry rooms.
pub const MAX_LINKS: usize = 8;
/// The room number that means: no room.
pub const NO_ROOM: u16 = u16::MAX;

/// One per image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Config {
    /// [`super::VERSION`] of the writer.
    pub abi_version: u32,
    /// Number of this image; never 0.
    pub generation: u32,
    /// Interface indices of the LAN side; a frame's slot is its position.
    /// 0 ends the list.
    pub links: [u32; MAX_LINKS],
    /// Verdict for a VLAN without a room (`Verdict as u8`).
    pub unknown_vlan: u8,
    /// Verdict for a room past its last known span (`Verdict as u8`).
    pub when_stale: u8,
    /// 1: record each packet's outcome in `TRACE` (replay and tests).
    pub trace: u8,
    /// 1: at least one QinQ room exists, look it up.
    pub qinq: u8,
    /// Lines (64 bytes) of each table, in the order of `tables::Table`.
    pub lines: [u32; 8],
    /// Bytes of one TCP hello that are looked at before `HelloTooLong`.
    pub hello_cap: u32,
    /// QUIC hellos per second and core before `QuicBudget`.
    pub quic_budget: u32,
    /// Category sets in use; a set number at or above it is an error.
    pub sets: u32,
    /// Rooms in use.
    pub rooms: u32,
    /// The first set that has exceptions (`tables::sets`); past every set
    /// number when none has.
    pub excepting: u32,
    /// Locked categories of every group: dropped on the WAN side too.
    pub denied_by_all: u64,
    /// Categories that at least one group may not reach.
    pub denied_by_any: u64,
    /// 1: a connection whose start was not seen is judged by its first
    /// payload (captures may lack the start); 0: nothing of it passes.
    pub unseen_start: u8,
    pub reserved: [u8; 7],
}

impl Config {
    /// What the object holds before a loader writes the image's values.
    pub const EMPTY: Self = Self {
        abi_version: super::VERSION,
        generation: 0,
        links: [0; MAX_LINKS],
        unknown_vlan: 1,
        when_stale: 1,
        trace: 0,
        qinq: 0,
        lines: [0; 8],
        hello_cap: 0,
        quic_budget: 0,
        sets: 0,
        rooms: 0,
        excepting: u32::MAX,
        denied_by_all: 0,
        denied_by_any: 0,
        unseen_start: 0,
        reserved: [0; 7],
    };
}

/// A category of users: the row of the matrix, as masks over categories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Group {
    /// Categories this group may reach.
    pub allow: u64,
    /// Categories this group may not reach.
    pub deny: u64,
    /// Denied categories that neither an allow nor a grant opens.
    pub locked: u64,
    /// Categories whose hosts are providers of encrypted names (ECH).
    pub ech_providers: u64,
    /// [`GroupFlags`].
    pub flags: u32,
    /// How a denial looks: `Verdict::Drop` or `Verdict::Reject`.
    pub refuse: u8,
    /// Verdict for a hello without a name.
    pub unnamed: u8,
    /// Verdict for an encrypted name.
    pub encrypted_name: u8,
    /// Verdict for a protocol that names no host.
    pub undecodable: u8,
    /// Verdict for tunnels.
    pub tunnel: u8,
    /// Verdict for fragments.
    pub fragment: u8,
    /// Verdict for QUIC that cannot be judged.
    pub quic: u8,
    /// Providers whose names are answered with their safe address: a bit for
    /// each [`SafeAddress`].
    pub safe_search: u8,
    pub reserved: [u8; 4],
}

/// Where a search engine answers with safe results only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SafeAddress {
    pub v4: [u8; 4],
    /// [`SafeAddress::V4`] and [`SafeAddress::V6`]. Of a family that is not
    /// there the names have no address; without any they do not exist.
    pub families: u32,
    pub v6: [u8; 16],
}

impl SafeAddress {
    pub const V4: u32 = 1;
    pub const V6: u32 = 2;
}

/// Bits of [`Group::flags`].
#[derive(Clone, Copy, Debug)]
pub struct GroupFlags;

impl GroupFlags {
    /// Everything is reachable that is not denied; else only what is allowed.
    pub const DEFAULT_OPEN: u32 = 1;
    /// Names are looked at. The agent sets it for every group, so that what
    /// is blocked by name just now reaches all of them.
    pub const BY_NAME: u32 = 2;
    /// DNS only by the school's resolvers; DoT, DoH, DoQ denied.
    pub const SCHOOL_DNS: u32 = 4;
    /// Search engines answer with their safe addresses.
    pub const SAFE_SEARCH: u32 = 8;
    /// HTTPS/SVCB queries are answered empty.
    pub const STRIP_ECH: u32 = 16;
}

/// A room: a VLAN, or an untagged interface, with a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Room {
    /// Index into the groups.
    pub group: u16,
    /// [`RoomFlags`].
    pub flags: u16,
    /// Entries in use of `subnets4` and `subnets6`.
    pub subnets4_len: u16,
    pub subnets6_len: u16,
    pub reserved: [u32; 2],
    pub subnets4: [Subnet4; 6],
    pub subnets6: [Subnet6; 4],
}

/// Bits of [`Room::flags`].
#[derive(Clone, Copy, Debug)]
pub struct RoomFlags;

impl RoomFlags {
    /// Open inside its windows only; else always open.
    pub const TIMETABLE: u16 = 1;
    /// Inside a window a lease is needed too.
    pub const SUPERVISED: u16 = 2;
}

/// An IPv4 network, both in host byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Subnet4 {
    pub address: u32,
    pub mask: u32,
}

/// An IPv6 network as upper and lower 64 bits, host byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Subnet6 {
    pub upper: u64,
    pub lower: u64,
    pub upper_mask: u64,
    pub lower_mask: u64,
}

/// Keys of the box's hashes: random, made once, kept as long as the flows,
/// so that what is kept of a flow means the same to every image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Secret {
    /// For host names ([`crate::tables::hash`]); words 0 and 1 are odd.
    pub name: [u64; 4],
    /// For the content of a hello; odd.
    pub content: [u64; 4],
}

pod!(Config, Group, Room, SafeAddress, Subnet4, Subnet6, Secret);
