//! The main job: what the policy says is what every client sees.

use std::time::Duration;

use anyhow::Result;
use filter_tests::agent::{Agent, Counts};
use filter_tests::clients::{Client, Seen, Visit};
use filter_tests::lab::Lab;
use filter_tests::school::{CASES, Case, Expected, NAMES, Outcome, POLICY, ROOMS};
use filter_tests::servers::Servers;

#[test]
fn every_client_gets_what_the_policy_says() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let servers = Servers::start(&lab.server, &NAMES)?;
    let agent = Agent::start(&lab, POLICY)?;
    agent.command(&["room", "close", "closed", "--reason", "test"])?;
    let mut wrong = Vec::new();
    for case in CASES {
        let outcome = case.run(&lab, &servers, &agent)?;
        if !case.holds(&outcome) {
            wrong.push(format!("{case:?}\n  {outcome:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases differ:\n{}\nthe agent said: {}",
        wrong.len(),
        CASES.len(),
        wrong.join("\n"),
        agent.log()
    );
    Ok(())
}

/// A row whose `seen` is not what was expected differs, whatever the client.
#[test]
fn only_what_is_expected_holds() {
    let expected = [
        Expected::Answer,
        Expected::Page,
        Expected::Refusal,
        Expected::Silence,
    ];
    let seen = [Seen::Answer, Seen::Page, Seen::Refused, Seen::Silence];
    for client in Client::ALL {
        for expected in expected {
            for seen in seen {
                let case = Case {
                    client,
                    expected,
                    ..CASES[0]
                };
                let outcome = |took, counted| Outcome {
                    visit: Visit {
                        seen,
                        took,
                        detail: String::new(),
                    },
                    counted,
                    counts: Counts::default(),
                };
                let same = expected.name() == seen.name();
                assert_eq!(case.holds(&outcome(Duration::ZERO, true)), same);
                assert!(!case.holds(&outcome(Duration::ZERO, false)));
                let late = case.holds(&outcome(client.refusal(), true));
                let timed = expected == Expected::Refusal && client.tells_time();
                assert_eq!(late, same && !timed, "{client:?} {expected:?} {seen:?}");
            }
        }
    }
}
