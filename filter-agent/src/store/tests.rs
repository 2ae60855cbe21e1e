use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use jiff::SignedDuration;

use super::retention::Retention;
use super::*;

fn now() -> Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

fn later(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

fn who(name: &str, uid: u32) -> Who {
    Who {
        uid,
        name: name.to_owned(),
    }
}

/// A directory of this test's own, removed when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("state.db")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_lease_holds_against_others_and_ends_by_itself() {
    let mut store = Store::in_memory().unwrap();
    let aida = who("aida", 1001);
    let bakyt = who("bakyt", 1002);
    let take = |store: &mut Store, who: &Who, at, until| {
        store.change(who, at, |c| leases::take(c, "101", who, at, until))
    };
    take(&mut store, &aida, now(), later(45)).unwrap();
    let refused = take(&mut store, &bakyt, later(10), later(45)).unwrap_err();
    assert!(
        refused.to_string().contains("aida holds room 101"),
        "{refused}"
    );
    let foreign = store.change(&bakyt, now(), |c| {
        leases::release(c, "101", &bakyt, false, now())
    });
    assert!(foreign.is_err());
    let again = take(&mut store, &aida, later(5), later(50)).unwrap();
    assert_eq!(again.since, now());
    // At the bell the room is free without anybody doing anything.
    take(&mut store, &bakyt, later(50), later(95)).unwrap();
    let entries = store
        .read(|c| audit::list(c, &audit::Filter::default()))
        .unwrap();
    let actions: Vec<_> = entries
        .iter()
        .map(|e| (e.action.as_str(), e.who.as_str()))
        .collect();
    // Refused changes leave no entry; they did not happen.
    assert_eq!(
        actions,
        [
            ("lease.take", "bakyt"),
            ("lease.take", "aida"),
            ("lease.take", "aida")
        ]
    );
    assert!(entries[1].before.is_some() && entries[1].after.is_some());
}

/// What held at a moment that is over is told as it was then, though the
/// tables keep the present only.
#[test]
fn the_past_is_told_as_it_was() {
    let mut store = Store::in_memory().unwrap();
    let aida = who("aida", 1001);
    let block =
        |c: &Connection, at| blocks::add(c, "bad.example", blocks::Kind::Block, &aida, None, at);
    let hold = Some((modes::Hold::Closed, None));
    let set = |c: &Connection, hold, at| modes::set(c, "101", hold, &aida, None, at);
    let take = |c: &Connection| leases::take(c, "101", &aida, now(), later(45));
    store.change(&aida, now(), take).unwrap();
    store.change(&aida, now(), |c| set(c, hold, now())).unwrap();
    store.change(&aida, now(), |c| block(c, now())).unwrap();
    let release = |c: &Connection| leases::release(c, "101", &aida, false, later(20));
    store.change(&aida, later(20), release).unwrap();
    let auto = |c: &Connection| set(c, None, later(20));
    store.change(&aida, later(20), auto).unwrap();
    let lift = |c: &Connection| blocks::lift(c, "bad.example", &aida, None, later(20));
    store.change(&aida, later(20), lift).unwrap();
    for (at, held) in [(-1, 0), (0, 1), (19, 1), (20, 0), (60, 0)] {
        let at = later(at);
        assert_eq!(store.read(|c| leases::past(c, at)).unwrap().len(), held);
        assert_eq!(store.read(|c| modes::past(c, at)).unwrap().len(), held);
        assert_eq!(store.read(|c| blocks::past(c, at)).unwrap().len(), held);
    }
}

#[test]
fn modes_and_grants_end_by_their_until() {
    let mut store = Store::in_memory().unwrap();
    let admin = who("root", 0);
    store
        .change(&admin, now(), |c| {
            let hold = Some((modes::Hold::Closed, Some(later(10))));
            modes::set(c, "101", hold, &admin, Some("exam"), now())
        })
        .unwrap();
    assert_eq!(store.read(|c| modes::list(c, later(9))).unwrap().len(), 1);
    assert!(
        store
            .read(|c| modes::list(c, later(10)))
            .unwrap()
            .is_empty()
    );
    let grant = store
        .change(&admin, now(), |c| {
            grants::add(
                c,
                &grants::Subject::Category("multimedia".into()),
                &grants::Scope::Room("101".into()),
                &admin,
                "film lesson",
                now(),
                later(45),
            )
        })
        .unwrap();
    assert_eq!(
        store.read(|c| grants::in_force(c, later(44))).unwrap(),
        std::slice::from_ref(&grant)
    );
    assert!(
        store
            .read(|c| grants::in_force(c, later(45)))
            .unwrap()
            .is_empty()
    );
    store
        .change(&admin, later(1), |c| {
            grants::revoke(c, grant.id, &admin, None, later(1))
        })
        .unwrap();
    assert!(
        store
            .read(|c| grants::in_force(c, later(2)))
            .unwrap()
            .is_empty()
    );
    // What was in force in the past stays answerable.
    assert_eq!(store.read(|c| grants::in_force(c, now())).unwrap().len(), 1);
}

#[test]
fn a_report_blocks_and_waits_for_the_council() {
    let mut store = Store::in_memory().unwrap();
    let teacher = who("aida", 1001);
    let report = |store: &mut Store| {
        store
            .change(&teacher, now(), |c| {
                blocks::add(
                    c,
                    "bad.example",
                    blocks::Kind::Report,
                    &teacher,
                    None,
                    now(),
                )
            })
            .unwrap()
    };
    let first = report(&mut store);
    assert_eq!(report(&mut store).id, first.id);
    assert_eq!(store.read(blocks::queue).unwrap().len(), 1);
    let kept = store
        .change(&teacher, now(), |c| {
            blocks::council(c, first.id, true, &teacher, Some("No 12"), now())
        })
        .unwrap();
    assert_eq!(kept.state, blocks::State::Confirmed);
    assert!(store.read(blocks::queue).unwrap().is_empty());
    assert_eq!(store.read(blocks::in_force).unwrap().len(), 1);
    store
        .change(&teacher, now(), |c| {
            blocks::lift(c, "bad.example", &teacher, None, now())
        })
        .unwrap();
    assert!(store.read(blocks::in_force).unwrap().is_empty());
    assert_ne!(report(&mut store).id, first.id);
}

#[test]
fn the_audit_log_refuses_changes_and_shows_forgery() {
    let mut store = Store::in_memory().unwrap();
    for n in 0..5 {
        store
            .change(&Who::agent(), later(n), |_| {
                Ok(Change::new("test.entry", n.to_string(), ()))
            })
            .unwrap();
    }
    let connection = store.connection();
    for sql in ["DELETE FROM audit", "UPDATE audit SET who = 'nobody'"] {
        let refused = connection.execute(sql, []).unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
    assert_eq!(audit::verify(connection).unwrap(), None);
    connection
        .execute_batch("DROP TRIGGER audit_keeps_words; UPDATE audit SET target = 'x' WHERE id = 3")
        .unwrap();
    assert_eq!(audit::verify(connection).unwrap(), Some(3));
}

#[test]
fn retention_bounds_rows_and_time() {
    let mut store = Store::in_memory().unwrap();
    let limits = Retention {
        identities: SignedDuration::from_mins(30),
        incidents: SignedDuration::from_mins(60),
        records: SignedDuration::from_mins(60),
        audit: SignedDuration::from_mins(60),
        rows: 3,
        audit_rows: 4,
    };
    let salt = Salt::random().unwrap();
    for n in 0..6_u8 {
        let at = later(i64::from(n));
        store
            .change(&Who::agent(), at, |_| Ok(Change::new("test.entry", "", ())))
            .unwrap();
        store
            .write(|c| {
                incidents::record(c, &salt, &sighting(Device([n; 16]), &format!("L{n}"), at))
            })
            .unwrap();
    }
    let removed = store
        .write(|c| retention::enforce(c, &limits, later(32)))
        .unwrap();
    // Salts of minutes 0 and 1 are older than half an hour at minute 32.
    assert_eq!((removed.salts, removed.incidents, removed.audit), (2, 3, 2));
    let log = store
        .read(|c| audit::list(c, &audit::Filter::default()))
        .unwrap();
    assert_eq!(log.len(), 5, "four entries and the one about the removal");
    assert_eq!(log[0].action, "audit.retention");
    let refused = store.connection().execute("DELETE FROM audit", []);
    assert!(refused.is_err(), "the trigger is back");
    assert_eq!(audit::verify(store.connection()).unwrap(), None);
    let removed = store
        .write(|c| retention::enforce(c, &limits, later(300)))
        .unwrap();
    assert_eq!((removed.salts, removed.incidents), (4, 3));
}

fn sighting(device: Device, lesson: &str, last: Timestamp) -> incidents::Sighting<'_> {
    incidents::Sighting {
        device,
        room: "101",
        lesson,
        class_teacher: Some("aida"),
        category: "adult",
        tries: 5,
        hosts: &[],
        last,
    }
}

#[test]
fn a_pseudonym_lasts_a_lesson_and_its_key_a_retention_time() {
    let mut store = Store::in_memory().unwrap();
    let device = Device([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 1, 7]);
    let record = |store: &mut Store, lesson: &str| {
        let salt = Salt::random().unwrap();
        store
            .write(|c| incidents::record(c, &salt, &sighting(device, lesson, now())))
            .unwrap()
    };
    let (first, new) = record(&mut store, "monday 1");
    let (same, again) = record(&mut store, "monday 1");
    let (other, _) = record(&mut store, "monday 2");
    assert!(new && !again);
    assert_eq!((same.id, same.tries), (first.id, 10));
    assert_ne!(other.pseudonym, first.pseudonym);
    let open = |store: &mut Store, id| {
        store.change(&Who::agent(), now(), |c| {
            incidents::identity(c, id, "talk with the class")
        })
    };
    assert_eq!(open(&mut store, first.id).unwrap().to_string(), "10.1.1.7");
    let log = store
        .read(|c| audit::list(c, &audit::Filter::default()))
        .unwrap();
    assert_eq!(log[0].action, "incident.identity");
    assert!(!serde_json::to_string(&log).unwrap().contains("10.1.1.7"));
    let limits = Retention::default();
    let after = now() + limits.identities + SignedDuration::from_secs(1);
    store
        .write(|c| retention::enforce(c, &limits, after))
        .unwrap();
    let refused = open(&mut store, first.id).unwrap_err();
    assert!(refused.to_string().contains("destroyed"), "{refused}");
    assert_eq!(
        store.read(|c| incidents::by_id(c, first.id)).unwrap().tries,
        10
    );
}

#[test]
fn a_corrupt_file_is_set_aside_and_the_store_goes_on() {
    let scratch = Scratch::new("corrupt");
    for garbage in [b"no database at all".to_vec(), vec![0x53; 8192]] {
        fs::write(scratch.file(), garbage).unwrap();
        let mut store = Store::open(&scratch.file(), now());
        assert_eq!(store.degraded(), None);
        let log = store
            .read(|c| audit::list(c, &audit::Filter::default()))
            .unwrap();
        assert_eq!(log[0].action, "store.set_aside");
        assert!(store.set_aside().unwrap().contains("corrupt"));
        assert_eq!(store.forget_set_aside(now()).unwrap(), 0, "it is of now");
    }
    let aside = fs::read_dir(&scratch.0)
        .unwrap()
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .contains("corrupt")
        })
        .count();
    assert!(aside >= 1);
    let store = Store::open(&scratch.file(), later(1));
    assert_eq!(store.set_aside(), None, "the file is whole now");
    let removed = store.forget_set_aside(later(1)).unwrap();
    assert!(removed >= 1, "its time is over");
    assert_eq!(store.forget_set_aside(later(1)).unwrap(), 0);
    assert!(scratch.file().exists());
}

#[test]
fn pages_that_rot_under_a_running_store_do_not_stop_it() {
    let scratch = Scratch::new("rot");
    let mut store = Store::open(&scratch.file(), now());
    for n in 0..200 {
        store
            .change(&Who::agent(), now(), |_| {
                Ok(Change::new("test.entry", "x".repeat(400), ()).after(&n))
            })
            .unwrap();
    }
    drop(store);
    let mut bytes = fs::read(scratch.file()).unwrap();
    for byte in bytes.iter_mut().skip(4096) {
        *byte = 0xa5;
    }
    fs::write(scratch.file(), bytes).unwrap();
    let mut store = Store::open(&scratch.file(), now());
    let lease = store.change(&Who::agent(), now(), |c| {
        leases::take(c, "101", &Who::agent(), now(), later(1))
    });
    assert!(lease.is_ok(), "{lease:?}");
}

#[test]
fn a_file_that_cannot_be_opened_means_memory_until_it_can() {
    let scratch = Scratch::new("nowhere");
    let path = scratch.0.join("missing/state.db");
    let mut store = Store::open(&path, now());
    assert!(store.degraded().is_some());
    store
        .change(&Who::agent(), now(), |c| {
            leases::take(c, "101", &Who::agent(), now(), later(45))
        })
        .unwrap();
    assert!(!store.heal(now()));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(store.heal(now()));
    assert_eq!(store.degraded(), None);
    drop(store);
    let mut store = Store::open(&path, now());
    assert_eq!(store.read(|c| leases::list(c, now())).unwrap().len(), 1);
}

#[test]
fn a_full_disk_keeps_what_was_known_and_goes_on_in_memory() {
    let scratch = Scratch::new("full");
    let mut store = Store::open(&scratch.file(), now());
    let entry = |store: &mut Store| {
        store.change(&Who::agent(), now(), |_| {
            Ok(Change::new("test.entry", "y".repeat(2000), ()))
        })
    };
    for _ in 0..10 {
        entry(&mut store).unwrap();
    }
    // SQLite's own limit gives the very error that a full disk gives.
    let pages: u32 = store
        .connection()
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    store
        .connection()
        .pragma_update(None, "max_page_count", pages)
        .unwrap();
    for _ in 0..30 {
        entry(&mut store).unwrap();
    }
    assert!(store.degraded().is_some());
    let count = |store: &mut Store| {
        store
            .read(|c| {
                audit::list(
                    c,
                    &audit::Filter {
                        limit: Some(1000),
                        ..Default::default()
                    },
                )
            })
            .unwrap()
            .len()
    };
    assert_eq!(count(&mut store), 40);
    assert!(store.heal(now()));
    drop(store);
    let mut store = Store::open(&scratch.file(), now());
    assert_eq!(count(&mut store), 40);
    assert_eq!(audit::verify(store.connection()).unwrap(), None);
}

#[test]
fn a_file_of_a_newer_agent_is_left_alone() {
    let scratch = Scratch::new("newer");
    drop(Store::open(&scratch.file(), now()));
    Connection::open(scratch.file())
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let store = Store::open(&scratch.file(), now());
    assert!(
        store.degraded().unwrap().contains("newer"),
        "{:?}",
        store.degraded()
    );
    let version: u32 = Connection::open(scratch.file())
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99);
}

/// Alone it stores a few entries; as the child of the next test it goes on
/// until it is killed.
#[test]
fn writer() {
    let scratch = Scratch::new("writer");
    let (path, count) = match std::env::var("STORE_TEST_FILE") {
        Ok(path) => (PathBuf::from(path), u64::MAX),
        Err(_) => (scratch.file(), 3),
    };
    let mut store = Store::open(&path, now());
    for n in 0..count {
        store
            .change(&Who::agent(), now(), |_| {
                Ok(Change::new("test.entry", n.to_string(), ()))
            })
            .unwrap();
        println!("stored {n}");
    }
    let log = store
        .read(|c| audit::list(c, &audit::Filter::default()))
        .unwrap();
    assert_eq!(log.len(), 3);
}

#[test]
fn killed_while_writing_loses_nothing_that_was_answered() {
    let scratch = Scratch::new("killed");
    for round in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::writer", "--nocapture"])
            .env("STORE_TEST_FILE", scratch.file())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answered = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if line.unwrap().starts_with("stored") {
                answered += 1;
            }
            if answered == 50 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut store = Store::open(&scratch.file(), now());
        assert_eq!(store.degraded(), None);
        let filter = audit::Filter {
            limit: Some(10_000),
            ..Default::default()
        };
        let kept = store.read(|c| audit::list(c, &filter)).unwrap();
        let last = kept
            .iter()
            .map(|entry| entry.target.parse::<u64>().unwrap())
            .max();
        assert!(last >= Some(49), "round {round}: {last:?}");
        assert!(kept.len() >= 50 * (round + 1));
        assert_eq!(audit::verify(store.connection()).unwrap(), None);
    }
}
