//! 2.1–2.3: a timetable of Internet use, checked and shown as a week.

use filter_agent::calendar::findings::findings;
use filter_agent::calendar::picture::{week_svg, week_text};
use filter_agent::words::Language;
use jiff::civil::date;

use crate::school::policy;

#[test]
fn the_week_of_a_room_shows_lessons_of_both_shifts() {
    let policy = policy();
    let room = policy.room("101").unwrap();
    let text = week_text(&policy, room, date(2026, 9, 9), Language::Russian, 120);
    let line = |head: &str| text.lines().find(|line| line.contains(head)).unwrap_or("");
    assert!(line("08:00-08:45").contains("1 8-A"), "{text}");
    assert!(line("13:15-14:00").contains("1 5-A"), "{text}");
    let svg = week_svg(&policy, &[room], date(2026, 9, 9), Language::Kyrgyz);
    assert!(svg.starts_with("<svg") && svg.contains("08:00-08:45 1 8-A"));
}

#[test]
fn the_example_has_no_overlaps_and_no_gaps() {
    assert_eq!(findings(&policy(), date(2026, 9, 1)), []);
}

#[test]
fn a_room_that_is_never_open_is_found() {
    let mut policy = policy();
    policy.calendar.terms.truncate(1);
    policy.calendar.terms[0].span.last = policy.calendar.terms[0].span.first;
    let found = findings(&policy, date(2026, 9, 1));
    assert!(
        found
            .iter()
            .any(|f| f.message.text.contains("is out of term")),
        "{found:?}"
    );
    // One-off days are school days whatever the terms say.
    policy.calendar.days.clear();
    policy.calendar.terms[0].span.first = date(2026, 9, 6);
    // A Sunday.
    policy.calendar.terms[0].span.last = date(2026, 9, 6);
    let found = findings(&policy, date(2026, 9, 1));
    assert!(
        found
            .iter()
            .any(|f| f.message.text.contains("\"101\" has no window")),
        "{found:?}"
    );
}
