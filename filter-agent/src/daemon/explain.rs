//! What happens to a destination at any moment, and why.
//!
//! The order is that of [`Destination::judge`], which the tests hold against
//! the kernel; lists are read again, to tell the line.

mod entries;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use filter_ebpf::abi::{Reason, Verdict};
use filter_ebpf::frame::embedded_ipv4;
use filter_ebpf::judge::{NO_CATEGORY, Row};
use jiff::Timestamp;

use super::doors::{Holds, Target, target};
use super::{Daemon, InForce, build, host_wrong, state_folder};
use crate::calendar::state_at;
use crate::calendar::windows::group_at;
use crate::control::api::{Explain, Explanation};
use crate::control::server::Serve;
use crate::control::{Failure, Peer};
use crate::explain::{Destination, Overrides};
use crate::lists::update;
use crate::policy::{BareName, Decision, Door, Host, Policy};
use crate::store::blocks::Block;
use crate::store::grants::Subject;
use crate::store::modes::Hold;
use crate::words::{Message, Said};

impl Serve<Explain> for Daemon {
    fn serve(&self, _: &Peer, request: Explain) -> Result<Explanation, Failure> {
        let in_force = self.in_force();
        let at = match &request.at {
            Some(text) => moment(&in_force.policy, text)?,
            None => Timestamp::now(),
        };
        let host = request
            .host
            .as_deref()
            .map(|host| {
                Host::parse(host, BareName::Subtree, true)
                    .map(|host| host.name)
                    .map_err(|error| host_wrong(host, &error))
            })
            .transpose()?;
        if host.is_none() && request.addr.is_none() {
            return Err(Failure::bad_request(Message::NameTarget));
        }
        let mut store = self.store();
        let holds = if request.at.is_some() && at < Timestamp::now() {
            Holds::past(&mut store, at)?
        } else {
            Holds::at(&mut store, at)?
        };
        drop(store);
        let copies = build::copies(&state_folder(&self.options, &in_force.policy))?;
        let room = in_force.room(&request.room)?;
        let mut question = Case {
            in_force: &in_force,
            holds: &holds,
            copies: &copies,
            room,
            at,
            host: host.as_deref(),
            addr: request.addr,
        };
        question.answer()
    }
}

/// Reads a moment: RFC 3339, or a day or time by the clock on the school's
/// wall; a day means its first moment.
pub(super) fn moment(policy: &Policy, text: &str) -> Result<Timestamp, Failure> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let local: jiff::civil::DateTime = text
        .replace(' ', "T")
        .parse()
        .map_err(|_| Failure::bad_request(Said::new(Message::TimeWrong).with("text", text)))?;
    policy
        .timezone
        .to_timestamp(local)
        .map_err(|error| Failure::bad_request(error.to_string()))
}

struct Case<'a> {
    in_force: &'a InForce,
    holds: &'a Holds,
    copies: &'a update::Store,
    room: usize,
    at: Timestamp,
    host: Option<&'a str>,
    addr: Option<IpAddr>,
}

impl Case<'_> {
    fn answer(&mut self) -> Result<Explanation, Failure> {
        let policy = &self.in_force.policy;
        let room = policy
            .rooms
            .get(self.room)
            .ok_or_else(|| Failure::not_found("the room has gone"))?;
        let group_at = group_at(policy, self.room, self.at);
        let group = policy.groups.get(group_at);
        let lease = self.holds.lease(&room.name);
        let mut explanation = Explanation {
            at: self.at,
            room: room.name.clone(),
            group: group.map(|group| group.name.clone()).unwrap_or_default(),
            target: self
                .host
                .map(str::to_owned)
                .into_iter()
                .chain(self.addr.map(|addr| addr.to_string()))
                .collect::<Vec<_>>()
                .join(" at "),
            verdict: String::new(),
            reason: String::new(),
            because: Said::reason(Reason::Unknown),
            lesson: super::inspect::lesson(policy, self.room, self.at),
            holder: lease.map(|lease| lease.holder.clone()),
            category: None,
            rule: None,
            list: None,
            line: None,
            entry: None,
            decision: None,
            until: None,
        };
        let set = |explanation: &mut Explanation, verdict: Verdict, reason: Reason| {
            explanation.verdict = verdict.name().to_owned();
            explanation.reason = reason.name().to_owned();
            explanation.because = Said::reason(reason);
        };
        if self.is_own() {
            set(&mut explanation, Verdict::Pass, Reason::OwnNetwork);
            return Ok(explanation);
        }
        let (open, because, until) = door(self.in_force, self.holds, self.room, self.at);
        explanation.until = until;
        if !open {
            let row = policy.row(group_at, policy.date(self.at));
            let refuse = Row::new(&row, 0).refuse;
            set(&mut explanation, refuse, Reason::RoomClosed);
            explanation.because = because;
            explanation.rule = Some(rule(policy, room.line));
            explanation.decision = self.door_decision().map(Decision::said);
            return Ok(explanation);
        }
        let granted = self.granted(&room.name, &explanation.group);
        let date = policy.date(self.at);
        let group_row = policy.row(group_at, date);
        let row = Row::new(&group_row, granted);
        let addresses = self.addresses();
        let target = entries::Target {
            host: self.host,
            addresses: &addresses,
        };
        let hits = entries::hits(policy, self.copies, target);
        let names = self
            .host
            .map_or(Vec::new(), |host| entries::matches(&hits, host));
        let destination = Destination {
            host: self.host,
            names: &names,
            address_mask: entries::range_mask(&hits),
            literal_mask: 0,
            overrides: self.overrides(&room.name, &explanation.group),
        };
        let opinion = destination.judge(&group_row, &row);
        set(&mut explanation, opinion.verdict, opinion.reason);
        if matches!(opinion.reason, Reason::Blocked) {
            if let Some(block) = self.block() {
                explanation.entry = Some(block.target.clone());
                explanation.because = blocked_by(block);
                explanation.decision = block.decision.clone().map(Said::from);
            }
        } else if opinion.category == NO_CATEGORY {
            explanation.rule = group.map(|group| rule(policy, group.line));
            explanation.decision = group
                .and_then(|group| group.decision.as_ref())
                .map(Decision::said);
        } else {
            self.tell_rule(
                &mut explanation,
                usize::from(opinion.category),
                group_at,
                &hits,
            );
        }
        Ok(explanation)
    }

    fn tell_rule(
        &self,
        explanation: &mut Explanation,
        category: usize,
        group: usize,
        hits: &[entries::Hit],
    ) {
        let policy = &self.in_force.policy;
        explanation.category = policy
            .categories
            .get(category)
            .map(|category| category.name.clone());
        let answer = policy.answer(group, category, policy.date(self.at));
        explanation.rule = answer.as_ref().map(|answer| rule(policy, answer.line));
        explanation.decision = answer
            .and_then(|answer| answer.decision)
            .map(Decision::said);
        let speaks = hits
            .iter()
            .filter(|hit| hit.category == category)
            .max_by_key(|hit| hit.name);
        if let Some(hit) = speaks {
            explanation.list = Some(hit.list.clone());
            explanation.line = Some(hit.line);
            explanation.entry = Some(hit.entry.clone());
        }
    }

    /// The decision by which the room is closed: that of a day which does not
    /// run as usual, or of the room's timetable. By hand it needs none.
    fn door_decision(&self) -> Option<&Decision> {
        let policy = &self.in_force.policy;
        let room = policy.rooms.get(self.room)?;
        if self.holds.mode(&room.name).is_some() {
            return None;
        }
        let date = policy.date(self.at);
        let day = policy
            .calendar
            .decision(date, self.room, room.follows_calendar);
        let timetable = match room.door {
            Door::Timed { timetable, .. } => timetable.and_then(|at| policy.timetables.get(at)),
            Door::Always => None,
        };
        day.or(room.decision.as_ref())
            .or(timetable.and_then(|timetable| timetable.decision.as_ref()))
    }

    /// The address, and the IPv4 one that an IPv6 address carries.
    fn addresses(&self) -> Vec<IpAddr> {
        let embedded = match self.addr {
            Some(IpAddr::V6(address)) => {
                let bits = address.to_bits();
                embedded_ipv4((bits >> 64) as u64, bits as u64)
            }
            _ => None,
        };
        let embedded = embedded.map(|bits| IpAddr::V4(bits.into()));
        self.addr.into_iter().chain(embedded).collect()
    }

    fn overrides(&self, room: &str, group: &str) -> Overrides {
        let mut overrides = Overrides::default();
        if let Some(block) = self.block() {
            match target(&block.target) {
                Target::Range(_) => overrides.address_blocked = true,
                Target::Name(_) => overrides.name_blocked = true,
            }
        }
        overrides.name_granted = self.holds.grants_of(room, group).any(|grant| {
            matches!(&grant.what, Subject::Host(host) if self.host.is_some_and(|h| below(h, host)))
        });
        overrides
    }

    fn is_own(&self) -> bool {
        let network = &self.in_force.policy.network;
        self.addr.is_some_and(|addr| {
            network.own.iter().any(|own| own.contains(&addr)) || network.resolvers.contains(&addr)
        })
    }

    fn granted(&self, room: &str, group: &str) -> u64 {
        self.holds
            .grants_of(room, group)
            .filter_map(|grant| match &grant.what {
                Subject::Category(name) => self.in_force.policy.category(name),
                Subject::Host(_) => None,
            })
            .fold(0, |mask, category| mask | 1 << category)
    }

    fn block(&self) -> Option<&Block> {
        self.holds.blocks.iter().find(|block| {
            block.since <= self.at
                && match target(&block.target) {
                    Target::Range(range) => self.addr.is_some_and(|addr| range.contains(&addr)),
                    Target::Name(name) => self.host.is_some_and(|host| below(host, name)),
                }
        })
    }
}

/// Whether a room is open, why, and until when at least.
pub(super) fn door(
    in_force: &InForce,
    holds: &Holds,
    room: usize,
    at: Timestamp,
) -> (bool, Said, Option<Timestamp>) {
    let policy = &in_force.policy;
    let Some(this) = policy.rooms.get(room) else {
        return (false, Said::new(Message::NoTimetable), None);
    };
    if let Some(held) = holds.mode(&this.name) {
        let message = match (held.mode, &held.reason) {
            (Hold::Open, None) => Message::OpenedBy,
            (Hold::Open, Some(_)) => Message::OpenedByFor,
            (Hold::Closed, None) => Message::ClosedBy,
            (Hold::Closed, Some(_)) => Message::ClosedByFor,
        };
        let mut because = Said::new(message).with("by", &held.by);
        if let Some(reason) = &held.reason {
            because = because.with("reason", reason);
        }
        return (held.mode == Hold::Open, because, held.until);
    }
    if this.door == Door::Always {
        return (true, Message::AlwaysOpen.into(), None);
    }
    let Some(state) = state_at(policy, room, at) else {
        return (false, Message::NoTimetable.into(), None);
    };
    let Some(window) = &state.window else {
        let next = state.next.as_ref().map(|window| window.start);
        let because = state
            .closed
            .as_ref()
            .map_or_else(|| Message::NoTimetable.into(), crate::words::why);
        return (false, because, next);
    };
    if !this.supervised {
        return (true, Message::ByTimetable.into(), Some(window.end));
    }
    match holds.lease(&this.name) {
        Some(lease) => (
            true,
            Said::new(Message::HeldBy).with("teacher", &lease.holder),
            Some(lease.until.min(window.end)),
        ),
        None => (false, Message::NoHolder.into(), Some(window.end)),
    }
}

fn blocked_by(block: &Block) -> Said {
    match &block.reason {
        Some(reason) => Said::new(Message::BlockedByFor).with("reason", reason),
        None => Said::new(Message::BlockedBy),
    }
    .with("by", &block.by)
}

fn rule(policy: &Policy, line: usize) -> String {
    format!("{}:{line}", policy.path.display())
}

/// Whether `host` is `name` or lies below it.
fn below(host: &str, name: &str) -> bool {
    host.strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
