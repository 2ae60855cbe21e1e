//! `apply.*`: the agent of the release build beside a lab, driven by its
//! commands: lists from files into force, blocks, doors, and its memory.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::process::{Background, finish};
use filter_tests::reach::ROOMS;
use filter_tests::scratch::Scratch;

use crate::Effort;
use crate::frames;
use crate::rows::Rows;
use crate::workload::Prefixes;

const LIMIT: Duration = Duration::from_secs(120);
/// The room that is closed and asks.
const ROOM: &str = "tagged";

pub(crate) fn measure(rows: &mut Rows, effort: &Effort) -> Result<()> {
    let lab = Lab::new(&ROOMS)?;
    for &count in effort.hosts {
        eprintln!("apply: {count} hosts and {} ranges", effort.applied_ranges);
        let agent = Agent::start(&lab)?;
        for round in 0..effort.applies {
            agent.apply(rows, count, effort.applied_ranges, round)?;
        }
    }
    eprintln!("apply: blocks and doors");
    let agent = Agent::start(&lab)?;
    for _ in 0..effort.rounds {
        let reason = ["--reason", "bench"];
        let block = agent.until_dropped(&[&["block", "example.org"], &reason[..]].concat())?;
        rows.add("apply.block", "ms", block);
        agent.command(&["unblock", "example.org"])?;
        let close = agent.until_dropped(&[&["room", "close", ROOM], &reason[..]].concat())?;
        rows.add("apply.room-close", "ms", close);
        agent.command(&["room", "auto", ROOM])?;
    }
    Ok(())
}

/// The agent on the lab's router; both its process and its files go with it.
struct Agent<'a> {
    lab: &'a Lab,
    process: Background,
    files: Scratch,
}

impl<'a> Agent<'a> {
    fn start(lab: &'a Lab) -> Result<Self> {
        let files = Scratch::new()?;
        write_lists(files.path(), 1, 1, 0)?;
        let policy = policy(&files)?;
        let mut command = lab.router.command(program()?);
        command.arg("run").arg("--policy").arg(policy);
        let process = Background::start(&mut command, &files.path().join("agent.log"))?;
        let mut agent = Self {
            lab,
            process,
            files,
        };
        let program = program()?;
        agent
            .process
            .wait_until(LIMIT, |_| {
                finish(lab.router.command(&program).arg("status"), LIMIT)
                    .is_ok_and(|status| status.code == Some(0))
            })
            .context("the agent does not start")?;
        Ok(agent)
    }

    /// Lists that the agent has not seen before, from their files into force.
    fn apply(&self, rows: &mut Rows, hosts: u32, ranges: u32, round: u32) -> Result<()> {
        write_lists(self.files.path(), hosts, ranges, round)?;
        // From here on the peak counts (Documentation/filesystems/proc.rst).
        std::fs::write(self.proc("clear_refs"), "5").context("cannot reset the peak")?;
        let start = Instant::now();
        self.command(&["apply"])?;
        let span = start.elapsed();
        rows.add(&format!("apply.{hosts}"), "ms", milliseconds(span));
        let peak = self.memory("VmHWM:")?;
        rows.add(&format!("apply.peak.{hosts}"), "MiB", peak);
        // What is freed later than the command's end.
        thread::sleep(Duration::from_millis(500));
        let steady = self.memory("VmRSS:")?;
        rows.add(&format!("apply.steady.{hosts}"), "MiB", steady);
        Ok(())
    }

    /// Milliseconds from the command's start until the first query is sent
    /// after which none arrives.
    fn until_dropped(&self, command: &[&str]) -> Result<f64> {
        let server = SocketAddr::new(SERVERS[0], 53);
        let receiver = self.lab.server.run(|| Ok(UdpSocket::bind(server)?))?;
        receiver.set_read_timeout(Some(Duration::from_millis(50)))?;
        let client = &self.lab.room(ROOM)?.client;
        let sender = client.run(|| Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?))?;
        let end = AtomicBool::new(false);
        thread::scope(|scope| {
            let sending = scope.spawn(|| {
                let mut sent = Vec::new();
                while !end.load(Ordering::Relaxed) && sent.len() < usize::from(u16::MAX) {
                    let at = Instant::now();
                    // The last command's answer may still be on its way.
                    let _ = sender.send_to(&frames::question(sent.len() as u16), server);
                    sent.push(at);
                    thread::sleep(Duration::from_micros(100));
                }
                sent
            });
            let receiving = scope.spawn(|| {
                let mut arrived = HashSet::new();
                let mut buffer = [0; 512];
                loop {
                    match receiver.recv(&mut buffer) {
                        Ok(_) => arrived.insert(u16::from_be_bytes([buffer[0], buffer[1]])),
                        // Nothing for a while.
                        Err(_) if end.load(Ordering::Relaxed) => break arrived,
                        Err(_) => false,
                    };
                }
            });
            thread::sleep(Duration::from_millis(50));
            let start = Instant::now();
            let done = self.command(command);
            thread::sleep(Duration::from_millis(50));
            end.store(true, Ordering::Relaxed);
            let sent = sending.join().map_err(|_| anyhow::anyhow!("sender"))?;
            let arrived = receiving.join().map_err(|_| anyhow::anyhow!("receiver"))?;
            done?;
            let last = arrived.iter().max().context("no query arrived at all")?;
            let first = sent
                .get(usize::from(*last) + 1)
                .context("queries arrive still")?;
            // Dropped before the command would be another's doing.
            let span = first.checked_duration_since(start);
            Ok(milliseconds(span.context("dropped before the command")?))
        })
    }

    fn command(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.lab.router.command(program()?);
        let done = finish(command.env("LC_ALL", "C").args(arguments), LIMIT)?;
        ensure!(
            done.code == Some(0),
            "filter-agent {}: {}\n{}",
            arguments.join(" "),
            done.stderr,
            self.process.log()
        );
        Ok(done.stdout)
    }

    fn proc(&self, name: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.process.id().to_string())
            .join(name)
    }

    /// A field of the agent's `status` in MiB.
    fn memory(&self, field: &str) -> Result<f64> {
        let status = std::fs::read_to_string(self.proc("status"))?;
        let value = status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .and_then(|rest| rest.split_whitespace().next())
            .context("no such field of memory")?;
        Ok(value.parse::<f64>()? / 1024.0)
    }
}

/// The agent beside this program: of the same build.
fn program() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("filter-agent"))
}

fn policy(files: &Scratch) -> Result<PathBuf> {
    files.write(
        "policy.toml",
        &format!(
            "school = \"Benchmark\"\ntimezone = \"Asia/Bishkek\"\n\
             [network]\nlan = [\"lan0\"]\nwan = [\"wan0\"]\n\
             [[category]]\nname = \"listed\"\nlists = [\"hosts.txt\", \"ranges.txt\"]\n\
             [[group]]\nname = \"pupils\"\ndefault = \"open\"\ndeny = [\"listed\"]\n\
             [[room]]\nname = \"{ROOM}\"\nvlan = 20\ngroup = \"pupils\"\n"
        ),
    )
}

/// Lists that differ in each round.
fn write_lists(folder: &Path, hosts: u32, ranges: u32, round: u32) -> Result<()> {
    let mut text = String::new();
    for number in 0..hosts {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "host{number}.r{round}.example{}.com", number % 1000);
    }
    std::fs::write(folder.join("hosts.txt"), &text)?;
    text.clear();
    for (address, bits) in Prefixes::random(ranges).v4 {
        // Rooms and servers of the lab stay outside.
        let address = Ipv4Addr::from_bits(address);
        if ![10, 127, 192, 198, 203].contains(&address.octets()[0]) {
            let _ = writeln!(text, "{address}/{bits}");
        }
    }
    std::fs::write(folder.join("ranges.txt"), text)?;
    Ok(())
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
