//! 2.9: no pupils online without a responsible teacher.

use filter_ebpf::abi::{Reason, Verdict};

use crate::school::{LESSON, School};

#[test]
fn a_supervised_room_opens_with_a_lease_only() {
    let school = School::at(LESSON);
    let host = Some("wikipedia.org");
    let alone = school.ask("101", &school.door("101"), host);
    assert_eq!(alone, (Verdict::Reject, Reason::RoomClosed));
    let held = school.ask("101", &school.held("101"), host);
    assert_eq!(held, (Verdict::Pass, Reason::NameAllowed));
}

/// Live connections are cut: `tests/lab/bell.rs`.
#[test]
fn the_bell_closes_the_room_whoever_held_it() {
    let lesson = School::at("2026-09-07T08:44");
    let mut access = lesson.held("101");
    let host = Some("wikipedia.org");
    assert_eq!(lesson.ask("101", &access, host).0, Verdict::Pass);
    // The teacher forgot to release it; the window ends all the same.
    access.lease_until = u64::MAX;
    let bell = access.spans[0].end;
    let minute = bell - lesson.clock().monotonic;
    assert_eq!(minute, 60_000_000_000, "the bell rings at 08:45");
    let after = lesson.ask_at("101", &access, bell, host);
    assert_eq!(after, (Verdict::Reject, Reason::RoomClosed));
}

#[test]
fn a_lease_does_not_open_a_room_outside_its_timetable() {
    let school = School::at("2026-09-07T07:30");
    let held = school.ask("101", &school.held("101"), Some("wikipedia.org"));
    assert_eq!(held, (Verdict::Reject, Reason::RoomClosed));
}
