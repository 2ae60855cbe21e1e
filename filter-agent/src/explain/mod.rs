//! What the kernel would say, asked in user space of the same tables with
//! the same code.
//!
//! [`View`] reads an [`Image`] as the kernel half does. It answers for the
//! first packet that tells everything: a TCP connection to an address, with
//! the name its client hello asks for.

use std::net::IpAddr;

use filter_ebpf::abi::{self, Access, Hello, NAME_MAX, Reason, Secret, Verdict};
use filter_ebpf::access::door;
use filter_ebpf::frame::embedded_ipv4;
use filter_ebpf::inspect::name::{self, Literal};
use filter_ebpf::judge::{NO_CATEGORY, OWN_NETWORK, Opinion, Row};
use filter_ebpf::tables::hash::{Suffixes, suffixes};
use filter_ebpf::tables::{Table, names, ranges4, ranges6, sets};

use crate::image::{Image, Reach};

#[cfg(test)]
pub(crate) mod tests;

/// An image and the secret its names were hashed with.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    image: &'a Image,
    secret: &'a Secret,
}

/// Who asks for what, and when.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Index of the room.
    pub room: u16,
    /// The room's door.
    pub access: &'a Access,
    /// On the clock of `access`, in nanoseconds.
    pub now: u64,
    /// Lower case, punycode, no trailing dot; `None`: a hello without a name.
    pub host: Option<&'a str>,
    pub address: Option<IpAddr>,
    /// What was blocked or granted just now.
    pub overrides: Overrides,
}

/// Whether an override holds for the name (or one above it) or the address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    pub name_blocked: bool,
    pub name_granted: bool,
    pub address_blocked: bool,
    pub address_granted: bool,
}

/// What the kernel would do, and what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    pub verdict: Verdict,
    pub reason: Reason,
    /// Index of the deciding category.
    pub category: Option<u8>,
    /// Listed names that match the host, the most specific first.
    pub names: Vec<Match<'a>>,
    /// Categories of the address, as a mask.
    pub address_mask: u64,
    /// When the answer may be another one, on the clock of the question.
    pub until: u64,
}

/// A listed name that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match<'a> {
    pub name: &'a str,
    pub reach: Reach,
    /// Its categories without those that a more specific name is excepted
    /// from, as a mask.
    pub mask: u64,
}

impl<'a> View<'a> {
    pub fn new(image: &'a Image, secret: &'a Secret) -> Self {
        Self { image, secret }
    }

    /// Categories of an address, as a mask; an IPv6 address that carries an
    /// IPv4 one has the categories of both.
    pub fn address(&self, address: IpAddr) -> u64 {
        match address {
            IpAddr::V4(address) => self.ipv4(address.to_bits()),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                let (upper, lower) = ((bits >> 64) as u64, bits as u64);
                let embedded = embedded_ipv4(upper, lower).map_or(0, |bits| self.ipv4(bits));
                self.ipv6(upper, lower) | embedded
            }
        }
    }

    /// Listed names that match a host: itself as an exact entry, then itself
    /// and what lies above it as subtrees.
    pub fn host<'h>(&self, host: &'h str) -> Vec<Match<'h>> {
        let mut bytes = [0; NAME_MAX];
        let Some(start) = bytes.get_mut(..host.len()) else {
            return Vec::new();
        };
        start.copy_from_slice(host.as_bytes());
        let mut hashes = Suffixes::default();
        suffixes(self.secret, &bytes, host.len() as u32, &mut hashes);
        // The shortest suffix is the last label.
        let starts = host.rmatch_indices('.').map(|(dot, _)| dot + 1);
        let above = starts.chain([0]).map(|start| &host[start..]);
        let subtrees = above
            .zip(&hashes.subtree)
            .take(hashes.len as usize)
            .map(|(name, &hash)| (name, Reach::Subtree, hash));
        let entries: Vec<_> = subtrees
            .chain([(host, Reach::Exact, hashes.exact)])
            .collect();
        let mut hidden = 0;
        let entries = entries.into_iter().rev();
        let matches = entries.map(|(name, reach, hash)| {
            let (listed, excepted) = self.name(hash);
            let mask = listed & !hidden;
            hidden |= excepted;
            Match { name, reach, mask }
        });
        matches.filter(|found| found.mask != 0).collect()
    }

    /// What the kernel would do; `None` when the room does not exist.
    pub fn ask<'h>(&self, question: &Question<'h>) -> Option<Answer<'h>> {
        let room = self.image.rooms.get(usize::from(question.room))?;
        let group = self.image.groups.get(usize::from(room.group))?;
        let address_mask = question.address.map_or(0, |address| self.address(address));
        let stale = Verdict::from_u8(self.image.config.when_stale);
        let door = door(question.access, room.flags, stale, question.now);
        let grants = Grants::now(question);
        let row = Row::new(group, grants.mask);
        let names = question.host.map_or(Vec::new(), |host| self.host(host));
        let opinion = if address_mask & OWN_NETWORK != 0 {
            pass(Reason::OwnNetwork)
        } else if door.verdict == Verdict::Reject {
            row.deny(door.reason, NO_CATEGORY)
        } else if door.verdict == Verdict::Drop {
            Opinion {
                verdict: Verdict::Drop,
                reason: door.reason,
                category: NO_CATEGORY,
            }
        } else {
            let destination = Destination {
                host: question.host,
                names: &names,
                address_mask,
                literal_mask: question.host.map_or(0, |host| self.literal(host)),
                overrides: question.overrides,
            };
            destination.judge(group, &row)
        };
        Some(Answer {
            verdict: opinion.verdict,
            reason: opinion.reason,
            category: Some(opinion.category).filter(|&category| category != NO_CATEGORY),
            names,
            address_mask,
            until: door.until.min(grants.until),
        })
    }

    /// Categories of a host that is an address itself, as a mask.
    fn literal(&self, host: &str) -> u64 {
        let mut hello = Hello::EMPTY;
        let Some(start) = hello.name.get_mut(..host.len()) else {
            return 0;
        };
        start.copy_from_slice(host.as_bytes());
        hello.name_len = host.len() as u8;
        match name::literal(&mut hello) {
            Some(Literal::V4(address)) => self.ipv4(address),
            Some(Literal::V6(upper, lower)) => self.ipv6(upper, lower),
            None => 0,
        }
    }

    fn ipv4(&self, address: u32) -> u64 {
        self.mask(ranges4::lookup(
            self.image.table(Table::Ranges4Root),
            self.image.table(Table::Ranges4),
            self.image.table(Table::Ranges4Kinds),
            address,
        ))
    }

    fn ipv6(&self, upper: u64, lower: u64) -> u64 {
        self.mask(ranges6::lookup(
            self.image.table(Table::Ranges6Tree),
            self.image.table(Table::Ranges6Values),
            self.image.table(Table::Ranges6Lower),
            upper,
            lower,
        ))
    }

    /// What the name with this hash is listed in, and excepted from.
    fn name(&self, hash: u64) -> (u64, u64) {
        let config = &self.image.config;
        let lines = config.lines[Table::Names as usize];
        let set = names::lookup(self.image.table(Table::Names), lines, hash);
        let sets = self.image.table(Table::Sets);
        let excepted = sets::excepted(sets, set, config.excepting);
        (self.mask(set), excepted)
    }

    fn mask(&self, set: u16) -> u64 {
        sets::mask(self.image.table(Table::Sets), set)
    }
}

/// What is known of a destination.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// `None`: a hello without a name.
    pub host: Option<&'a str>,
    /// Listed names that match the host, the most specific first.
    pub names: &'a [Match<'a>],
    /// Categories of the address, as a mask.
    pub address_mask: u64,
    /// Categories of a host that is an address itself.
    pub literal_mask: u64,
    pub overrides: Overrides,
}

impl Destination<'_> {
    /// The order of `docs/DESIGN.md`, once the room is open.
    pub fn judge(&self, group: &abi::Group, row: &Row) -> Opinion {
        let overrides = self.overrides;
        if overrides.address_blocked {
            return row.deny(Reason::Blocked, NO_CATEGORY);
        }
        let by_address = |mask| by_address(row, overrides, mask);
        let range = by_address(self.address_mask);
        if let Some(denied) = range.filter(|opinion| opinion.verdict != Verdict::Pass) {
            return denied;
        }
        if !row.by_name() {
            return range.unwrap_or(row.default());
        }
        let Some(host) = self.host else {
            return range.unwrap_or(row.unjudged(group.unnamed, Reason::Unnamed));
        };
        if overrides.name_blocked {
            return row.deny(Reason::Blocked, NO_CATEGORY);
        }
        let seen = self.names.iter().fold(0, |mask, found| mask | found.mask);
        if let Some(locked) = row.name(seen & row.locked) {
            return locked;
        }
        let range = by_address(self.address_mask | self.literal_mask);
        if let Some(denied) = range.filter(|opinion| opinion.verdict != Verdict::Pass) {
            return denied;
        }
        if overrides.name_granted || overrides.address_granted {
            return pass(Reason::Granted);
        }
        row.name(most_specific(host, row, self.names))
            .or(range)
            .unwrap_or(row.default())
    }
}

/// Categories that grants open for the room, and the first end of one.
struct Grants {
    mask: u64,
    until: u64,
}

impl Grants {
    fn now(question: &Question<'_>) -> Self {
        let access = question.access;
        access
            .grant_mask
            .into_iter()
            .zip(access.grant_until)
            .filter(|(_, until)| question.now < *until)
            .fold(
                Self {
                    mask: 0,
                    until: u64::MAX,
                },
                |grants, (mask, until)| Self {
                    mask: grants.mask | mask,
                    until: grants.until.min(until),
                },
            )
    }
}

fn pass(reason: Reason) -> Opinion {
    Opinion {
        verdict: Verdict::Pass,
        reason,
        category: NO_CATEGORY,
    }
}

fn by_address(row: &Row, overrides: Overrides, mask: u64) -> Option<Opinion> {
    if overrides.address_granted && !row.is_locked(mask) {
        return Some(pass(Reason::Granted));
    }
    row.range(mask)
}

/// Mask of the most specific name that speaks to the group; the host as an
/// exact entry and as a subtree are equally specific.
fn most_specific(host: &str, row: &Row, names: &[Match<'_>]) -> u64 {
    let relevant = row.allow | row.deny | row.locked;
    let own = names
        .iter()
        .filter(|found| found.name.len() == host.len())
        .fold(0, |mask, found| mask | found.mask);
    if own & relevant != 0 {
        return own;
    }
    names
        .iter()
        .map(|found| found.mask)
        .find(|mask| mask & relevant != 0)
        .unwrap_or(0)
}
