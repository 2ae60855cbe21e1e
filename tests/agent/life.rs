//! What outlives the agent, and what ends with the filter.

use anyhow::{Result, ensure};
use filter_tests::agent::Agent;
use filter_tests::lab::Lab;
use filter_tests::reach::ROOMS;

use super::POLICY;

#[test]
fn killed_and_started_again_the_agent_knows_what_held() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let mut agent = Agent::start(&lab, POLICY)?;
    agent.command(&["room", "close", "lab-1", "--for", "45m", "--reason", "exam"])?;
    agent.command(&["block", "example.org", "--reason", "test"])?;
    agent.kill()?;
    agent.restart()?;
    let rooms = agent.command(&["room", "list", "--json"])?;
    ensure!(rooms.contains("closed by root: exam"), "{rooms}");
    let status = agent.command(&["status", "--json"])?;
    ensure!(
        status.contains("\"generation\": 2") && status.contains("\"blocks\": 1"),
        "{status}"
    );
    Ok(())
}

#[test]
fn only_detach_takes_the_filter_off() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let mut agent = Agent::start(&lab, POLICY)?;
    let attached = || -> Result<bool> {
        let links = filter_tests::process::finish(
            lab.router
                .command("ip")
                .args(["-details", "link", "show", "lan0"]),
            std::time::Duration::from_secs(5),
        )?;
        Ok(links.stdout.contains("xdp"))
    };
    ensure!(attached()?, "the filter hangs on lan0");
    agent.kill()?;
    ensure!(attached()?, "the filter stays when its agent dies");
    // Without an agent the command does it alone.
    let off = agent.command(&["detach", "--reason", "test"])?;
    ensure!(off.contains("nothing is filtered now"), "{off}");
    ensure!(!attached()?, "the filter is off");
    agent.restart()?;
    ensure!(attached()?, "and on again");
    let off = agent.command(&["detach", "--reason", "test"])?;
    ensure!(off.contains("lan0"), "{off}");
    ensure!(!attached()?, "the filter is off");
    Ok(())
}
