//! The school's policy: the document, its checks, and what it means.
//!
//! A [`Policy`] that exists is right: every reference resolves, every value
//! was checked. Reading finds all mistakes at once ([`PolicyErrors`]).

pub mod compile;
mod gather;
mod host;
pub mod matrix;
pub mod problem;
mod read;
pub mod safe_search;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use filter_ebpf::abi::Verdict;
use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::calendar::{Bells, Calendar, PlainWindow, Timetable};
use crate::lists::Format;
use crate::words::{Message, Said};
pub use gather::{Gather, LeftOut};
pub use host::{Host, HostError};
pub use problem::{PolicyErrors, Problem};

/// Rooms a policy may have.
pub const MAX_ROOMS: usize = 1024;
/// Bytes of a policy file.
pub const MAX_BYTES: u64 = 4 << 20;

/// A whole policy. Indices (`group`, `category`, …) point into its own lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The file as it was named; lists are relative to its folder.
    pub path: PathBuf,
    pub school: Option<String>,
    pub timezone: TimeZone,
    pub network: Network,
    pub settings: Settings,
    pub roles: Roles,
    pub persons: Vec<Person>,
    pub categories: Vec<Category>,
    pub groups: Vec<Group>,
    pub rooms: Vec<Room>,
    pub calendar: Calendar,
    pub bells: Vec<Bells>,
    pub timetables: Vec<Timetable>,
    /// Safe addresses of [`safe_search::PROVIDERS`].
    pub safe_search: [filter_ebpf::abi::SafeAddress; safe_search::PROVIDERS.len()],
}

/// Why reading a policy failed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read the policy {path}: {source}; put it there, or name the file where it is")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "the policy {path} has {bytes} bytes, at most {MAX_BYTES} are read; put long lists into files of their own"
    )]
    TooLong { path: PathBuf, bytes: u64 },
    #[error("the policy {path} is not UTF-8 at byte {at}; save it as UTF-8")]
    NotUtf8 { path: PathBuf, at: usize },
    #[error("{0}")]
    Wrong(#[from] PolicyErrors),
}

impl Policy {
    /// Reads a policy; `path` names it in messages and is the base of the
    /// list files. Files it names (calendars) are read, lists are not.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PolicyErrors> {
        read::policy(text, path)
    }

    /// Reads a policy from its file.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let io = |source| LoadError::Io {
            path: path.to_path_buf(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(io)?.len();
        if bytes > MAX_BYTES {
            return Err(LoadError::TooLong {
                path: path.to_path_buf(),
                bytes,
            });
        }
        let raw = std::fs::read(path).map_err(io)?;
        let text = String::from_utf8(raw).map_err(|error| LoadError::NotUtf8 {
            path: path.to_path_buf(),
            at: error.utf8_error().valid_up_to(),
        })?;
        Ok(Self::parse(&text, path)?)
    }

    /// The folder that list files are relative to.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The rooms' names as one types them on a command line.
    pub fn rooms_as_typed(&self) -> String {
        let names: Vec<String> = self
            .rooms
            .iter()
            .map(|room| match room.name.contains(char::is_whitespace) {
                true => format!("\"{}\"", room.name),
                false => room.name.clone(),
            })
            .collect();
        names.join(", ")
    }

    pub fn room(&self, name: &str) -> Option<usize> {
        self.rooms.iter().position(|room| room.name == name)
    }

    pub fn group(&self, name: &str) -> Option<usize> {
        self.groups.iter().position(|group| group.name == name)
    }

    pub fn category(&self, name: &str) -> Option<usize> {
        self.categories.iter().position(|c| c.name == name)
    }

    /// Today's date at the school.
    pub fn date(&self, now: jiff::Timestamp) -> Date {
        self.timezone.to_datetime(now).date()
    }
}

/// `[network]`: where the box stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Interfaces that carry the rooms, in the order of their slots.
    pub lan: Vec<String>,
    /// Interfaces towards the Internet; may be empty.
    pub wan: Vec<String>,
    /// Generic XDP is accepted where a driver has no native mode.
    pub generic: bool,
    /// The school's own networks, always reachable; the rooms' subnets where
    /// the policy names none.
    pub own: Vec<IpNet>,
    /// The school's name servers: reachable, and the only ones for groups
    /// with `school_dns`.
    pub resolvers: Vec<IpAddr>,
    pub unknown_vlan: Verdict,
    /// For rooms with windows once the known windows have run out.
    pub when_stale: Verdict,
    /// Bytes of a hello that are looked at.
    pub hello_cap: u32,
    /// QUIC hellos per second and core.
    pub quic_budget: u32,
}

/// What the agent itself needs: `[metrics]`, `[control]`, `[lists]`,
/// `[privacy]`, `[incidents]`, `[notify]`, `[page]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where `/metrics` is served; `None` switches it off.
    pub metrics: Option<SocketAddr>,
    /// The CLI's socket.
    pub socket: PathBuf,
    /// Leases, grants, incidents, audit, good copies of lists.
    pub state: PathBuf,
    /// How often lists with a URL are asked for.
    pub lists_every: Duration,
    pub lists_proxy: Option<String>,
    /// Bytes of one download.
    pub lists_max: u64,
    /// How long incidents and pseudonyms are kept.
    pub retention: Duration,
    /// How long the audit log is kept.
    pub audit_retention: Duration,
    /// Denied tries of one device within `incident_within` that make an
    /// incident.
    pub incident_tries: u32,
    pub incident_within: Duration,
    pub webhook: Option<String>,
    /// Program and arguments; the message comes on its standard input.
    pub mail_command: Vec<String>,
    /// Notifications per hour at most.
    pub notify_per_hour: u32,
    /// Shown on the 403 page, such as whom to ask.
    pub contact: Option<String>,
}

/// `[roles]`: Unix groups, by what they may do. Root may do everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    pub read_only: Vec<String>,
    pub teacher: Vec<String>,
    pub responsible: Vec<String>,
    pub admin: Vec<String>,
}

/// A named person with a duty (clauses 2.5, 2.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    /// For example "responsible for Internet access".
    pub duty: String,
    /// Unix user on the box, if there is one.
    pub user: Option<String>,
    pub decision: Option<Decision>,
}

/// Who decided a rule, when, under which number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub number: String,
    pub date: Date,
    pub body: String,
    /// The last day on which it holds.
    pub until: Option<Date>,
}

impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.said().fmt(f)
    }
}

impl Decision {
    /// For people, in their language.
    pub fn said(&self) -> Said {
        let said = match self.until {
            Some(until) => Said::new(Message::DecisionUntil).with("until", until),
            None => Said::new(Message::DecisionOf),
        };
        said.with("number", &self.number)
            .with("date", self.date)
            .with("body", &self.body)
    }
}

/// A named set of hosts and address ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    pub name: String,
    /// For people, in their language.
    pub title: Option<String>,
    /// Denied to every group; no allow and no grant opens it.
    pub locked: bool,
    /// Its hosts are outer names of encrypted hellos (ECH).
    pub ech_provider: bool,
    pub hosts: Vec<InlineHost>,
    pub ranges: Vec<InlineRange>,
    pub lists: Vec<ListSource>,
    /// Hosts that do not belong to it, whatever its lists say; only a more
    /// specific entry of `hosts` does again.
    pub except: Vec<InlineHost>,
    /// Ranges that do not belong to it, whatever its lists say.
    pub except_ranges: Vec<InlineRange>,
    pub decision: Option<Decision>,
    /// Line in the policy, from 1.
    pub line: usize,
}

/// What a name without a star means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BareName {
    /// This host only.
    Host,
    /// The host and everything below.
    Subtree,
}

/// A host written in the policy itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineHost {
    pub host: Host,
    pub line: usize,
}

/// A range written in the policy itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineRange {
    pub net: IpNet,
    pub line: usize,
}

/// A list file or download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSource {
    pub from: ListFrom,
    /// `None`: found out from the content.
    pub format: Option<Format>,
    /// What a bare name means; `None`: what it means in the list's format.
    pub bare: Option<BareName>,
    /// Public suffixes as a whole are taken too.
    pub force: bool,
    /// For archives: the folder or file inside.
    pub member: Option<String>,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// minisign public key; the signature lies beside, with `.minisig`.
    pub minisign: Option<String>,
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListFrom {
    /// Relative to [`Policy::folder`] unless absolute.
    File(PathBuf),
    Url(String),
}

/// A category of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub title: Option<String>,
    /// Everything is reachable that is not denied; else only what is listed.
    pub open: bool,
    /// How a denial looks: drop or reject.
    pub refuse: Verdict,
    /// Verdicts for what cannot be judged.
    pub unnamed: Verdict,
    pub encrypted_name: Verdict,
    pub undecodable: Verdict,
    pub tunnels: Verdict,
    pub fragments: Verdict,
    pub quic: Verdict,
    pub school_dns: bool,
    /// Search engines that answer safely, a bit each by their position in
    /// [`safe_search::PROVIDERS`].
    pub safe_search: u8,
    pub strip_ech: bool,
    /// The row of the matrix; at most one cell a category.
    pub cells: Vec<Cell>,
    pub decision: Option<Decision>,
    pub line: usize,
}

/// A cell of the matrix: a group and a category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub category: usize,
    pub allow: bool,
    /// Denied so that no grant opens it for this group.
    pub locked: bool,
    /// The last day on which the cell holds.
    pub until: Option<Date>,
    pub decision: Option<Decision>,
    pub line: usize,
}

/// A VLAN, or an untagged interface, with a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub name: String,
    pub title: Option<String>,
    /// Index into [`Network::lan`]; `None`: on every LAN interface.
    pub interface: Option<usize>,
    pub tag: Tag,
    pub group: usize,
    pub subnets: Vec<IpNet>,
    pub class_teacher: Option<String>,
    /// Inside a window a teacher must hold its lease too.
    pub supervised: bool,
    pub door: Door,
    /// Closed on holidays and in breaks.
    pub follows_calendar: bool,
    pub decision: Option<Decision>,
    pub line: usize,
}

/// How frames of a room are told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tag {
    Untagged,
    Vlan(u16),
    /// Outer and inner VLAN.
    QinQ(u16, u16),
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Untagged => f.write_str("untagged"),
            Self::Vlan(vlan) => write!(f, "VLAN {vlan}"),
            Self::QinQ(outer, inner) => write!(f, "VLAN {outer}.{inner}"),
        }
    }
}

/// When a room is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// No timetable: always.
    Always,
    /// Inside its lessons and windows only.
    Timed {
        timetable: Option<usize>,
        windows: Vec<PlainWindow>,
    },
}
