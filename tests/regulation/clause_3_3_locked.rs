//! 3.3: what pupils must not reach.

use filter_ebpf::abi::{Reason, Verdict};

use crate::school::{LESSON, School};

#[test]
fn locked_categories_are_locked_in_every_room() {
    let school = School::at("2026-09-11T17:00");
    for host in [
        "pornhub.com",
        "kaotic.com",
        "extremism-placeholder.invalid",
        "1xbet.com",
    ] {
        for room in ["staff room", "assembly hall", "library"] {
            let answer = school.ask(room, &school.door(room), Some(host));
            assert_eq!(answer, (Verdict::Reject, Reason::Locked), "{room} {host}");
        }
    }
}

#[test]
fn transactions_and_programs_are_denied_but_could_be_granted() {
    let school = School::at(LESSON);
    for host in ["stripe.com", "softonic.com"] {
        assert_eq!(
            school.says("101", host),
            (Verdict::Reject, Reason::NameDenied),
            "{host}"
        );
    }
}
