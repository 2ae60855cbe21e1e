//! What the kernel keeps of connections.

use super::pod;

/// Longest host name in bytes (RFC 1035 §2.3.4), rounded up.
pub const NAME_MAX: usize = 256;
/// Suffixes of a name whose hashes are kept, from the right.
pub const SUFFIXES: usize = 12;
/// Bytes of a hello that are kept for comparing resends.
pub const CONTENT: usize = 8192;
/// Most bytes that are written to [`Content::bytes`] at once.
pub const CONTENT_STEP: usize = 2048;
/// Hellos whose content is kept at a time.
pub const CONTENT_SLOTS: u32 = 2048;

/// Names a connection from the client's side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey {
    /// Client address; IPv4 as ::ffff:a.b.c.d, network byte order.
    pub client: [u8; 16],
    /// Server address, likewise.
    pub server: [u8; 16],
    /// Ports in host byte order; 0 where the protocol has none.
    pub client_port: u16,
    pub server_port: u16,
    /// `slot << 24 | outer VLAN << 12 | inner VLAN`: stable across images.
    pub link: u32,
    /// IP protocol number.
    pub protocol: u32,
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Protocol {
    /// Not looked at, or not known.
    Other = 0,
    Tls = 1,
    Quic = 2,
    Http = 3,
    Dns = 4,
    Tcp = 5,
    Udp = 6,
    Icmp = 7,
}

impl Protocol {
    /// Reads a protocol from a map.
    pub const fn from_u8(raw: u8) -> Self {
        match raw {
            1 => Self::Tls,
            2 => Self::Quic,
            3 => Self::Http,
            4 => Self::Dns,
            5 => Self::Tcp,
            6 => Self::Udp,
            7 => Self::Icmp,
            _ => Self::Other,
        }
    }

    /// The word in `replay --json` and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Tls => "tls",
            Self::Quic => "quic",
            Self::Http => "http",
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        }
    }
}

/// The first bytes of a client's stream as they passed, kept until the server
/// confirms them: a resend must repeat them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Content {
    /// Number of the hello that owns the slot now; an older owner lost it.
    pub ticket: u64,
    /// [`CONTENT`] bytes, and room for one step past them.
    pub bytes: [u8; CONTENT + CONTENT_STEP],
}

/// Where a stream's [`Content`] lies: slot `ticket % CONTENT_SLOTS`.
/// 0: nowhere.
pub type Ticket = u64;

/// A judged connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Flow {
    /// Image that judged it.
    pub generation: u32,
    /// State of the overrides ([`super::OverrideHeader::epoch`]) then.
    pub epoch: u32,
    /// When a grant behind the verdict ends: judged again after it.
    pub valid_until: u64,
    pub verdict: u8,
    pub reason: u8,
    /// Deciding category, 255 for none.
    pub category: u8,
    /// [`Protocol`].
    pub protocol: u8,
    /// [`FlowFlags`].
    pub flags: u8,
    /// Hashes in use of `suffixes`.
    pub suffixes_len: u8,
    /// 1: payloads may begin another hello (STARTTLS, kept-alive HTTP).
    pub watch: u8,
    /// 1: another hello is in progress; the verdict waits for it.
    pub pending: u8,
    /// First byte of the client's stream (TCP sequence number).
    pub base_seq: u32,
    /// Bytes of the stream that were judged.
    pub judged_len: u32,
    /// Room and group in the image `generation`.
    pub room: u16,
    pub group: u16,
    /// [`super::Reason`] for which no name was found; judged again by it.
    pub unread: u16,
    /// Of a hello in the SYN: see [`Hello::in_syn`].
    pub in_syn: u8,
    /// 1: `next` lies behind a chunk of a body (RFC 9112 §7.1).
    pub chunked: u8,
    /// Hash of the whole name (exact entries); 0 without a name.
    pub exact: u64,
    /// Hashes of the name's suffixes, the shortest first.
    pub suffixes: [u64; SUFFIXES],
    /// The judged bytes, for comparing resends.
    pub content: Ticket,
    /// Where the client's stream is looked at next (TCP sequence number), while
    /// `watch` is 1: behind the present body, or behind all that was seen.
    pub next: u32,
    pub reserved: [u32; 3],
}

/// Bits of [`Flow::flags`].
#[derive(Clone, Copy, Debug)]
pub struct FlowFlags;

impl FlowFlags {
    /// A host name was seen and its hashes are kept.
    pub const NAMED: u8 = 1;
    /// The hello carries ECH.
    pub const ECH: u8 = 2;
    /// The hello has no name.
    pub const UNNAMED: u8 = 4;
    /// Killed for good: no later image opens it again.
    pub const DEAD: u8 = 8;
    /// An event about this flow and verdict went out.
    pub const REPORTED: u8 = 16;
    /// The first payload belonged to no protocol that names a host.
    pub const UNDECODABLE: u8 = 32;
    /// The server confirmed the judged bytes: a resend cannot change them.
    pub const CONFIRMED: u8 = 64;
    /// The verdict is about the destination and its protocol, not about
    /// what was said; the connection's first bytes were not looked at.
    pub const BY_RANGE: u8 = 128;
}

/// A hello in progress. The parsers' own states lie in `state`, as bytes,
/// so that this layout does not move with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Hello {
    /// First byte of the client's stream.
    pub base_seq: u32,
    /// Bytes of the stream consumed in order.
    pub consumed: u32,
    /// What was consumed, for comparing resends.
    pub content: Ticket,
    /// [`Protocol`] once the first bytes told it.
    pub protocol: u8,
    /// 1: `base_seq` was confirmed by the server's SYN-ACK.
    pub confirmed: u8,
    /// 1: its first bytes came with the SYN; 2: and then another SYN came,
    /// so nobody knows which of the two a server will answer.
    pub in_syn: u8,
    pub name_len: u8,
    pub generation: u32,
    pub state: [u64; 21],
    pub name: [u8; NAME_MAX],
}

impl Flow {
    /// A flow about which nothing is known.
    pub const EMPTY: Self = Self {
        generation: 0,
        epoch: 0,
        valid_until: 0,
        verdict: 1,
        reason: 0,
        category: 255,
        protocol: 0,
        flags: 0,
        suffixes_len: 0,
        watch: 0,
        pending: 0,
        base_seq: 0,
        judged_len: 0,
        room: 0,
        group: 0,
        unread: 0,
        in_syn: 0,
        chunked: 0,
        exact: 0,
        suffixes: [0; SUFFIXES],
        content: 0,
        next: 0,
        reserved: [0; 3],
    };
}

impl Hello {
    /// A hello of which no byte was seen.
    pub const EMPTY: Self = Self {
        base_seq: 0,
        consumed: 0,
        content: 0,
        protocol: 0,
        confirmed: 0,
        in_syn: 0,
        name_len: 0,
        generation: 0,
        state: [0; 21],
        name: [0; NAME_MAX],
    };
}

pod!(FlowKey, Flow, Hello, Content);
