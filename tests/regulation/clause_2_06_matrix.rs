//! 2.6: the methodical council decides who may reach what.

use filter_ebpf::abi::{Reason, Verdict};

use crate::school::{LESSON, School, policy};

#[test]
fn every_cell_that_speaks_has_its_decision() {
    let policy = policy();
    let date = "2026-09-07".parse().unwrap();
    let mut cells = 0;
    for group in 0..policy.groups.len() {
        for category in 0..policy.categories.len() {
            if let Some(answer) = policy.answer(group, category, date) {
                assert!(answer.decision.is_some() && answer.line > 0);
                cells += 1;
            }
        }
    }
    // Four locked categories for four groups, and the cells of the rows.
    assert_eq!(cells, 16 + 8 + 1 + 2 + 4);
}

#[test]
fn a_decision_ends_on_its_last_day() {
    let host = "youtube.com";
    assert_eq!(
        School::at("2026-12-30T08:10").says("101", host),
        (Verdict::Pass, Reason::NameAllowed)
    );
    let ended = School::at("2027-01-18T08:10").says("101", host);
    assert_eq!(ended, (Verdict::Reject, Reason::NotListed));
}

#[test]
fn the_same_host_is_another_matter_for_another_group() {
    let school = School::at(LESSON);
    assert_eq!(school.says("101", "telegram.org").0, Verdict::Reject);
    assert_eq!(
        school.says("staff room", "telegram.org"),
        (Verdict::Pass, Reason::DefaultOpen)
    );
}
