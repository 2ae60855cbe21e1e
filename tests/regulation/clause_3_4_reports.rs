//! 3.4: whoever finds such a resource reports it at once.

use filter_agent::explain::Overrides;
use filter_agent::store::{Store, blocks};
use filter_ebpf::abi::{Reason, Verdict};

use crate::school::{LESSON, School, at, policy, who};

#[test]
fn a_report_blocks_at_once_and_waits_for_the_council() {
    let now = at(&policy(), LESSON);
    let (teacher, council) = (who(1001, "bekov"), who(1002, "asanova"));
    let mut store = Store::in_memory().unwrap();
    let report = |c: &_| {
        blocks::add(
            c,
            "found.example",
            blocks::Kind::Report,
            &teacher,
            Some("by accident"),
            now,
        )
    };
    let block = store.change(&teacher, now, report).unwrap();
    assert_eq!(store.read(blocks::in_force).unwrap().len(), 1);
    assert_eq!(store.read(blocks::queue).unwrap().len(), 1);
    let confirm = |c: &_| blocks::council(c, block.id, true, &council, Some("no. 8"), now);
    store.change(&council, now, confirm).unwrap();
    assert_eq!(store.read(blocks::in_force).unwrap().len(), 1);
    assert_eq!(store.read(blocks::queue).unwrap().len(), 0);
}

#[test]
fn what_is_reported_is_refused_in_every_room_that_is_open() {
    let school = School::at(LESSON);
    let now = school.clock().monotonic;
    for room in ["101", "library", "staff room"] {
        let host = Some("wikipedia.org");
        let door = match room {
            "101" => school.held(room),
            _ => school.door(room),
        };
        assert_eq!(school.ask(room, &door, host).0, Verdict::Pass, "{room}");
        let blocked = Overrides {
            name_blocked: true,
            ..Overrides::default()
        };
        let answer = school.ask_with(room, &door, now, host, blocked);
        assert_eq!(answer, (Verdict::Reject, Reason::Blocked), "{room}");
    }
}
