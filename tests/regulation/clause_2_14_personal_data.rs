//! 2.14–2.17: devices are pseudonyms that change every lesson.

use filter_agent::store::{Device, Salt};

use crate::school::policy;

#[test]
fn the_same_device_has_another_name_in_another_lesson() {
    let device = Device([9; 16]);
    let (first, second) = (Salt::random().unwrap(), Salt::random().unwrap());
    assert_eq!(first.pseudonym(device), first.pseudonym(device));
    assert_ne!(first.pseudonym(device), second.pseudonym(device));
    let sealed = first.seal(device, &first.pseudonym(device));
    assert_eq!(
        second.open(sealed, &first.pseudonym(device)),
        None,
        "without its salt nobody can tell"
    );
}

#[test]
fn retention_is_bounded_by_the_policy() {
    let settings = policy().settings;
    assert_eq!(settings.retention.as_secs(), 30 * 86_400);
    assert_eq!(settings.audit_retention.as_secs(), 1095 * 86_400);
}
