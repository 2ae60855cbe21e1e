//! 2.12: filtering is never complete; what cannot be judged is decided.

use filter_ebpf::abi::{Reason, Verdict};

use crate::school::{LESSON, School, policy};

#[test]
fn a_hello_without_a_name_is_refused_to_pupils_and_counted_by_its_reason() {
    let school = School::at(LESSON);
    let pupils = school.ask("room 1", &school.held("room 1"), None);
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
    assert!(students.school_dns && students.strip_ech && students.safe_search);
}
