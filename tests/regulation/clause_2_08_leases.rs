//! 2.8: the teacher who gives the lesson is responsible.

use filter_agent::calendar::state_at;
use filter_agent::store::{Store, leases};

use crate::school::{LESSON, at, policy, who};

#[test]
fn a_lease_has_a_name_and_ends_at_the_bell() {
    let policy = policy();
    let now = at(&policy, LESSON);
    let bell = state_at(&policy, 0, now).unwrap().window.unwrap().end;
    assert_eq!(bell, at(&policy, "2026-09-07T08:45"));
    let (teacher, other) = (who(1001, "bekov"), who(1002, "asanova"));
    let mut store = Store::in_memory().unwrap();
    store
        .change(&teacher, now, |c| {
            leases::take(c, "101", &teacher, now, bell)
        })
        .unwrap();
    assert!(
        store
            .change(&other, now, |c| leases::take(c, "101", &other, now, bell))
            .is_err()
    );
    let held = store.read(|c| leases::of(c, "101", now)).unwrap().unwrap();
    assert_eq!(held.holder, "bekov");
    assert_eq!(store.read(|c| leases::of(c, "101", bell)).unwrap(), None);
}
