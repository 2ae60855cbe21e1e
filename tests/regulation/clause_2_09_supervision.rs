//! 2.9: no pupils online without a responsible teacher.

use filter_ebpf::abi::{Reason, Verdict};

use crate::school::{LESSON, School};

#[test]
fn a_supervised_room_opens_with_a_lease_only() {
    let school = School::at(LESSON);
    let host = Some("wikipedia.org");
    let alone = school.ask("room 1", &school.door("room 1"), host);
    assert_eq!(alone, (Verdict::Reject, Reason::RoomClosed));
    let held = school.ask("room 1", &school.held("room 1"), host);
    assert_eq!(held, (Verdict::Pass, Reason::NameAllowed));
}

#[test]
fn a_lease_does_not_open_a_room_outside_its_timetable() {
    let school = School::at("2026-09-07T07:30");
    let held = school.ask("room 1", &school.held("room 1"), Some("wikipedia.org"));
    assert_eq!(held, (Verdict::Reject, Reason::RoomClosed));
}
