//! Commands that change something: doors, leases, grants, blocks, incidents.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use super::doors::{self, Target};
use super::interfaces::sides;
use super::{Core, Daemon, host_wrong, kernel};
use crate::calendar::state_at;
use crate::control::api::{
    AddBlock, AddGrant, CloseIncident, CouncilDecision, Detach, Detached, Identity, LiftBlock,
    OpenIdentity, ReleaseLease, ReportHost, RevokeGrant, Room, RoomMode, SetRoom, TakeLease,
    UpdateLists,
};
use crate::control::server::Serve;
use crate::control::{Code, Failure, Peer, Role};
use crate::kernel::Filter;
use crate::policy::{BareName, Door, Host};
use crate::store::blocks::{self, Block, Kind};
use crate::store::grants::{self, Grant, Scope, Subject};
use crate::store::incidents::{self, Incident};
use crate::store::leases::{self, Lease};
use crate::store::modes::{self, Hold};
use crate::store::{Change, Who};
use crate::words::{Message, Said};

/// How long before a lesson its teacher may take the room.
const EARLY: SignedDuration = SignedDuration::from_mins(15);

impl Serve<SetRoom> for Daemon {
    fn serve(&self, peer: &Peer, request: SetRoom) -> Result<Room, Failure> {
        let now = Timestamp::now();
        let room = self.in_force().room(&request.room)?;
        let until = request.span.map(|span| later(now, span)).transpose()?;
        let hold = match request.mode {
            RoomMode::Open => Some((Hold::Open, until)),
            RoomMode::Closed => Some((Hold::Closed, until)),
            RoomMode::Auto => None,
        };
        let who = peer.who();
        let reason = request.reason.as_deref();
        self.store().change(&who, now, |connection| {
            modes::set(connection, &request.room, hold, &who, reason, now)
        })?;
        self.write_doors()?;
        self.wake.notify_one();
        self.room_now(room)
    }
}

impl Serve<TakeLease> for Daemon {
    fn serve(&self, peer: &Peer, request: TakeLease) -> Result<Lease, Failure> {
        let now = Timestamp::now();
        let in_force = self.in_force();
        let at = in_force.room(&request.room)?;
        let policy = &in_force.policy;
        if !policy.rooms.get(at).is_some_and(|room| room.supervised) {
            return Err(Failure::new(
                Code::Refused,
                Said::new(Message::NotSupervised).with("room", &request.room),
            ));
        }
        let state = state_at(policy, at, now);
        let next = state.as_ref().and_then(|state| state.next.as_ref());
        let soon = next.filter(|window| window.start.duration_since(now) <= EARLY);
        let window = state.as_ref().and_then(|state| state.window.as_ref());
        let until = match (window.or(soon), policy.rooms.get(at).map(|room| &room.door)) {
            // Without a timetable there is no bell: a day at the most.
            (_, Some(Door::Always)) => later(now, SignedDuration::from_hours(12))?,
            (Some(window), _) => window.end,
            (None, _) => {
                let said = match next {
                    Some(window) => {
                        let start = policy.timezone.to_datetime(window.start);
                        Said::new(Message::NoLessonNext)
                            .with("start", start.strftime("%Y-%m-%d %H:%M"))
                    }
                    None => Said::new(Message::NoLessonNow),
                };
                return Err(Failure::new(
                    Code::Refused,
                    said.with("room", &request.room),
                ));
            }
        };
        let who = peer.who();
        let lease = self.store().change(&who, now, |connection| {
            leases::take(connection, &request.room, &who, now, until)
        })?;
        self.write_doors()?;
        self.wake.notify_one();
        Ok(lease)
    }
}

impl Serve<ReleaseLease> for Daemon {
    fn serve(&self, peer: &Peer, request: ReleaseLease) -> Result<Lease, Failure> {
        let now = Timestamp::now();
        self.in_force().room(&request.room)?;
        let who = peer.who();
        let any = peer.role >= Some(Role::Responsible);
        let lease = self.store().change(&who, now, |connection| {
            leases::release(connection, &request.room, &who, any, now)
        })?;
        self.write_doors()?;
        Ok(lease)
    }
}

impl Serve<AddGrant> for Daemon {
    fn serve(&self, peer: &Peer, request: AddGrant) -> Result<Grant, Failure> {
        let now = Timestamp::now();
        let in_force = self.in_force();
        let policy = &in_force.policy;
        let group = match &request.scope {
            Scope::Room(room) => in_force.group_in(in_force.room(room)?),
            Scope::Group(group) => policy.group(group).ok_or_else(|| {
                Failure::not_found(Said::new(Message::NoSuchGroup).with("group", group))
            })?,
        };
        let what = match request.what {
            Subject::Category(name) => {
                let category = policy.category(&name).ok_or_else(|| {
                    Failure::not_found(Said::new(Message::NoSuchCategory).with("category", &name))
                })?;
                let answer = policy.answer(group, category, policy.date(now));
                if answer.is_some_and(|answer| answer.locked) {
                    return Err(Failure::new(
                        Code::Refused,
                        Said::new(Message::CategoryLocked).with("category", name),
                    ));
                }
                Subject::Category(name)
            }
            Subject::Host(host) => Subject::Host(host_name(&host)?),
        };
        let until = later(now, request.span)?;
        if request.reason.trim().is_empty() {
            return Err(Failure::bad_request(Message::GrantNeedsReason));
        }
        let who = peer.who();
        let grant = self.store().change(&who, now, |connection| {
            let reason = &request.reason;
            grants::add(connection, &what, &request.scope, &who, reason, now, until)
        })?;
        self.grants_changed()?;
        Ok(grant)
    }
}

impl Serve<RevokeGrant> for Daemon {
    fn serve(&self, peer: &Peer, request: RevokeGrant) -> Result<Grant, Failure> {
        let now = Timestamp::now();
        let who = peer.who();
        let grant = self.store().change(&who, now, |connection| {
            grants::revoke(connection, request.id, &who, request.reason.as_deref(), now)
        })?;
        self.grants_changed()?;
        Ok(grant)
    }
}

impl Serve<AddBlock> for Daemon {
    fn serve(&self, peer: &Peer, request: AddBlock) -> Result<Block, Failure> {
        self.block(
            &peer.who(),
            &self.foreign(&canonical(&request.target)?)?,
            Kind::Block,
            request.reason.as_deref(),
        )
    }
}

impl Serve<ReportHost> for Daemon {
    fn serve(&self, peer: &Peer, request: ReportHost) -> Result<Block, Failure> {
        self.block(
            &peer.who(),
            &host_name(&request.host)?,
            Kind::Report,
            request.reason.as_deref(),
        )
    }
}

impl Serve<LiftBlock> for Daemon {
    fn serve(&self, peer: &Peer, request: LiftBlock) -> Result<Block, Failure> {
        let now = Timestamp::now();
        let who = peer.who();
        let target = canonical(&request.target)?;
        let block = self.store().change(&who, now, |connection| {
            blocks::lift(connection, &target, &who, request.reason.as_deref(), now)
        })?;
        self.write_overrides()?;
        Ok(block)
    }
}

impl Serve<CouncilDecision> for Daemon {
    fn serve(&self, peer: &Peer, request: CouncilDecision) -> Result<Block, Failure> {
        let now = Timestamp::now();
        let who = peer.who();
        let decision = request.decision.as_deref();
        let block = self.store().change(&who, now, |connection| {
            blocks::council(connection, request.id, request.keep, &who, decision, now)
        })?;
        self.write_overrides()?;
        Ok(block)
    }
}

impl Serve<CloseIncident> for Daemon {
    fn serve(&self, peer: &Peer, request: CloseIncident) -> Result<Incident, Failure> {
        let now = Timestamp::now();
        let who = peer.who();
        Ok(self.store().change(&who, now, |connection| {
            incidents::close(connection, request.id, &who, request.note.as_deref(), now)
        })?)
    }
}

impl Serve<OpenIdentity> for Daemon {
    fn serve(&self, peer: &Peer, request: OpenIdentity) -> Result<Identity, Failure> {
        if request.reason.trim().is_empty() {
            return Err(Failure::bad_request(Message::IdentityNeedsReason));
        }
        let now = Timestamp::now();
        let mut store = self.store();
        let incident = store.read(|connection| incidents::by_id(connection, request.id))?;
        let address = store.change(&peer.who(), now, |connection| {
            incidents::identity(connection, request.id, &request.reason)
        })?;
        Ok(Identity {
            pseudonym: incident.pseudonym,
            address,
        })
    }
}

impl Serve<UpdateLists> for Daemon {
    fn serve(
        &self,
        peer: &Peer,
        request: UpdateLists,
    ) -> Result<Vec<crate::control::api::List>, Failure> {
        self.update_lists(&peer.who(), request.force)?;
        Ok(self.lists())
    }
}

impl Serve<Detach> for Daemon {
    fn serve(&self, peer: &Peer, request: Detach) -> Result<Detached, Failure> {
        let in_force = self.in_force();
        let named = sides(&in_force.policy);
        let interfaces: Vec<String> = named.map(|(name, _)| name.to_owned()).collect();
        // An apply that is under way would put it on again.
        let _alone = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let core = self.core();
        Filter::detach(&self.options.pins).map_err(|error| kernel(&error))?;
        self.off.store(true, Ordering::Relaxed);
        drop(core);
        self.store().change(&peer.who(), Timestamp::now(), |_| {
            Ok(Change::new("detach", interfaces.join(" "), ()).why(Some(&request.reason)))
        })?;
        self.stop.notify_one();
        Ok(Detached { interfaces })
    }
}

impl Daemon {
    /// Refuses what lies in the school's own networks: those always pass, and
    /// a block of them would be in force in words only.
    fn foreign(&self, target: &str) -> Result<String, Failure> {
        let in_force = self.in_force();
        let own = in_force.policy.network.own.iter();
        match target.parse::<IpNet>() {
            Ok(range) if own.clone().any(|own| own.contains(&range)) => Err(Failure::new(
                Code::Refused,
                Said::new(Message::OwnNeverBlocked).with("target", target),
            )),
            _ => Ok(target.to_owned()),
        }
    }

    /// The kernel first: the block is in force before the disk is asked, and
    /// an apply that reads the store meanwhile does not undo it.
    fn block(
        &self,
        who: &Who,
        target: &str,
        kind: Kind,
        reason: Option<&str>,
    ) -> Result<Block, Failure> {
        let now = Timestamp::now();
        let mut core = self.core();
        core.blocking.push(target.to_owned());
        let enforced = core.enforce(target, 0);
        drop(core);
        let kept = enforced.and_then(|()| {
            let add = self.store().change(who, now, |connection| {
                blocks::add(connection, target, kind, who, reason, now)
            });
            add.map_err(Failure::from)
        });
        let mut store = self.store();
        let holds = doors::Holds::at(&mut store, now)?;
        let mut core = self.core();
        if let Some(at) = core.blocking.iter().position(|other| other == target) {
            core.blocking.swap_remove(at);
        }
        core.replace_overrides(&holds)?;
        kept
    }

    fn grants_changed(&self) -> Result<(), Failure> {
        self.write_doors()?;
        self.write_overrides()?;
        self.wake.notify_one();
        Ok(())
    }
}

impl Core {
    fn enforce(&mut self, target: &str, id: i64) -> Result<(), Failure> {
        let secret = self.filter.secret();
        let everyone = filter_ebpf::abi::Scope::Everyone;
        let what = doors::blocked(id);
        match doors::target(target) {
            Target::Range(range) => self.overrides.set_range(range, everyone, what),
            Target::Name(name) => {
                self.overrides
                    .set_name(doors::name_hash(&secret, name), everyone, what)
            }
        }
        .map_err(|error| kernel(&error))
    }
}

fn later(now: Timestamp, span: SignedDuration) -> Result<Timestamp, Failure> {
    if span <= SignedDuration::ZERO || span > SignedDuration::from_hours(366 * 24) {
        return Err(Failure::bad_request(Message::SpanWrong));
    }
    now.checked_add(span)
        .map_err(|error| Failure::bad_request(error.to_string()))
}

fn host_name(text: &str) -> Result<String, Failure> {
    Host::parse(text, BareName::Subtree, false)
        .map(|host| host.name)
        .map_err(|error| host_wrong(text, &error))
}

/// A range in CIDR notation, or a host's canonical name.
fn canonical(text: &str) -> Result<String, Failure> {
    let range = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    let Ok(range) = range else {
        return host_name(text);
    };
    let least = match range {
        IpNet::V4(_) => 8,
        IpNet::V6(_) => 16,
    };
    if range.prefix_len() < least {
        return Err(Failure::bad_request(
            Said::new(Message::RangeTooWide)
                .with("range", range)
                .with("least", least),
        ));
    }
    Ok(range.trunc().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_one_spelling() {
        for (text, want) in [
            ("Example.ORG.", "example.org"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("2001:DB8::1", "2001:db8::1/128"),
        ] {
            assert_eq!(canonical(text).unwrap(), want);
        }
        for text in [
            "0.0.0.0/0",
            "10.0.0.0/7",
            "::/0",
            "com",
            "https://a.example/",
            "a b",
            "",
        ] {
            assert_eq!(
                canonical(text).unwrap_err().code,
                Code::BadRequest,
                "{text}"
            );
        }
    }
}
