//! A policy that is judged beside the one in force (`apply --shadow`).
//!
//! Every flow that the kernel tells about is asked of the other policy's
//! image too, by the code that the kernel runs. Doors are left out: it is the
//! matrix and the lists that are compared. The kernel tells about refused
//! flows only, so what the other policy would refuse in addition is not seen.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use filter_ebpf::abi::{Access, Event, Mode, Reason, Secret, Verdict};
use jiff::Timestamp;

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
    compared: u64,
    different: u64,
    /// By room, host, what is and what would be.
    differences: BTreeMap<[String; 4], u64>,
}

impl Shadow {
    pub(super) fn new(policy: Policy, image: Image, secret: Secret, until: Timestamp) -> Self {
        Self {
            policy,
            image,
            secret,
            until,
            compared: 0,
            different: 0,
            differences: BTreeMap::new(),
        }
    }

    /// Asks the other policy about a flow in a room.
    pub(super) fn compare(&mut self, room: &str, host: Option<&str>, event: &Event, at: Timestamp) {
        if at >= self.until || !by_matrix(Reason::from_u8(event.reason)) {
            return;
        }
        let mut open = Access::UNKNOWN;
        open.mode = Mode::Open as u32;
        open.mode_until = u64::MAX;
        let server = IpAddr::V6(Ipv6Addr::from(event.key.server)).to_canonical();
        let now = Verdict::from_u8(event.verdict);
        let then = match self.policy.room(room) {
            Some(number) => View::new(&self.image, &self.secret)
                .ask(&Question {
                    room: number as u16,
                    access: &open,
                    now: event.time,
                    host,
                    address: Some(server),
                    overrides: Overrides::default(),
                })
                .map_or(Verdict::Drop, |answer| answer.verdict),
            None => Verdict::from_u8(self.image.config.unknown_vlan),
        };
        self.compared += 1;
        if (now == Verdict::Pass) == (then == Verdict::Pass) {
            return;
        }
        self.different += 1;
        let what = [room, host.unwrap_or("(no name)"), now.name(), then.name()];
        let what = what.map(str::to_owned);
        if self.differences.len() < MAX_DIFFERENCES || self.differences.contains_key(&what) {
            *self.differences.entry(what).or_default() += 1;
        }
    }

    /// The comparison so far, the most frequent differences first.
    pub(super) fn told(&self) -> api::Shadow {
        let mut examples: Vec<_> = self
            .differences
            .iter()
            .map(|([room, host, now, then], flows)| api::Difference {
                room: room.clone(),
                host: host.clone(),
                now: now.clone(),
                then: then.clone(),
                flows: *flows,
            })
            .collect();
        examples.sort_by_key(|difference| std::cmp::Reverse(difference.flows));
        examples.truncate(SHOWN);
        api::Shadow {
            policy: self.policy.path.display().to_string(),
            until: self.until,
            compared: self.compared,
            different: self.different,
            examples,
        }
    }
}

/// Verdicts that a policy's matrix and lists gave.
fn by_matrix(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NameDenied
            | Reason::NameAllowed
            | Reason::RangeDenied
            | Reason::RangeAllowed
            | Reason::Locked
            | Reason::DefaultOpen
            | Reason::NotListed
    )
}
