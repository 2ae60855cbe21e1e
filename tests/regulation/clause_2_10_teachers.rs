//! 2.10: teachers need no timetable.

use filter_ebpf::abi::{Reason, Verdict};

use crate::school::School;

#[test]
fn the_staff_room_is_open_at_night_and_on_holidays() {
    for local in ["2026-09-07T03:00", "2027-01-01T12:00", "2026-07-20T12:00"] {
        let school = School::at(local);
        let answer = school.ask(
            "staff room",
            &school.door("staff room"),
            Some("example.org"),
        );
        assert_eq!(answer, (Verdict::Pass, Reason::DefaultOpen), "{local}");
    }
}
