//! 2.4: the timetable of a school year is approved as a local act.

use filter_agent::calendar::state_at;
use filter_agent::words::{Language, describe};

use crate::school::{at, policy};

#[test]
fn a_timetable_carries_its_decision() {
    let policy = policy();
    let upper = policy
        .timetables
        .iter()
        .find(|table| table.name == "upper")
        .unwrap();
    let decision = upper.decision.as_ref().unwrap();
    assert_eq!(
        decision.to_string(),
        "no. 114 of 2026-08-28, Director's order, until 2027-05-31"
    );
}

#[test]
fn breaks_holidays_and_one_off_days_are_told_in_words() {
    let policy = policy();
    let room = policy.room("101").unwrap();
    let say = |local: &str, language| {
        let state = state_at(&policy, room, at(&policy, local)).unwrap();
        describe(&state, &policy.timezone, language)
    };
    assert_eq!(
        say("2026-09-07T08:10", Language::English),
        "open: lesson 1, 8-A, until 08:45"
    );
    assert_eq!(
        say("2026-11-05T09:00", Language::Russian),
        "закрыто: каникулы (autumn break); откроется 2026-11-11 08:00"
    );
    assert_eq!(
        say("2027-04-07T09:00", Language::English),
        "closed: public holiday (Day of the People's April Revolution); opens 2027-04-08 08:50"
    );
    assert_eq!(
        say("2026-11-14T08:10", Language::English),
        "open: lesson 1, 8-A, until 08:45"
    );
}
