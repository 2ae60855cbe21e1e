//! A policy that is judged beside the one in force (`apply --shadow`).
//!
//! While it is on trial the kernel tells of every judged flow, those that
//! pass too, and each is asked of the other policy's image by the code that
//! the kernel runs. What is kept are counts by room, host and cause: no
//! device, no time, and nothing on disk.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use filter_ebpf::abi::{Access, Event, Protocol, Reason, Secret, Verdict};
use filter_ebpf::judge::{NO_CATEGORY, Opinion, Row};
use jiff::Timestamp;

use super::doors::{Holds, doors};
use crate::calendar::access::Clock;
use crate::control::api;
use crate::explain::{Overrides, Question, View};
use crate::image::Image;
use crate::policy::Policy;

/// Differences that are told apart; further ones are only counted.
const MAX_DIFFERENCES: usize = 1024;
/// Differences that are shown.
const SHOWN: usize = 20;

/// The other policy and what it would have done.
#[derive(Debug)]
pub(super) struct Shadow {
    policy: Policy,
    image: Image,
    secret: Secret,
    until: Timestamp,
    /// Its rooms' doors; all closed until they are written.
    doors: Vec<Access>,
    compared: u64,
    would_refuse: u64,
    would_pass: u64,
    undecided: u64,
    lost: u64,
    differences: BTreeMap<Difference, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Difference {
    room: String,
    host: String,
    now: &'static str,
    then: &'static str,
    reason: &'static str,
    category: Option<String>,
}

impl Shadow {
    pub(super) fn new(policy: Policy, image: Image, secret: Secret, until: Timestamp) -> Self {
        Self {
            doors: vec![Access::UNKNOWN; image.rooms.len()],
            policy,
            image,
            secret,
            until,
            compared: 0,
            would_refuse: 0,
            would_pass: 0,
            undecided: 0,
            lost: 0,
            differences: BTreeMap::new(),
        }
    }

    /// Works out who would be open: its own timetable, but the leases, grants
    /// and switches of now.
    pub(super) fn write_doors(&mut self, holds: &Holds, clock: Clock) {
        let groups: Vec<u16> = self.image.rooms.iter().map(|room| room.group).collect();
        self.doors = doors(&self.policy, &groups, holds, clock);
    }

    /// Asks the other policy about a flow in a room; `category` is the one
    /// that decided about it now.
    pub(super) fn compare(
        &mut self,
        room: &str,
        host: Option<&str>,
        category: Option<&str>,
        event: &Event,
        at: Timestamp,
    ) {
        let reason = Reason::from_u8(event.reason);
        if at >= self.until {
            return;
        }
        self.lost += u64::from(event.untold);
        if !by_policy(reason) {
            return;
        }
        let now = Verdict::from_u8(event.verdict);
        let Some(then) = self.judge(room, host, event, reason) else {
            self.undecided += 1;
            return;
        };
        self.compared += 1;
        let (reason, category) = match (now, then.verdict) {
            (Verdict::Pass, Verdict::Pass) => return,
            (Verdict::Pass, _) => {
                self.would_refuse += 1;
                let category = self.policy.categories.get(usize::from(then.category));
                (then.reason, category.map(|category| category.name.clone()))
            }
            (_, Verdict::Pass) => {
                self.would_pass += 1;
                (reason, category.map(str::to_owned))
            }
            _ => return,
        };
        let what = Difference {
            room: room.to_owned(),
            host: host.unwrap_or("(no name)").to_owned(),
            now: now.name(),
            then: then.verdict.name(),
            reason: reason.name(),
            category,
        };
        if self.differences.len() < MAX_DIFFERENCES || self.differences.contains_key(&what) {
            *self.differences.entry(what).or_default() += 1;
        }
    }

    /// What the other policy says; `None` where that takes the name of a
    /// connection which is refused before it could tell one.
    fn judge(
        &self,
        room: &str,
        host: Option<&str>,
        event: &Event,
        reason: Reason,
    ) -> Option<Opinion> {
        let plain = |verdict, reason| Opinion {
            verdict,
            reason,
            category: NO_CATEGORY,
        };
        let Some(room) = self.policy.room(room) else {
            let verdict = Verdict::from_u8(self.image.config.unknown_vlan);
            return Some(plain(verdict, Reason::UnknownVlan));
        };
        // A query goes to the resolver, whatever it asks for.
        let query = Protocol::from_u8(event.protocol) == Protocol::Dns;
        let server = IpAddr::V6(Ipv6Addr::from(event.key.server)).to_canonical();
        let answer = View::new(&self.image, &self.secret).ask(&Question {
            room: room as u16,
            access: self.doors.get(room)?,
            now: event.time,
            host,
            address: (!query).then_some(server),
            overrides: Overrides::default(),
        })?;
        if matches!(answer.reason, Reason::RoomClosed | Reason::Stale) {
            return Some(plain(answer.verdict, answer.reason));
        }
        if matches!(reason, Reason::RoomClosed | Reason::Stale) {
            return Some(plain(Verdict::Pass, Reason::Handshake));
        }
        if host.is_none() && answer.reason == Reason::Unnamed {
            // Nothing speaks of the address: the cause of then decides.
            return self.without_name(room, reason);
        }
        let category = answer.category.unwrap_or(NO_CATEGORY);
        Some(Opinion {
            category,
            ..plain(answer.verdict, answer.reason)
        })
    }

    fn without_name(&self, room: usize, reason: Reason) -> Option<Opinion> {
        let group = self.image.rooms.get(room)?.group;
        let group = self.image.groups.get(usize::from(group))?;
        let row = Row::new(group, 0);
        let verdict = match reason {
            Reason::Unnamed => group.unnamed,
            Reason::EncryptedName => group.encrypted_name,
            Reason::UnknownProtocol => group.undecodable,
            Reason::Tunnel | Reason::Proxy => group.tunnel,
            Reason::Fragment => group.fragment,
            Reason::DefaultOpen | Reason::NotListed | Reason::RangeAllowed => {
                return Some(row.default());
            }
            _ => return None,
        };
        Some(row.unjudged(verdict, reason))
    }

    /// The comparison so far, the most frequent differences first.
    pub(super) fn told(&self) -> api::Shadow {
        let mut rooms: BTreeMap<_, [u64; 2]> = BTreeMap::new();
        for (what, flows) in &self.differences {
            let counts = rooms
                .entry((&what.room, what.reason, &what.category))
                .or_default();
            counts[usize::from(what.then == Verdict::Pass.name())] += flows;
        }
        let mut rooms: Vec<_> = rooms
            .into_iter()
            .map(
                |((room, reason, category), [refuse, pass])| api::ShadowRoom {
                    room: room.clone(),
                    reason: reason.to_owned(),
                    category: category.clone(),
                    would_refuse: refuse,
                    would_pass: pass,
                },
            )
            .collect();
        rooms.sort_by_key(|room| std::cmp::Reverse(room.would_refuse + room.would_pass));
        let mut examples: Vec<_> = self
            .differences
            .iter()
            .map(|(what, flows)| api::Difference {
                room: what.room.clone(),
                host: what.host.clone(),
                now: what.now.to_owned(),
                then: what.then.to_owned(),
                reason: what.reason.to_owned(),
                category: what.category.clone(),
                flows: *flows,
            })
            .collect();
        examples.sort_by_key(|difference| std::cmp::Reverse(difference.flows));
        examples.truncate(SHOWN);
        api::Shadow {
            policy: self.policy.path.display().to_string(),
            until: self.until,
            compared: self.compared,
            different: self.would_refuse + self.would_pass,
            would_refuse: self.would_refuse,
            would_pass: self.would_pass,
            undecided: self.undecided,
            lost: self.lost,
            rooms,
            examples,
        }
    }
}

/// Verdicts that the policy gave: its timetable, matrix and lists. What was
/// blocked or granted by hand holds under either.
fn by_policy(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::RoomClosed
            | Reason::Stale
            | Reason::NameDenied
            | Reason::NameAllowed
            | Reason::RangeDenied
            | Reason::RangeAllowed
            | Reason::Locked
            | Reason::DefaultOpen
            | Reason::NotListed
            | Reason::Unnamed
            | Reason::EncryptedName
            | Reason::UnknownProtocol
            | Reason::Tunnel
            | Reason::Proxy
            | Reason::Fragment
    )
}
