//! 2.14–2.17: devices are pseudonyms that change every lesson.

use filter_agent::store::incidents::{Sighting, identity, record};
use filter_agent::store::retention::{Retention, enforce};
use filter_agent::store::{Device, Salt, Store, audit};

use crate::school::{LESSON, at, policy, who};

#[test]
fn the_same_device_has_another_name_in_another_lesson() {
    let device = Device([9; 16]);
    let (first, second) = (Salt::random().unwrap(), Salt::random().unwrap());
    assert_eq!(first.pseudonym(device), first.pseudonym(device));
    assert_ne!(first.pseudonym(device), second.pseudonym(device));
    let sealed = first.seal(device, &first.pseudonym(device));
    assert_eq!(
        second.open(sealed, &first.pseudonym(device)),
        None,
        "without its salt nobody can tell"
    );
}

#[test]
fn retention_is_bounded_by_the_policy() {
    let settings = policy().settings;
    assert_eq!(settings.retention.as_secs(), 30 * 86_400);
    assert_eq!(settings.audit_retention.as_secs(), 1095 * 86_400);
}

/// Metrics and notifications without an address: `tests/agent`.
#[test]
fn an_identity_is_opened_for_an_incident_only_with_a_reason_and_until_its_time() {
    let policy = policy();
    let now = at(&policy, LESSON);
    let device = Device([7; 16]);
    let mut store = Store::in_memory().unwrap();
    let salt = Salt::random().unwrap();
    let seen = Sighting {
        device,
        room: "101",
        lesson: "2026-09-07 first, №1 (8-A)",
        class_teacher: None,
        category: "social",
        tries: policy.settings.incident_tries,
        hosts: &[],
        last: now,
    };
    let (incident, _) = store.write(|c| record(c, &salt, &seen)).unwrap();
    let person = who(1002, "asanova");
    let open = |store: &mut Store| {
        store.change(&person, now, |c| {
            identity(c, incident.id, "talk with the parents")
        })
    };
    assert_eq!(open(&mut store).unwrap(), device.address());
    let log = store
        .read(|c| audit::list(c, &audit::Filter::default()))
        .unwrap();
    let entry = log.first().unwrap();
    assert_eq!(
        (
            entry.action.as_str(),
            entry.who.as_str(),
            entry.why.as_deref()
        ),
        (
            "incident.identity",
            "asanova",
            Some("talk with the parents")
        )
    );
    assert!(!format!("{log:?}").contains(&device.address().to_string()));
    let limits = Retention {
        identities: policy.settings.retention.try_into().unwrap(),
        ..Retention::default()
    };
    let day_after = now + limits.identities + jiff::SignedDuration::from_hours(24);
    store.write(|c| enforce(c, &limits, day_after)).unwrap();
    let refused = open(&mut store).unwrap_err();
    assert!(refused.to_string().contains("destroyed"), "{refused}");
}
