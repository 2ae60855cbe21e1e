//! 2.5: the director names the responsible person and the rooms.

use crate::school::policy;

#[test]
fn the_responsible_person_is_named_by_an_order() {
    let policy = policy();
    let person = policy.persons.first().unwrap();
    assert_eq!(
        (person.name.as_str(), person.duty.as_str()),
        ("A. Asanova", "responsible for Internet access")
    );
    assert_eq!(person.decision.as_ref().unwrap().number, "114");
}

#[test]
fn twelve_rooms_have_place_and_group_and_pupils_a_class_teacher() {
    let policy = policy();
    assert_eq!(policy.rooms.len(), 12);
    let students = policy.group("students").unwrap();
    for room in &policy.rooms {
        assert!(!room.subnets.is_empty(), "{}", room.name);
        assert!(
            room.group != students || room.class_teacher.is_some(),
            "{}",
            room.name
        );
    }
}
