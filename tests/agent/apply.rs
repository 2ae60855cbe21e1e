//! Putting a policy in force while the school works.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use filter_tests::agent::Agent;
use filter_tests::clients::{Client, Seen, visit};
use filter_tests::frames::client_hello;
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::netns::Host;
use filter_tests::reach::ROOMS;
use filter_tests::servers::Servers;

use super::POLICY;

/// Names of a list that takes a while to read and to build.
const NAMES: u32 = 400_000;
/// By when a block or a closed door is in force and on the disk.
const IN_FORCE: Duration = Duration::from_millis(10);
/// An emulated machine is so many times slower.
const EMULATED: u32 = 50;

/// Writes a long list beside the policy and a policy that reads it.
fn long_policy(agent: &Agent<'_>, policy: &str) -> Result<String> {
    let file = agent.write_policy(
        &policy.replace("locked = true\n", "locked = true\nlists = [\"long.txt\"]\n"),
    )?;
    let mut list = String::new();
    for i in 0..NAMES {
        list.push_str(&format!("host{i}.listed.example.com\n"));
    }
    let folder = file.parent().context("a folder")?;
    std::fs::write(folder.join("long.txt"), list)?;
    Ok(file.display().to_string())
}

/// One request to the agent, and how long its answer took.
fn post(router: &Host, path: &str, body: &str) -> Result<Duration> {
    router.run(|| {
        let begun = Instant::now();
        let mut stream = UnixStream::connect("/run/school-filter/control.sock")?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(
            answer.starts_with("HTTP/1.1 200"),
            "{path} {body}: {answer}"
        );
        Ok(begun.elapsed())
    })
}

#[test]
fn blocks_and_doors_do_not_wait_for_an_apply() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let servers = Servers::start(&lab.server, &["first.example.org", "open.example.org"])?;
    let agent = Agent::start(&lab, POLICY)?;
    let file = long_policy(&agent, POLICY)?;
    let room = lab.room("tagged")?;
    let ask = |name| {
        visit(
            Client::Curl,
            &room.client,
            servers.authority(),
            name,
            SERVERS[0],
        )
    };
    let mut took = Vec::new();
    let said = thread::scope(|scope| -> Result<String> {
        let applying = scope.spawn(|| agent.command(&["apply", &file]));
        thread::sleep(Duration::from_millis(50));
        let mut first = None;
        let mut number = 0;
        while !applying.is_finished() {
            let target = match number {
                0 => "first.example.org".to_owned(),
                _ => format!("h{number}.example.org"),
            };
            let body = format!("{{\"target\":\"{target}\"}}");
            took.push(post(&lab.router, "/v1/block", &body)?);
            if number == 0 {
                let seen = ask("first.example.org")?.seen;
                first = Some((seen, !applying.is_finished()));
            }
            let mode = ["closed", "auto"][number % 2];
            let body = format!("{{\"room\":\"lab-2\",\"mode\":\"{mode}\"}}");
            took.push(post(&lab.router, "/v1/room", &body)?);
            number += 1;
            thread::sleep(Duration::from_millis(10));
        }
        ensure!(
            first == Some((Seen::Refused, true)),
            "blocked in the middle of the apply: {first:?}"
        );
        post(
            &lab.router,
            "/v1/room",
            "{\"room\":\"lab-2\",\"mode\":\"closed\"}",
        )?;
        applying
            .join()
            .map_err(|_| anyhow::anyhow!("apply panicked"))?
    })?;
    ensure!(said.contains("generation 2"), "{said}");
    took.sort_unstable();
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    let slowest = took.last().copied().unwrap_or_default();
    println!(
        "{} changes during the apply: median {median:?}, slowest {slowest:?}",
        took.len()
    );
    let factor = match std::env::var_os("FILTER_TESTS_MACHINE") {
        Some(_) => EMULATED,
        None => 1,
    };
    ensure!(
        took.len() >= 10,
        "the apply was over after {} changes",
        took.len()
    );
    ensure!(median <= IN_FORCE * factor, "{took:?}");
    // Whatever else the machine does: nobody waits for the verifier.
    ensure!(slowest <= IN_FORCE * 15 * factor, "{took:?}");
    // What was changed during the apply holds after it.
    ensure!(ask("first.example.org")?.seen == Seen::Refused);
    ensure!(ask("open.example.org")?.seen != Seen::Refused);
    let rooms = agent.command(&["room", "list", "--json"])?;
    ensure!(rooms.contains("closed by root"), "{rooms}");
    let status = agent.command(&["status", "--json"])?;
    let blocks = format!("\"blocks\": {}", took.len() / 2);
    ensure!(status.contains(&blocks), "{blocks}: {status}");
    let page = agent.metrics()?;
    ensure!(
        page.contains("school_filter_room_open{room=\"lab-2\"} 0"),
        "{page}"
    );
    for map in ["flows", "hellos", "quic_hellos", "reported", "starts"] {
        let fill = format!("school_filter_map_fill_ratio{{map=\"{map}\"}} ");
        ensure!(page.contains(&fill), "{map}: {page}");
    }
    ensure!(
        page.contains("school_filter_events_suppressed_total 0"),
        "{page}"
    );
    Ok(())
}

/// A server that sends back what it gets, as a TLS server's bytes look to
/// the filter.
fn echo(listener: &TcpListener, stop: &AtomicBool) -> Result<()> {
    let (mut stream, _) = listener.accept()?;
    // Behind a cut nothing comes any more, not even an end.
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut bytes = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(len) => stream.write_all(bytes.get(..len).unwrap_or(&[]))?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn there_and_back(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes)?;
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back)
}

#[test]
fn a_half_hello_and_a_connection_go_on_across_applies() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, POLICY)?;
    let room = lab.room("tagged")?;
    let server = SocketAddr::new(SERVERS[0], 443);
    let listener = lab.server.run(|| Ok(TcpListener::bind(server)?))?;
    let hello = client_hello("open.example.org", 0);
    let (head, tail) = hello.split_at(40);
    let file = agent.policy().display().to_string();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| echo(&listener, &stop));
        let done = room.client.run(|| {
            let mut stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            there_and_back(&mut stream, head).context("half a hello")?;
            agent.command(&["apply", &file])?;
            there_and_back(&mut stream, tail).context("its other half")?;
            agent.command(&["apply", &file])?;
            for _ in 0..20 {
                there_and_back(&mut stream, &[0x17; 1000]).context("what follows")?;
            }
            // And the new policy reaches into it.
            agent.write_policy(
                &POLICY.replace("\"example.net\"", "\"example.net\", \"open.example.org\""),
            )?;
            agent.command(&["apply", &file])?;
            match there_and_back(&mut stream, &[0x17; 1000]) {
                Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
                other => bail!("cut by a reset, but {other:?}"),
            }
        });
        stop.store(true, Ordering::Relaxed);
        done
    })
}

fn pins(router: &Host) -> Result<Vec<String>> {
    router.run(|| {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(Path::new("/sys/fs/bpf/school-filter"))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    })
}

#[test]
fn killed_at_any_moment_of_an_apply_one_policy_is_in_force() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let names = ["www.example.net", "www.example.com"];
    let servers = Servers::start(&lab.server, &names)?;
    let mut agent = Agent::start(&lab, POLICY)?;
    let room = lab.room("tagged")?;
    let seen = || -> Result<[bool; 2]> {
        let mut refused = [false; 2];
        for (refused, name) in refused.iter_mut().zip(names) {
            let visit = visit(
                Client::Curl,
                &room.client,
                servers.authority(),
                name,
                SERVERS[0],
            );
            *refused = visit?.seen == Seen::Refused;
        }
        Ok(refused)
    };
    // One policy refuses one name, the other one the other.
    let other = POLICY.replace("hosts = [\"example.net\"]", "hosts = [\"example.com\"]");
    let begun = Instant::now();
    let file = agent.write_policy(&other)?.display().to_string();
    agent.command(&["apply", &file])?;
    let took = begun.elapsed();
    ensure!(seen()? == [false, true]);
    let mut outcomes = [0; 2];
    for (round, policy) in [POLICY, &other, POLICY, &other, POLICY, &other]
        .iter()
        .enumerate()
    {
        let before = seen()?;
        agent.write_policy(policy)?;
        thread::scope(|scope| -> Result<()> {
            let applying = scope.spawn(|| agent.try_command(&["apply", &file]));
            // From the first map to well behind the swap.
            thread::sleep(took * (round as u32 * 2 + 3) / 10);
            finish_off(&agent)?;
            // It fails when the agent dies before its answer.
            let _ = applying.join();
            Ok(())
        })?;
        let after = seen()?;
        ensure!(
            after == [true, false] || after == [false, true],
            "half of a policy is in force: {after:?}"
        );
        outcomes[usize::from(after != before)] += 1;
        agent.restart()?;
        let want = [*policy == POLICY, *policy != POLICY];
        ensure!(
            seen()? == want,
            "after the restart: {:?}, not {want:?}",
            seen()?
        );
        let left = pins(&lab.router)?;
        ensure!(
            left.len() == 3,
            "links, shared maps and one image: {left:?}"
        );
    }
    println!(
        "killed before the swap {} times, after it {}",
        outcomes[0], outcomes[1]
    );
    Ok(())
}

/// SIGKILL to the agent.
fn finish_off(agent: &Agent<'_>) -> Result<()> {
    let id = nix::unistd::Pid::from_raw(agent.id() as i32);
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL)?;
    Ok(())
}

#[test]
fn an_image_that_cannot_be_pinned_is_refused_and_counted() -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    let agent = Agent::start(&lab, POLICY)?;
    let mount = |how: &str| lab.router.output("mount", &["-o", how, "/sys/fs/bpf"]);
    mount("remount,ro")?;
    let file = agent.policy().display().to_string();
    let refused = agent.try_command(&["apply", &file])?;
    mount("remount,rw")?;
    ensure!(refused.code != Some(0), "{refused:?}");
    ensure!(
        refused.stderr.contains("/sys/fs/bpf/school-filter")
            && refused.stderr.contains("Read-only"),
        "{refused:?}"
    );
    let status = agent.command(&["status", "--json"])?;
    ensure!(status.contains("\"generation\": 1"), "{status}");
    let page = agent.metrics()?;
    ensure!(
        page.contains("school_filter_policy_apply_failures_total 1"),
        "{page}"
    );
    let said = agent.command(&["apply", &file])?;
    ensure!(said.contains("generation 2"), "{said}");
    Ok(())
}
