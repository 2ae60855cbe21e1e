//! 3.2: with permission more is reached, until a time.

use filter_ebpf::abi::{Access, Reason, Verdict};

use crate::school::{LESSON, School};

fn granted(school: &School, category: &str) -> Access {
    let mut access = school.held("101");
    access.grant_mask[0] = 1 << school.policy.category(category).unwrap();
    access.grant_until[0] = school.clock().monotonic + 1;
    access
}

#[test]
fn a_grant_opens_a_denied_category_until_its_end() {
    let school = School::at(LESSON);
    let host = Some("vk.com");
    assert_eq!(
        school.says("101", "vk.com"),
        (Verdict::Reject, Reason::NameDenied)
    );
    let mut access = granted(&school, "social");
    assert_eq!(school.ask("101", &access, host).0, Verdict::Pass);
    access.grant_until[0] = school.clock().monotonic;
    assert_eq!(
        school.ask("101", &access, host),
        (Verdict::Reject, Reason::NameDenied)
    );
}

#[test]
fn a_grant_never_opens_a_locked_category() {
    let school = School::at(LESSON);
    let access = granted(&school, "gambling");
    let answer = school.ask("101", &access, Some("1xbet.com"));
    assert_eq!(answer, (Verdict::Reject, Reason::Locked));
}
