//! 2.7: repeated tries are told to the class teacher, one is an accident.

use filter_agent::store::incidents::{Filter, Sighting, list, record};
use filter_agent::store::{Device, Salt, Store};

use crate::school::{LESSON, at, policy};

#[test]
fn an_incident_names_room_lesson_and_class_teacher_but_no_device() {
    let policy = policy();
    assert!(
        policy.settings.incident_tries > 1,
        "one try must be an accident"
    );
    let room = policy.rooms.first().unwrap();
    let mut store = Store::in_memory().unwrap();
    let salt = Salt::random().unwrap();
    let device = Device([7; 16]);
    let seen = Sighting {
        device,
        room: &room.name,
        lesson: "2026-09-07 1",
        class_teacher: room.class_teacher.as_deref(),
        category: "social",
        tries: policy.settings.incident_tries,
        hosts: &["vk.com".to_owned()],
        last: at(&policy, LESSON),
    };
    let (first, new) = store.write(|c| record(c, &salt, &seen)).unwrap();
    assert!(new);
    let (_, new) = store.write(|c| record(c, &salt, &seen)).unwrap();
    assert!(
        !new,
        "the same device in the same lesson is the same incident"
    );
    let all = store.read(|c| list(c, &Filter::default())).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].class_teacher.as_deref(), Some("A. Asanova"));
    assert!(!format!("{first:?}").contains(&device.address().to_string()));
}
