//! Odd interfaces: each works, or is refused with what to type; the filter is
//! never absent in silence.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use filter_tests::agent::{Agent, eventually, program};
use filter_tests::frames::{tagged, udp};
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::process::{Finished, finish};
use filter_tests::reach::ROOMS;
use filter_tests::scratch::Scratch;
use filter_tests::skip::skip;
use filter_tests::wire::Wire;

use super::POLICY;

/// In emulation, or beside other tests, an image takes a while.
const SOON: Duration = Duration::from_secs(60);
/// Code::Kernel.
const KERNEL: Option<i32> = Some(8);

fn on(interface: &str, more: &str) -> String {
    POLICY.replace(
        "lan = [\"lan0\"]",
        &format!("lan = [\"{interface}\"]\n{more}"),
    )
}

/// Starts an agent that must not start.
fn refused(lab: &Lab, policy: &str) -> Result<Finished> {
    let files = Scratch::new()?;
    let path = files.write("policy.toml", policy)?;
    let mut command = lab.router.command(program());
    command
        .env("LC_ALL", "C")
        .args(["run", "--policy"])
        .arg(path);
    finish(&mut command, SOON)
}

/// How the filter hangs on an interface, by the metrics.
fn hangs(agent: &Agent<'_>, interface: &str, mode: &str) -> Result<bool> {
    let value = u8::from(mode != "none");
    let line = format!(
        "school_filter_interface_attached{{interface=\"{interface}\",mode=\"{mode}\",side=\"lan\"}} {value}"
    );
    Ok(agent.metrics()?.lines().any(|have| have == line))
}

/// Number of the XDP program on an interface.
fn running(lab: &Lab, interface: &str) -> Result<Option<u32>> {
    let shown = lab
        .router
        .output("ip", &["-o", "link", "show", interface])?;
    let number = shown.split_once("prog/xdp id ").map(|(_, rest)| rest);
    let number = number.and_then(|rest| rest.split(' ').next());
    Ok(number.map(str::parse).transpose()?)
}

/// A device that only the network stack can run programs for.
fn is_generic_only(test: &str, name: &str, make: &str, why: &str) -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    if lab.router.ip(&format!("{make}\n")).is_err() {
        skip(test, &format!("this kernel cannot: ip {make}"));
        return Ok(());
    }
    lab.router.ip(&format!("link set {name} up\n"))?;
    let told = refused(&lab, &on(name, ""))?;
    ensure!(
        told.code == KERNEL
            && [name, why, "generic = true"]
                .iter()
                .all(|word| told.stderr.contains(word)),
        "{told:?}"
    );
    ensure!(running(&lab, name)?.is_none());
    let agent = Agent::start(&lab, &on(name, "generic = true"))?;
    ensure!(hangs(&agent, name, "generic")?, "{}", agent.metrics()?);
    let status = agent.command(&["status"])?;
    ensure!(
        status.contains(&format!("{name} (lan, generic)")),
        "{status}"
    );
    // A driver that can is used all the same.
    ensure!(status.contains("wan0 (wan, native)"), "{status}");
    Ok(())
}

#[test]
fn a_bridge_is_filtered_where_the_policy_allows_it() -> Result<()> {
    is_generic_only(
        "a_bridge_is_filtered_where_the_policy_allows_it",
        "br9",
        "link add br9 type bridge",
        "it is a bridge",
    )
}

#[test]
fn a_device_without_a_driver_for_it_is_filtered_where_the_policy_allows_it() -> Result<()> {
    is_generic_only(
        "a_device_without_a_driver_for_it_is_filtered_where_the_policy_allows_it",
        "vx9",
        "link add vx9 type vxlan id 9 dstport 4789 local 198.51.100.1",
        "the driver cannot run XDP",
    )
}

#[test]
fn what_sees_no_frames_of_rooms_is_refused() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let told = refused(&lab, &on("lo", "generic = true"))?;
    ensure!(
        told.code == KERNEL && told.stderr.contains("lo: it carries no Ethernet frames"),
        "{told:?}"
    );
    // A port of a bridge sees its own frames, and not those between others.
    lab.router
        .ip("link add br9 type bridge\nlink set lan0 master br9\n")?;
    let agent = Agent::start(&lab, POLICY)?;
    ensure!(hangs(&agent, "lan0", "native")?, "{}", agent.metrics()?);
    let log = agent.log();
    ensure!(log.contains("lan0: it is a port of br9"), "{log}");
    Ok(())
}

#[test]
fn a_foreign_program_is_not_pushed_off() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    // What another service hung there: our own program, from other pins.
    let pins = "/sys/fs/bpf/other-service";
    let mut other = Agent::start_with(&lab, POLICY, &[], &["--pins", pins])?;
    // Nobody takes the filter off behind its agent's back.
    let elsewhere = ["--socket", "/run/nowhere.sock", "detach", "--reason", "x"];
    let told = other.try_command(&[&elsewhere[..], &["--pins", pins]].concat())?;
    ensure!(
        told.code == Some(7) && told.stderr.contains("--socket FILE"),
        "{told:?}"
    );
    let number = running(&lab, "lan0")?.context("nothing hangs on lan0")?;
    other.kill()?;
    let told = refused(&lab, POLICY)?;
    ensure!(
        told.code == KERNEL
            && told
                .stderr
                .contains(&format!("another XDP program (number {number})"))
            && told.stderr.contains("ip link set dev lan0 xdp off"),
        "{told:?}"
    );
    ensure!(running(&lab, "lan0")? == Some(number), "it was touched");
    other.command(&["detach", "--reason", "x", "--pins", pins])?;
    let agent = Agent::start(&lab, POLICY)?;
    ensure!(hangs(&agent, "lan0", "native")?, "{}", agent.metrics()?);
    Ok(())
}

#[test]
fn what_happens_to_a_card_while_it_is_filtered() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, POLICY)?;
    let program = running(&lab, "lan0")?;
    ensure!(program.is_some());
    let soon = |what: &str, done: &dyn Fn() -> Result<bool>| {
        let told = || format!("{what}: the agent said: {}", agent.log());
        eventually(SOON, done).with_context(told)
    };
    let status = |word: &str| -> Result<()> {
        let status = agent.command(&["status"])?;
        ensure!(status.contains(word), "no {word}: {status}");
        Ok(())
    };
    // A new name: the program stays where it is, and the name is missed.
    lab.router
        .ip("link set lan0 down\nlink set lan0 name old0\nlink set old0 up\n")?;
    soon("gone", &|| hangs(&agent, "lan0", "none"))?;
    ensure!(running(&lab, "old0")? == program, "it came off");
    status("! the interface lan0 is gone")?;
    lab.router
        .ip("link set old0 down\nlink set old0 name lan0\n")?;
    soon("back", &|| hangs(&agent, "lan0", "native"))?;
    // Down, as it is now, it is as it was.
    ensure!(running(&lab, "lan0")? == program);
    lab.router.ip("link set lan0 up\n")?;
    ensure!(hangs(&agent, "lan0", "native")?);

    // Into another namespace, and back.
    let far = lab.server.path().display().to_string();
    let near = lab.router.path().display().to_string();
    lab.router.ip(&format!("link set lan0 netns {far}\n"))?;
    soon("gone", &|| hangs(&agent, "lan0", "none"))?;
    status("! the interface lan0 is gone")?;
    lab.server.ip(&format!("link set lan0 netns {near}\n"))?;
    lab.router.ip("link set lan0 up\n")?;
    soon("back", &|| hangs(&agent, "lan0", "native"))?;
    ensure!(running(&lab, "lan0")?.is_some());

    // Somebody switches on what hides tags.
    lab.router
        .output("ethtool", &["-K", "lan0", "rxvlan", "on"])?;
    soon("offload", &|| {
        let features = lab.router.output("ethtool", &["-k", "lan0"])?;
        Ok(features.contains("rx-vlan-offload: off"))
    })?;
    ensure!(
        agent.log().contains("ethtool -K lan0 rxvlan off"),
        "{}",
        agent.log()
    );

    // Somebody removes the pins, and with them the hooks.
    lab.router
        .run(|| Ok(fs::remove_dir_all("/sys/fs/bpf/school-filter/links")?))?;
    soon("unpinned", &|| {
        Ok(running(&lab, "lan0")?.is_some_and(|new| Some(new) != program))
    })?;
    soon("back", &|| hangs(&agent, "lan0", "native"))?;
    let quiet = || Ok(!agent.command(&["status"])?.contains('!'));
    soon("quiet", &quiet)
}

#[test]
fn small_and_jumbo_frames_are_judged() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    for mtu in [1280_u32, 9000] {
        lab.router.cable("lan9", &lab.server, "far9", mtu)?;
        let agent = Agent::start(&lab, &on("lan9", ""))?;
        ensure!(hangs(&agent, "lan9", "native")?, "{}", agent.metrics()?);
        agent.command(&["block", &SERVERS[2].to_string()])?;
        let before = agent.counts()?;
        // As long as the link takes it: IPv4 and UDP headers are 28 bytes.
        let payload = vec![7; mtu as usize - 28];
        let frame = tagged(
            20,
            &udp("10.20.2.2:4000", &format!("{}:9", SERVERS[2]), &payload),
        );
        ensure!(
            lab.server.run(|| Ok(Wire::open("far9")?.send(&frame)))?,
            "{mtu}: not sent"
        );
        eventually(SOON, || {
            Ok(agent
                .counts()?
                .since(&before)
                .of("lab-1", "reject", "blocked")
                == 1)
        })
        .with_context(|| format!("MTU {mtu}: {:?}", agent.counts()))?;
        agent.command(&["detach", "--reason", "test"])?;
        lab.router.ip("link delete lan9\n")?;
    }
    Ok(())
}
