//! From the kernel's events to followers and incidents.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use axum::body::Bytes;
use filter_ebpf::abi::{Event, Protocol, Reason, Verdict};
use jiff::{SignedDuration, Timestamp};

use super::notify::Ways;
use super::watch::{Found, Key, Limits};
use super::{Daemon, InForce, clock, inspect};
use crate::control::api::EventLine;
use crate::store::{Device, Salt, incidents};

/// Lessons whose salts are in memory.
const MAX_SALTS: usize = 256;

impl Daemon {
    /// Takes one event in.
    pub(super) fn event(&self, event: &Event) {
        self.counts.events.fetch_add(1, Ordering::Relaxed);
        let Some(in_force) = self.policy_of(event.generation) else {
            self.counts.events_lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let Some(room) = in_force.policy.rooms.get(usize::from(event.room)) else {
            return;
        };
        let now = Timestamp::now();
        let lesson = lesson_key(&in_force, usize::from(event.room), now);
        let device = Device(event.key.client);
        let host = name(event);
        let category = in_force.policy.categories.get(usize::from(event.category));
        let reason = Reason::from_u8(event.reason);
        let verdict = Verdict::from_u8(event.verdict);
        if let Some(shadow) = &mut *self.shadow.lock().unwrap_or_else(PoisonError::into_inner) {
            let category = category.map(|category| &*category.name);
            shadow.compare(&room.name, host.as_deref(), category, event, now);
        }
        if verdict == Verdict::Pass {
            // Told for the comparison alone; no eye watches who reads what.
            return;
        }
        self.tell_followers(|| {
            Some(EventLine {
                time: wall(event.time),
                room: room.name.clone(),
                group: in_force
                    .policy
                    .groups
                    .get(usize::from(event.group))
                    .map(|group| group.name.clone())
                    .unwrap_or_default(),
                verdict: verdict.name().to_owned(),
                reason: reason.name().to_owned(),
                category: category.map(|category| category.name.clone()),
                proto: Protocol::from_u8(event.protocol).name().to_owned(),
                host: host.clone(),
                device: self.salt(&lesson)?.pseudonym(device),
                port: event.key.server_port,
            })
        });
        if !is_try(reason) {
            return;
        }
        let category = match category {
            Some(category) => category.name.clone(),
            None if reason == Reason::Blocked => "blocked".to_owned(),
            None => return,
        };
        let key = Key {
            device,
            room: room.name.clone(),
            category,
            lesson,
        };
        let found = self
            .watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(key, host.as_deref(), now, limits(&in_force));
        if let Some(found) = found {
            self.incident(&in_force, &found);
        }
    }

    /// Writes what is left of incidents that go on.
    pub(super) fn flush_incidents(&self) {
        let in_force = self.in_force();
        let found = self
            .watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .flush(Timestamp::now(), limits(&in_force));
        for found in found {
            self.incident(&in_force, &found);
        }
    }

    fn incident(&self, in_force: &InForce, found: &Found) {
        let Some(salt) = self.salt(&found.key.lesson) else {
            return;
        };
        let policy = &in_force.policy;
        let room = policy
            .room(&found.key.room)
            .and_then(|at| policy.rooms.get(at));
        let recorded = self.store().write(|connection| {
            let seen = incidents::Sighting {
                device: found.key.device,
                room: &found.key.room,
                lesson: &found.key.lesson,
                class_teacher: room.and_then(|room| room.class_teacher.as_deref()),
                category: &found.key.category,
                tries: found.tries,
                hosts: &found.hosts,
                last: found.last,
            };
            incidents::record(connection, &salt, &seen)
        });
        match recorded {
            Ok((incident, true)) => {
                self.counts.incidents.fetch_add(1, Ordering::Relaxed);
                let settings = &policy.settings;
                let ways = Ways {
                    webhook: settings.webhook.clone(),
                    mail_command: settings.mail_command.clone(),
                    per_hour: settings.notify_per_hour,
                };
                self.notifier.tell(ways, incident);
            }
            Ok((_, false)) => {}
            Err(error) => eprintln!("filter-agent: an incident was not stored: {error}"),
        }
    }

    fn policy_of(&self, generation: u32) -> Option<Arc<InForce>> {
        let core = self.core();
        if core.now.generation == generation {
            return Some(Arc::clone(&core.now));
        }
        core.before
            .as_ref()
            .filter(|before| before.generation == generation)
            .map(Arc::clone)
    }

    /// The lesson's salt: the store's where an incident made one, else one in
    /// memory alone.
    fn salt(&self, lesson: &str) -> Option<Salt> {
        let mut salts = self.salts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(salt) = salts.get(lesson) {
            return Some(salt.clone());
        }
        if salts.len() >= MAX_SALTS {
            salts.clear();
        }
        drop(salts);
        let kept = self.store().read(|connection| Salt::of(connection, lesson));
        let salt = match kept {
            Ok(Some(salt)) => salt,
            _ => Salt::random().ok()?,
        };
        let mut salts = self.salts.lock().unwrap_or_else(PoisonError::into_inner);
        Some(salts.entry(lesson.to_owned()).or_insert(salt).clone())
    }

    /// Forgets the keys in memory of lessons before yesterday: what is to be
    /// opened later has its key in the store, under retention.
    pub(super) fn forget_salts(&self, now: Timestamp) {
        let today = self.in_force().policy.date(now);
        let kept = [
            today.to_string(),
            today.yesterday().unwrap_or(today).to_string(),
        ];
        self.salts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|lesson, _| kept.iter().any(|day| lesson.starts_with(day)));
    }

    /// `line` is only made when somebody follows.
    fn tell_followers(&self, line: impl FnOnce() -> Option<EventLine>) {
        let none = self
            .followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty();
        if none {
            return;
        }
        let Some(text) = line().and_then(|line| serde_json::to_string(&line).ok()) else {
            return;
        };
        let text = Bytes::from(text + "\n");
        self.followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|follower| {
                // A slow follower misses lines; one that hung up is let go.
                let _ = follower.try_send(text.clone());
                !follower.is_closed()
            });
    }
}

/// Reasons that speak of a destination that is denied for what it is.
fn is_try(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NameDenied | Reason::RangeDenied | Reason::Locked | Reason::Blocked
    )
}

fn limits(in_force: &InForce) -> Limits {
    let settings = &in_force.policy.settings;
    Limits {
        tries: settings.incident_tries,
        within: settings.incident_within.try_into().unwrap_or_default(),
    }
}

/// Names a lesson with its day; outside lessons an hour is one.
fn lesson_key(in_force: &InForce, room: usize, now: Timestamp) -> String {
    let policy = &in_force.policy;
    let local = policy.timezone.to_datetime(now);
    match inspect::lesson(policy, room, now) {
        Some(lesson) => format!("{} {lesson}", local.date()),
        None => local.strftime("%Y-%m-%d %H:00").to_string(),
    }
}

/// The wall clock's time of a moment of the kernel's.
fn wall(monotonic: u64) -> Timestamp {
    let clock = clock();
    let ago = clock.monotonic.saturating_sub(monotonic);
    let ago = SignedDuration::from_nanos(ago.min(i64::MAX as u64) as i64);
    clock.wall.checked_sub(ago).unwrap_or(clock.wall)
}

fn name(event: &Event) -> Option<String> {
    let bytes = event.name.get(..usize::from(event.name_len))?;
    if bytes.is_empty() {
        return None;
    }
    // What a client sent may hold anything; it goes to terminals.
    let text = String::from_utf8_lossy(bytes);
    Some(text.chars().filter(|c| !c.is_control()).collect())
}
