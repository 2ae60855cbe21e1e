//! 2.11: pupils reach only what belongs to education.

use filter_ebpf::abi::{Reason, Verdict};

use crate::school::{LESSON, School};

#[test]
fn pupils_reach_what_is_listed_and_nothing_else() {
    let school = School::at(LESSON);
    assert_eq!(
        school.says("101", "ky.wikipedia.org"),
        (Verdict::Pass, Reason::NameAllowed)
    );
    assert_eq!(
        school.says("101", "example.org"),
        (Verdict::Reject, Reason::NotListed)
    );
    assert_eq!(
        school.says("101", "wikipedia.org.example"),
        (Verdict::Reject, Reason::NotListed)
    );
}

#[test]
fn what_breaks_the_law_is_closed_to_teachers_too() {
    let school = School::at(LESSON);
    let answer = school.says("staff room", "hatred-placeholder.invalid");
    assert_eq!(answer, (Verdict::Reject, Reason::Locked));
}
