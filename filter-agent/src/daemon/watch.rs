//! Counting one device's tries. Nothing of it is stored before it becomes an
//! incident; what is here is in memory and forgotten after minutes.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::store::Device;
use crate::store::incidents::MAX_HOSTS;

/// Devices and categories that are watched at once.
const MAX_WATCHED: usize = 4096;
/// An incident that goes on is written at most so often.
const FLUSH: SignedDuration = SignedDuration::from_secs(10);

/// Whose tries are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) device: Device,
    pub(super) room: String,
    pub(super) category: String,
    pub(super) lesson: String,
}

/// Tries that make an incident, or go on with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) key: Key,
    pub(super) tries: u32,
    pub(super) hosts: Vec<String>,
    pub(super) last: Timestamp,
}

/// How many tries within what time are no accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) tries: u32,
    pub(super) within: SignedDuration,
}

#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: HashMap<Key, Seen>,
}

#[derive(Debug)]
struct Seen {
    /// Moments of the last tries, at most as many as make an incident.
    times: Vec<Timestamp>,
    hosts: Vec<String>,
    /// Tries that are not in the store yet.
    pending: u32,
    /// When the incident was last written; `None` before there is one.
    written: Option<Timestamp>,
    last: Timestamp,
}

impl Watch {
    /// Counts a try.
    pub(super) fn note(
        &mut self,
        key: Key,
        host: Option<&str>,
        now: Timestamp,
        limits: Limits,
    ) -> Option<Found> {
        if !self.seen.contains_key(&key) && self.seen.len() >= MAX_WATCHED {
            self.forget_one();
        }
        let seen = self.seen.entry(key.clone()).or_insert_with(|| Seen {
            times: Vec::new(),
            hosts: Vec::new(),
            pending: 0,
            written: None,
            last: now,
        });
        seen.last = now;
        seen.times
            .retain(|time| now.duration_since(*time) < limits.within);
        if seen.written.is_none() {
            // Tries outside the span are accidents again.
            seen.pending = seen.times.len() as u32;
        }
        seen.pending = seen.pending.saturating_add(1);
        if seen.times.len() < limits.tries as usize {
            seen.times.push(now);
        }
        if let Some(host) = host
            && seen.hosts.len() < MAX_HOSTS
            && !seen.hosts.iter().any(|known| known == host)
        {
            seen.hosts.push(host.to_owned());
        }
        let due = match seen.written {
            Some(written) => now.duration_since(written) >= FLUSH,
            None => seen.pending >= limits.tries,
        };
        due.then(|| seen.take(key, now))
    }

    /// What is not written yet of incidents that go on; forgets what is old.
    pub(super) fn flush(&mut self, now: Timestamp, limits: Limits) -> Vec<Found> {
        let mut found = Vec::new();
        for (key, seen) in &mut self.seen {
            if seen.pending > 0
                && seen
                    .written
                    .is_some_and(|written| now.duration_since(written) >= FLUSH)
            {
                found.push(seen.take(key.clone(), now));
            }
        }
        self.seen
            .retain(|_, seen| now.duration_since(seen.last) < limits.within);
        found
    }

    fn forget_one(&mut self) {
        let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.last);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.seen.remove(&key);
        }
    }
}

impl Seen {
    fn take(&mut self, key: Key, now: Timestamp) -> Found {
        self.written = Some(now);
        Found {
            key,
            tries: std::mem::take(&mut self.pending),
            hosts: self.hosts.clone(),
            last: self.last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        tries: 3,
        within: SignedDuration::from_mins(5),
    };

    fn key(device: u8) -> Key {
        Key {
            device: Device([device; 16]),
            room: "101".into(),
            category: "adult".into(),
            lesson: "1".into(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn one_try_is_an_accident_and_three_are_not() {
        let mut watch = Watch::default();
        assert_eq!(watch.note(key(1), Some("a"), at(0), LIMITS), None);
        assert_eq!(watch.note(key(2), Some("a"), at(1), LIMITS), None);
        assert_eq!(watch.note(key(1), Some("b"), at(2), LIMITS), None);
        let found = watch.note(key(1), Some("a"), at(3), LIMITS).unwrap();
        assert_eq!(
            (found.tries, found.hosts),
            (3, vec!["a".to_owned(), "b".to_owned()])
        );
        // It goes on: written together, not one by one.
        for second in 4..13 {
            assert_eq!(watch.note(key(1), None, at(second), LIMITS), None);
        }
        assert_eq!(watch.note(key(1), None, at(13), LIMITS).unwrap().tries, 10);
        watch.note(key(1), None, at(14), LIMITS);
        assert_eq!(watch.flush(at(30), LIMITS)[0].tries, 1);
    }

    #[test]
    fn tries_far_apart_stay_accidents() {
        let mut watch = Watch::default();
        for n in 0..20 {
            assert_eq!(watch.note(key(1), None, at(n * 151), LIMITS), None, "{n}");
        }
    }

    #[test]
    fn devices_are_bounded_and_forgotten() {
        let mut watch = Watch::default();
        for n in 0..MAX_WATCHED as u32 + 100 {
            let mut key = key(0);
            key.device.0[..4].copy_from_slice(&n.to_be_bytes());
            watch.note(
                key,
                None,
                at(i64::from(n)),
                Limits {
                    tries: 99,
                    ..LIMITS
                },
            );
        }
        assert_eq!(watch.seen.len(), MAX_WATCHED);
        watch.flush(at(1_000_000), LIMITS);
        assert!(watch.seen.is_empty());
    }
}
