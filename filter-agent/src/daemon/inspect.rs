//! Commands that only ask.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::doors::Holds;
use super::{Daemon, explain};
use crate::calendar::{WindowKind, state_at};
use crate::control::api::{
    Audit, AuditQuery, BlocksQuery, GenerationsQuery, GrantsQuery, IncidentQuery, IncidentsQuery,
    List, ListsQuery, Room, RoomsQuery, Status, StatusQuery,
};
use crate::control::server::{Agent, Serve};
use crate::control::{Code, Credentials, Failure, Peer, Role};
use crate::kernel::{Filter, LostEvents, monotonic_now};
use crate::metrics::{self, Snapshot, Totals};
use crate::policy::Policy;
use crate::store::audit;
use crate::store::blocks::{self, Block};
use crate::store::generations::{self, Generation};
use crate::store::grants::{self, Grant};
use crate::store::incidents::{self, Incident};
use crate::words::{Message, Said};

/// Who follow the events at once.
const MAX_FOLLOWERS: usize = 16;
/// Lines that wait for a slow follower before they are dropped.
const FOLLOWER_QUEUE: usize = 256;
/// Counting the entries of full maps takes some tens of milliseconds.
const FILL_EVERY: Duration = Duration::from_secs(10);
/// Entries of the kernel's override tables.
const NAME_OVERRIDES: f64 = 65_536.0;
const RANGE_OVERRIDES: f64 = 16_384.0;

impl Agent for Daemon {
    fn role(&self, credentials: &Credentials) -> Option<Role> {
        if credentials.is_root() {
            return Some(Role::Admin);
        }
        let in_force = self.in_force();
        let roles = &in_force.policy.roles;
        let of = [
            (&roles.admin, Role::Admin),
            (&roles.responsible, Role::Responsible),
            (&roles.teacher, Role::Teacher),
            (&roles.read_only, Role::ReadOnly),
        ];
        of.into_iter()
            .find(|(groups, _)| credentials.in_any(groups))
            .map(|(_, role)| role)
    }

    fn timezone(&self) -> TimeZone {
        self.in_force().policy.timezone.clone()
    }

    fn follow(&self) -> Result<mpsc::Receiver<Bytes>, Failure> {
        let (sender, receiver) = mpsc::channel(FOLLOWER_QUEUE);
        let mut followers = self
            .followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        followers.retain(|follower| !follower.is_closed());
        if followers.len() >= MAX_FOLLOWERS {
            return Err(Failure::new(
                Code::Busy,
                "too many follow the events already",
            ));
        }
        followers.push(sender);
        Ok(receiver)
    }
}

impl Serve<StatusQuery> for Daemon {
    fn serve(&self, _: &Peer, _: StatusQuery) -> Result<Status, Failure> {
        let now = Timestamp::now();
        let in_force = self.in_force();
        let mut store = self.store();
        let holds = Holds::at(&mut store, now)?;
        let reports = store.read(blocks::queue)?.len();
        let open = incidents::Filter {
            open: true,
            ..incidents::Filter::default()
        };
        let incidents_open = store
            .read(|connection| incidents::list(connection, &open))?
            .len();
        let mut warnings: Vec<Said> = store
            .degraded()
            .map(|why| Said::new(Message::StoreInMemory).with("why", why))
            .into_iter()
            .collect();
        let aside = store.set_aside();
        warnings.extend(aside.map(|why| Said::new(Message::StoreSetAside).with("why", why)));
        drop(store);
        let interfaces = self.interfaces(&in_force);
        warnings.extend(self.loose_warnings(&interfaces));
        let no_metrics = self.no_metrics.lock();
        let no_metrics = no_metrics.unwrap_or_else(PoisonError::into_inner).clone();
        warnings.extend(no_metrics.map(|why| Said::new(Message::MetricsDown).with("why", why)));
        for list in &self.lists() {
            if let Some(problem) = &list.problem {
                let said = Said::new(Message::ListProblem).with("category", &list.category);
                warnings.push(said.with("problem", problem));
            }
        }
        let rooms_open = (0..in_force.policy.rooms.len())
            .filter(|room| explain::door(&in_force, &holds, *room, now).0)
            .count();
        let (passed, refused) = self.totals().all();
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            school: in_force.policy.school.clone(),
            started: self.started,
            generation: in_force.generation,
            policy: in_force.policy.path.display().to_string(),
            applied: in_force.applied,
            applied_by: in_force.by.clone(),
            load_ms: in_force.load.as_millis() as u64,
            interfaces,
            rooms: in_force.policy.rooms.len(),
            rooms_open,
            known_until: self
                .known_for()
                .map(|ahead| now.checked_add(ahead).unwrap_or(now)),
            leases: holds.leases.len(),
            grants: holds.grants.len(),
            blocks: holds.blocks.len(),
            reports,
            incidents_open,
            passed,
            refused,
            events_lost: self.lost().full,
            warnings,
            shadow: self
                .shadow
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
                .map(super::shadow::Shadow::told),
        })
    }
}

impl Serve<RoomsQuery> for Daemon {
    fn serve(&self, _: &Peer, _: RoomsQuery) -> Result<Vec<Room>, Failure> {
        let holds = Holds::at(&mut self.store(), Timestamp::now())?;
        let totals = self.totals();
        let in_force = self.in_force();
        Ok((0..in_force.policy.rooms.len())
            .filter_map(|room| self.room(room, &holds, &totals))
            .collect())
    }
}

impl Serve<GrantsQuery> for Daemon {
    fn serve(&self, _: &Peer, request: GrantsQuery) -> Result<Vec<Grant>, Failure> {
        let now = Timestamp::now();
        let month = now
            .checked_sub(SignedDuration::from_hours(30 * 24))
            .unwrap_or(Timestamp::MIN);
        Ok(self.store().read(|connection| {
            if request.all {
                grants::since(connection, month)
            } else {
                grants::in_force(connection, now)
            }
        })?)
    }
}

impl Serve<BlocksQuery> for Daemon {
    fn serve(&self, _: &Peer, request: BlocksQuery) -> Result<Vec<Block>, Failure> {
        Ok(self.store().read(if request.queued {
            blocks::queue
        } else {
            blocks::in_force
        })?)
    }
}

impl Serve<GenerationsQuery> for Daemon {
    fn serve(&self, _: &Peer, _: GenerationsQuery) -> Result<Vec<Generation>, Failure> {
        Ok(self.store().read(generations::list)?)
    }
}

impl Serve<IncidentsQuery> for Daemon {
    fn serve(&self, _: &Peer, request: IncidentsQuery) -> Result<Vec<Incident>, Failure> {
        let filter = incidents::Filter {
            room: request.room,
            from: self.moment(request.from)?,
            to: self.moment(request.to)?,
            open: request.open,
        };
        Ok(self
            .store()
            .read(|connection| incidents::list(connection, &filter))?)
    }
}

impl Serve<IncidentQuery> for Daemon {
    fn serve(&self, _: &Peer, request: IncidentQuery) -> Result<Incident, Failure> {
        Ok(self
            .store()
            .read(|connection| incidents::by_id(connection, request.id))?)
    }
}

impl Serve<AuditQuery> for Daemon {
    fn serve(&self, _: &Peer, request: AuditQuery) -> Result<Audit, Failure> {
        let filter = audit::Filter {
            since: self.moment(request.since)?,
            who: request.who,
            action: request.action,
            limit: request.limit,
        };
        let mut store = self.store();
        Ok(Audit {
            entries: store.read(|connection| audit::list(connection, &filter))?,
            broken_at: store.read(audit::verify)?,
        })
    }
}

impl Serve<ListsQuery> for Daemon {
    fn serve(&self, _: &Peer, _: ListsQuery) -> Result<Vec<List>, Failure> {
        Ok(self.lists())
    }
}

impl Daemon {
    fn moment(&self, text: Option<String>) -> Result<Option<Timestamp>, Failure> {
        text.map(|text| explain::moment(&self.in_force().policy, &text))
            .transpose()
    }

    /// The lists in force, and why newer copies of them were not taken.
    pub(super) fn lists(&self) -> Vec<List> {
        let mut lists = self.in_force().lists.clone();
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for list in &mut lists {
            if list.problem.is_none() {
                list.problem = refused.get(&list.source).cloned();
            }
        }
        lists
    }

    /// A room as it is now.
    pub(super) fn room_now(&self, room: usize) -> Result<Room, Failure> {
        let holds = Holds::at(&mut self.store(), Timestamp::now())?;
        self.room(room, &holds, &self.totals())
            .ok_or_else(|| Failure::not_found("the room has gone"))
    }

    fn room(&self, at: usize, holds: &Holds, totals: &Totals) -> Option<Room> {
        let now = Timestamp::now();
        let in_force = self.in_force();
        let policy = &in_force.policy;
        let room = policy.rooms.get(at)?;
        let (open, because, until) = explain::door(&in_force, holds, at, now);
        let (passed, refused) = totals.of_room(&room.name);
        let group = policy.groups.get(in_force.group_in(at));
        Some(Room {
            name: room.name.clone(),
            title: room.title.clone(),
            tag: room.tag.to_string(),
            group: group.map(|group| group.name.clone()).unwrap_or_default(),
            open,
            because,
            until,
            lesson: lesson(policy, at, now),
            holder: holds.lease(&room.name).map(|lease| lease.holder.clone()),
            held: holds.mode(&room.name).cloned(),
            passed,
            refused,
        })
    }

    /// How far ahead the kernel knows every timetable; `None` when no room
    /// has one.
    fn known_for(&self) -> Option<SignedDuration> {
        let until = self.core().known_until()?;
        let ahead = until.saturating_sub(monotonic_now());
        Some(SignedDuration::from_nanos(ahead.min(i64::MAX as u64) as i64))
    }

    /// Events that did not come through, or were not understood.
    fn lost(&self) -> LostEvents {
        let mut lost = self
            .core()
            .filter
            .shared()
            .lost_events()
            .unwrap_or_default();
        lost.full += self.counts.events_lost.load(Ordering::Relaxed);
        lost
    }

    /// How full the maps of flows and hellos are. Counted without the core's
    /// lock, and not for every scraper anew.
    fn fill(&self) -> Vec<(&'static str, f64)> {
        let mut fill = self.fill.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = fill
            .as_ref()
            .is_some_and(|(at, _)| at.elapsed() < FILL_EVERY);
        if !fresh {
            // A map that cannot be read is not shown.
            let read = Filter::open(&self.options.pins).and_then(|filter| filter.shared().fill());
            *fill = Some((Instant::now(), read.unwrap_or_default()));
        }
        fill.iter().flat_map(|(_, fill)| fill).copied().collect()
    }

    /// The page for Prometheus.
    pub(super) fn metrics(&self) -> Result<String, String> {
        let now = Timestamp::now();
        let in_force = self.in_force();
        let mut store = self.store();
        let failed = |error: crate::store::StoreError| error.to_string();
        let holds = Holds::at(&mut store, now).map_err(failed)?;
        let open = incidents::Filter {
            open: true,
            ..incidents::Filter::default()
        };
        let incidents = store
            .read(|connection| incidents::list(connection, &open))
            .map_err(failed)?;
        let reports = store.read(blocks::queue).map_err(failed)?.len();
        let store_degraded = store.degraded().is_some();
        let store_set_aside = store.set_aside().is_some();
        drop(store);
        let seconds = |since: Timestamp| now.duration_since(since).as_secs_f64();
        let mut position = std::collections::BTreeMap::new();
        let lists = in_force
            .lists
            .iter()
            .map(|list| {
                let number = position.entry(list.category.clone()).or_insert(0);
                *number += 1;
                let age = list.updated.map_or(f64::INFINITY, seconds);
                (list.category.clone(), *number, age)
            })
            .collect();
        let (names, ranges) = self.core().overrides.counts();
        let mut maps = vec![
            ("override_names", names as f64 / NAME_OVERRIDES),
            ("override_ranges", ranges as f64 / RANGE_OVERRIDES),
        ];
        maps.extend(self.fill());
        let lost = self.lost();
        let snapshot = Snapshot {
            totals: self.totals(),
            rooms: (0..)
                .zip(&in_force.policy.rooms)
                .map(|(at, room)| {
                    let (open, ..) = explain::door(&in_force, &holds, at, now);
                    (room.name.clone(), open)
                })
                .collect(),
            generation: in_force.generation,
            policy_age_seconds: seconds(in_force.applied),
            policy_load_seconds: in_force.load.as_secs_f64(),
            apply_failures: self.counts.apply_failures.load(Ordering::Relaxed),
            attached: self
                .interfaces(&in_force)
                .into_iter()
                .map(|i| (i.name, i.side, i.mode))
                .collect(),
            lists,
            maps,
            events: self.counts.events.load(Ordering::Relaxed),
            events_lost: lost.full,
            events_suppressed: lost.over,
            leases: holds.leases.len(),
            grants: holds.grants.len(),
            blocks: holds.blocks.len(),
            reports,
            incidents_open: incidents.len(),
            incidents: self.counts.incidents.load(Ordering::Relaxed),
            notifications_dropped: self.notifier.dropped(),
            store_degraded,
            store_set_aside,
            known_seconds: self.known_for().map(|ahead| ahead.as_secs_f64()),
        };
        metrics::render(&snapshot).map_err(|error| error.to_string())
    }
}

/// The lesson in a room at a moment, written so that it reads alike in every
/// language: shift, number, class.
pub(super) fn lesson(policy: &Policy, room: usize, at: Timestamp) -> Option<String> {
    let window = state_at(policy, room, at)?.window?;
    match window.kind {
        WindowKind::Lesson {
            number,
            shift,
            class,
            ..
        } => {
            let shift = if shift.is_empty() {
                shift
            } else {
                format!("{shift}, ")
            };
            let class = class.map(|class| format!(" ({class})")).unwrap_or_default();
            Some(format!("{shift}№{number}{class}"))
        }
        WindowKind::Plain { .. } => {
            let time = |at| {
                policy
                    .timezone
                    .to_datetime(at)
                    .strftime("%H:%M")
                    .to_string()
            };
            Some(format!("{}–{}", time(window.start), time(window.end)))
        }
        WindowKind::Always => None,
    }
}
