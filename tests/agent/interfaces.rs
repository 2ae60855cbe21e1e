//! Cards come and go, and two agents meet: the filter stays where it belongs.

use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use filter_tests::agent::{Agent, eventually, program};
use filter_tests::lab::Lab;
use filter_tests::process::finish;
use filter_tests::reach::ROOMS;

use super::POLICY;

/// In emulation, or beside other tests, an image takes a while.
const SOON: Duration = Duration::from_secs(60);

fn two_cards() -> String {
    POLICY.replace("lan = [\"lan0\"]", "lan = [\"lan9\", \"lan0\"]")
}

fn plug_in(lab: &Lab) -> Result<()> {
    lab.router.cable("lan9", &lab.server, "far9", 1500)
}

fn has_xdp(lab: &Lab, interface: &str) -> Result<bool> {
    let shown = lab.router.output("ip", &["link", "show", interface])?;
    Ok(shown.contains("xdp"))
}

/// How the filter hangs on `lan9`, by the metrics.
fn mode(agent: &Agent<'_>, mode: &str, value: u8) -> Result<bool> {
    let line = format!(
        "school_filter_interface_attached{{interface=\"lan9\",mode=\"{mode}\",side=\"lan\"}} {value}"
    );
    Ok(agent.metrics()?.lines().any(|have| have == line))
}

#[test]
fn a_card_that_comes_back_is_filtered_again() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    plug_in(&lab)?;
    let agent = Agent::start(&lab, &two_cards())?;
    ensure!(mode(&agent, "native", 1)?, "{}", agent.metrics()?);
    for _ in 0..2 {
        lab.router.ip("link delete lan9\n")?;
        eventually(SOON, || mode(&agent, "none", 0))?;
        let status = agent.command(&["status"])?;
        ensure!(
            status.contains("lan9 (lan, none)") && status.contains("lan9 is gone"),
            "{status}"
        );
        ensure!(status.contains("lan0 (lan, native)"), "{status}");
        plug_in(&lab)?;
        eventually(SOON, || has_xdp(&lab, "lan9"))?;
        // The image knows its new number, too: it is not only shut.
        let number = lab.router.index("lan9")?;
        let told = format!("the filter hangs on lan9, number {number}");
        eventually(SOON, || Ok(agent.log().contains(&told)))?;
        ensure!(mode(&agent, "native", 1)?, "{}", agent.metrics()?);
        let status = agent.command(&["status"])?;
        ensure!(!status.contains('!'), "{status}");
    }
    Ok(())
}

#[test]
fn a_card_that_comes_late_keeps_no_other_waiting() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, &two_cards())?;
    ensure!(has_xdp(&lab, "lan0")?, "lan0 is there and filtered");
    let status = agent.command(&["status"])?;
    ensure!(status.contains("lan9 is gone"), "{status}");
    // Whoever asks for a policy is told what it names wrongly.
    let refused = agent.try_command(&["apply"])?;
    ensure!(
        refused.code != Some(0) && refused.stderr.contains("names the interface lan9"),
        "{refused:?}"
    );
    plug_in(&lab)?;
    let told = "the filter hangs on lan9";
    eventually(SOON, || Ok(agent.log().contains(told)))?;
    ensure!(mode(&agent, "native", 1)?, "{}", agent.metrics()?);
    agent.command(&["apply"])?;
    // What was taken off stays off, whatever comes.
    agent.command(&["detach", "--reason", "test"])?;
    lab.router.ip("link set lan9 down\nlink set lan9 up\n")?;
    thread::sleep(Duration::from_millis(500));
    ensure!(!has_xdp(&lab, "lan9")? && !has_xdp(&lab, "lan0")?, "off");
    Ok(())
}

#[test]
fn metrics_that_cannot_be_served_do_not_stop_the_filter() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let taken = lab
        .router
        .run(|| Ok(TcpListener::bind("127.0.0.1:9478")?))?;
    let agent = Agent::start(&lab, POLICY)?;
    ensure!(has_xdp(&lab, "lan0")?, "filtered");
    let status = agent.command(&["status"])?;
    ensure!(
        status.contains("! no metrics: [metrics] listen"),
        "{status}"
    );
    drop(taken);
    eventually(SOON, || Ok(agent.metrics().is_ok()))?;
    let status = agent.command(&["status"])?;
    ensure!(!status.contains("no metrics"), "{status}");
    Ok(())
}

#[test]
fn two_agents_do_not_serve_one_filter_and_nobody_but_root_does() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let mut agent = Agent::start(&lab, POLICY)?;
    let policy = agent.policy();
    let second = |starter: &[&str], more: &[&str]| {
        let mut command = match starter {
            [] => lab.router.command(program()),
            [first, rest @ ..] => {
                let mut command = lab.router.command(first);
                command.args(rest).arg(program());
                command
            }
        };
        let command = command.args(["run", "--policy"]).arg(&policy).args(more);
        finish(command, SOON)
    };
    let same = second(&[], &[])?;
    ensure!(
        same.code == Some(7) && same.stderr.contains("another filter-agent answers at"),
        "{same:?}"
    );
    let state = policy.with_file_name("other-state").display().to_string();
    let elsewhere = ["--socket", "/run/other.sock", "--state", &state];
    let other = second(&[], &elsewhere)?;
    ensure!(
        other.code != Some(0)
            && other
                .stderr
                .contains("another filter-agent serves the filter"),
        "{other:?}"
    );
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let pupil = second(&nobody, &elsewhere)?;
    ensure!(
        pupil.code != Some(0) && pupil.stderr.contains("needs root"),
        "{pupil:?}"
    );
    agent.command(&["status"])?;
    // The lock goes with its process, however that ends.
    agent.kill()?;
    agent.restart()
}

#[test]
fn who_holds_connections_open_does_not_use_up_the_agents_descriptors() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, POLICY)?;
    let descriptors =
        || -> Result<usize> { Ok(std::fs::read_dir(format!("/proc/{}/fd", agent.id()))?.count()) };
    let before = descriptors()?;
    let held = lab.router.run(|| {
        let connect = || UnixStream::connect("/run/school-filter/control.sock");
        Ok((0..400).map_while(|_| connect().ok()).collect::<Vec<_>>())
    })?;
    ensure!(held.len() > 100, "{} connections", held.len());
    thread::sleep(Duration::from_millis(500));
    let during = descriptors()?;
    ensure!(during <= before + 64 + 32, "{before}, then {during}");
    // They are closed when nothing comes from them.
    let start = Instant::now();
    eventually(SOON, || Ok(agent.try_command(&["status"])?.code == Some(0)))?;
    ensure!(
        start.elapsed() < Duration::from_secs(40),
        "{:?}",
        start.elapsed()
    );
    drop(held);
    Ok(())
}
