//! The main job: what the policy says is what every client sees.

use anyhow::Result;
use filter_tests::agent::Agent;
use filter_tests::lab::Lab;
use filter_tests::school::{CASES, NAMES, POLICY, ROOMS};
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
