//! What happens to a destination at any moment, and why.
//!
//! The matrix is asked by the very code that the kernel runs
//! ([`filter_ebpf::judge`]); lists are read again, to tell the line.

use std::collections::BTreeMap;
use std::net::IpAddr;

use filter_ebpf::abi::{Reason, Verdict};
use filter_ebpf::judge::{NO_CATEGORY, Opinion, Row};
use jiff::Timestamp;

use super::doors::{Holds, Target, target};
use super::{Daemon, InForce, build, host_wrong, state_folder};
use crate::calendar::state_at;
use crate::calendar::windows::group_at;
use crate::control::api::{Explain, Explanation};
use crate::control::server::Serve;
use crate::control::{Failure, Peer};
use crate::lists::{self, Name, Question, Scope, Source, update};
use crate::policy::{BareName, Door, Host, Policy};
use crate::store::grants::Subject;
use crate::store::modes::Hold;
use crate::words::{Message, Said};

/// Lines of one list that are looked at.
const MAX_MATCHES: usize = 16;

impl Serve<Explain> for Daemon {
    fn serve(&self, _: &Peer, request: Explain) -> Result<Explanation, Failure> {
        let in_force = self.in_force();
        let at = moment(&in_force.policy, request.at.as_deref())?;
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
        let holds = Holds::at(&mut self.store(), at)?;
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

/// Reads a moment: RFC 3339, or by the clock on the school's wall.
pub(super) fn moment(policy: &Policy, text: Option<&str>) -> Result<Timestamp, Failure> {
    let Some(text) = text else {
        return Ok(Timestamp::now());
    };
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

/// An entry that speaks about the destination.
#[derive(Clone, Debug)]
struct Hit {
    category: usize,
    /// Labels of the name, and whether it means this host only; `None` for a
    /// range.
    name: Option<(usize, bool)>,
    list: String,
    line: usize,
    entry: String,
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
            set(&mut explanation, Verdict::Reject, Reason::RoomClosed);
            explanation.because = because;
            explanation.rule = Some(rule(policy, room.line));
            explanation.decision = room.decision.as_ref().map(ToString::to_string);
            return Ok(explanation);
        }
        let granted = self.granted(&room.name, &explanation.group);
        let date = policy.date(self.at);
        let group_row = policy.row(group_at, date);
        let row = Row::new(&group_row, granted);
        let hits = self.hits()?;
        let opinion = self.judge(&row, &hits, &room.name, &explanation, &group_row);
        set(&mut explanation, opinion.verdict, opinion.reason);
        if matches!(opinion.reason, Reason::Blocked) {
            if let Some(block) = self.block() {
                explanation.entry = Some(block.target.clone());
                explanation.decision = block.decision.clone().or_else(|| block.reason.clone());
            }
        } else if opinion.category == NO_CATEGORY {
            explanation.rule = group.map(|group| rule(policy, group.line));
            explanation.decision = group
                .and_then(|group| group.decision.as_ref())
                .map(ToString::to_string);
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
        hits: &[Hit],
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
            .map(ToString::to_string);
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

    fn judge(
        &self,
        row: &Row,
        hits: &[Hit],
        room: &str,
        explanation: &Explanation,
        group: &filter_ebpf::abi::Group,
    ) -> Opinion {
        let bit = |hit: &Hit| 1_u64 << hit.category.min(63);
        let all = hits.iter().fold(0, |mask, hit| mask | bit(hit));
        let plain = |verdict, reason| Opinion {
            verdict,
            reason,
            category: NO_CATEGORY,
        };
        if self.block().is_some() {
            return plain(row.refuse, Reason::Blocked);
        }
        if row.is_locked(all)
            && let Some(opinion) = row.name(all & row.locked)
        {
            return opinion;
        }
        let host_granted = self.holds.grants_of(room, &explanation.group).any(|grant| {
            matches!(&grant.what, Subject::Host(host) if self.host.is_some_and(|h| below(h, host)))
        });
        if host_granted {
            return plain(Verdict::Pass, Reason::Granted);
        }
        let ranges = hits
            .iter()
            .filter(|hit| hit.name.is_none())
            .fold(0, |mask, hit| mask | bit(hit));
        let by_range = row.range(ranges);
        if let Some(opinion) = by_range.filter(|opinion| opinion.verdict != Verdict::Pass) {
            return opinion;
        }
        let mut names: BTreeMap<(usize, bool), u64> = BTreeMap::new();
        for hit in hits {
            if let Some(name) = hit.name {
                *names.entry(name).or_default() |= bit(hit);
            }
        }
        let by_name = names.values().rev().find_map(|mask| row.name(*mask));
        if let Some(opinion) = by_name.or(by_range) {
            return opinion;
        }
        if self.host.is_none() && row.by_name() {
            return row.unjudged(group.unnamed, Reason::Unnamed);
        }
        row.default()
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

    fn block(&self) -> Option<&crate::store::blocks::Block> {
        self.holds.blocks.iter().find(|block| {
            block.since <= self.at
                && match target(&block.target) {
                    Target::Range(range) => self.addr.is_some_and(|addr| range.contains(&addr)),
                    Target::Name(name) => self.host.is_some_and(|host| below(host, name)),
                }
        })
    }

    /// Every entry of the policy and its lists that speaks about the
    /// destination.
    fn hits(&self) -> Result<Vec<Hit>, Failure> {
        let policy = &self.in_force.policy;
        let own = policy.path.display().to_string();
        let mut hits = Vec::new();
        for (number, category) in policy.categories.iter().enumerate() {
            for inline in &category.hosts {
                let exact = inline.host.reach == BareName::Host;
                let name = &inline.host.name;
                if self.host.is_some_and(|host| matches(host, name, exact)) {
                    hits.push(Hit {
                        category: number,
                        name: Some((labels(name), exact)),
                        list: own.clone(),
                        line: inline.line,
                        entry: name.clone(),
                    });
                }
            }
            for inline in &category.ranges {
                if self.addr.is_some_and(|addr| inline.net.contains(&addr)) {
                    hits.push(Hit {
                        category: number,
                        name: None,
                        list: own.clone(),
                        line: inline.line,
                        entry: inline.net.to_string(),
                    });
                }
            }
            for source in &category.lists {
                self.list(number, source, &mut hits)?;
            }
        }
        Ok(hits)
    }

    fn list(
        &self,
        category: usize,
        source: &crate::policy::ListSource,
        hits: &mut Vec<Hit>,
    ) -> Result<(), Failure> {
        let policy = &self.in_force.policy;
        let options = source.options(policy);
        let location = build::location(policy, source);
        let direct = build::direct(policy, source);
        let copy = match &direct {
            Some(_) => None,
            None => {
                let name = build::subscription(policy, source).name;
                self.copies.copy(&name).ok().flatten()
            }
        };
        let from = match (&direct, &copy) {
            (Some(path), _) => Source::File(path),
            (None, Some(copy)) => copy.source(),
            // There never was a copy, so nothing of it is in the image.
            (None, None) => return Ok(()),
        };
        let name = self.host.and_then(|host| Name::parse(host.as_bytes()).ok());
        let questions = name
            .as_ref()
            .map(Question::Name)
            .into_iter()
            .chain(self.addr.map(Question::Address));
        for question in questions {
            let found = lists::find(&from, &options, question, MAX_MATCHES).unwrap_or_default();
            // What the list lets off itself is not in the image either.
            let (exceptions, found): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|found| found.exception);
            let is_let_off = |found: &lists::Match| {
                exceptions.iter().any(|exception| {
                    exception.entry == found.entry
                        && (exception.scope == found.scope
                            || exception.scope == Some(Scope::Subtree))
                })
            };
            for found in found.into_iter().filter(|found| !is_let_off(found)) {
                let place = if found.file.is_empty() {
                    location.clone()
                } else {
                    format!("{location}!{}", found.file)
                };
                hits.push(Hit {
                    category,
                    name: found
                        .scope
                        .map(|scope| (labels(&found.entry), scope == Scope::Exact)),
                    list: place,
                    line: found.line as usize,
                    entry: found.entry,
                });
            }
        }
        Ok(())
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

fn rule(policy: &Policy, line: usize) -> String {
    format!("{}:{line}", policy.path.display())
}

fn labels(name: &str) -> usize {
    name.split('.').count()
}

fn matches(host: &str, name: &str, exact: bool) -> bool {
    if exact {
        host == name
    } else {
        below(host, name)
    }
}

/// Whether `host` is `name` or lies below it.
fn below(host: &str, name: &str) -> bool {
    host.strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
