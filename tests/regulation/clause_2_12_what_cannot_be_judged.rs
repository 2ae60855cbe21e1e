//! 2.12: filtering is never complete; what cannot be judged is decided.

use std::time::Duration;

use filter_agent::lists::update::{self, Subscription, next_update, update};
use filter_ebpf::abi::{Reason, Verdict};
use indicatif::ProgressBar;

use crate::school::{LESSON, School, policy};

#[test]
fn a_hello_without_a_name_is_refused_to_pupils_and_counted_by_its_reason() {
    let school = School::at(LESSON);
    let pupils = school.ask("101", &school.held("101"), None);
    assert_eq!(pupils.0, Verdict::Reject);
    assert!(
        matches!(pupils.1, Reason::Unnamed | Reason::NotListed),
        "{:?}",
        pupils.1
    );
    let staff = school.ask("staff room", &school.door("staff room"), None);
    assert_eq!(staff.0, Verdict::Pass);
}

#[test]
fn strict_groups_deny_by_default_whatever_names_nothing() {
    let policy = policy();
    let students = &policy.groups[policy.group("students").unwrap()];
    let verdicts = [
        students.unnamed,
        students.encrypted_name,
        students.undecodable,
        students.tunnels,
        students.fragments,
        students.quic,
    ];
    assert_eq!(verdicts, [Verdict::Reject; 6]);
    assert!(students.school_dns && students.strip_ech && students.safe_search != 0);
}

/// Lists change; a bad download never takes the place of a good one, and the
/// age of what is in force is known.
#[test]
fn the_last_good_copy_of_a_list_stays_and_its_age_is_told() {
    let folder = filter_tests::scratch::Scratch::new().unwrap();
    let copies = update::Store::open(folder.path().join("copies")).unwrap();
    let good: String = (0..100).map(|n| format!("bad{n}.example\n")).collect();
    let source = folder.write("list.txt", &good).unwrap();
    let list = Subscription::new("adult", source.display().to_string());
    let fetch = |now| update(&copies, &list, false, now, &ProgressBar::hidden());
    fetch(1_000).unwrap();
    // A page in its place, nothing, and a list that shrank to a tenth.
    for bad in ["<!doctype html><title>503</title>", "", &good[..140]] {
        folder.write("list.txt", bad).unwrap();
        assert!(fetch(2_000).is_err(), "{bad:?} was taken");
    }
    let status = copies.status("adult", 87_400).unwrap().unwrap();
    assert_eq!(status.age, Duration::from_secs(86_400));
    let every = policy().settings.lists_every;
    let due = next_update(Some(1_000), None, 0, 1_000, every, 7);
    let (least, most) = (every.as_secs() * 9 / 10, every.as_secs() * 11 / 10);
    assert!((1_000 + least..=1_000 + most).contains(&due), "{due}");
}
