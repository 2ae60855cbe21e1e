//! The agent on the lab's router: started as an administrator would.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::lab::Lab;
use crate::process::{Background, Finished, finish};
use crate::scratch::Scratch;

/// Where the agent serves its metrics unless the policy says otherwise.
const METRICS: &str = "127.0.0.1:9478";
/// In emulation loading takes a while.
const START: Duration = Duration::from_secs(120);
const COMMAND: Duration = Duration::from_secs(30);

/// A running `filter-agent run`; killed when dropped. What it pinned stays,
/// as in real life, until the router's host goes.
pub struct Agent<'a> {
    lab: &'a Lab,
    process: Background,
    files: Scratch,
    /// Further arguments of `run`.
    arguments: Vec<String>,
}

impl<'a> Agent<'a> {
    /// Starts the agent with this policy and waits until it filters.
    pub fn start(lab: &'a Lab, policy: &str) -> Result<Self> {
        Self::start_with(lab, policy, &[], &[])
    }

    /// As [`Self::start`], with files beside the policy and further arguments
    /// of `run`.
    pub fn start_with(
        lab: &'a Lab,
        policy: &str,
        beside: &[(&str, &str)],
        arguments: &[&str],
    ) -> Result<Self> {
        let files = Scratch::new()?;
        files.write("policy.toml", policy)?;
        for (name, text) in beside {
            files.write(name, text)?;
        }
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let process = spawn(lab, files.path(), &arguments)?;
        let mut agent = Self {
            lab,
            process,
            files,
            arguments,
        };
        agent.wait()?;
        Ok(agent)
    }

    fn wait(&mut self) -> Result<()> {
        let lab = self.lab;
        self.process
            .wait_until(START, |_| {
                finish(lab.router.command(program()).arg("status"), COMMAND)
                    .is_ok_and(|status| status.code == Some(0))
            })
            .context("the agent does not start")
    }

    /// Starts it again after [`Self::kill`], with the policy as it is now.
    pub fn restart(&mut self) -> Result<()> {
        self.process = spawn(self.lab, self.files.path(), &self.arguments)?;
        self.wait()
    }

    /// Kills the agent as nobody should (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// The policy's file.
    pub fn policy(&self) -> PathBuf {
        self.files.path().join("policy.toml")
    }

    /// Replaces the policy's file; nothing is applied yet.
    pub fn write_policy(&self, policy: &str) -> Result<PathBuf> {
        self.files.write("policy.toml", policy)
    }

    /// What the agent has said.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The agent's process number.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Runs a subcommand to its end.
    pub fn try_command(&self, arguments: &[&str]) -> Result<Finished> {
        self.try_as(&[], arguments)
    }

    /// As [`Self::try_command`], started by another program, such as
    /// `setpriv` with its arguments.
    pub fn try_as(&self, starter: &[&str], arguments: &[&str]) -> Result<Finished> {
        let mut command = match starter {
            [] => self.lab.router.command(program()),
            [first, rest @ ..] => {
                let mut command = self.lab.router.command(first);
                command.args(rest).arg(program());
                command
            }
        };
        // What is looked for in the answers is English.
        finish(command.env("LC_ALL", "C").args(arguments), COMMAND)
    }

    /// Runs a line as a person types it, in the folder of the policy.
    pub fn shell(&self, line: &str) -> Result<Finished> {
        let folder = program();
        let folder = folder.parent().context("the program lies in a folder")?;
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = self.lab.router.command("sh");
        command
            .env("LC_ALL", "C")
            .env("PATH", format!("{}:{path}", folder.display()))
            .args([
                "-c",
                &format!("cd '{}' && {line}", self.files.path().display()),
            ]);
        finish(&mut command, COMMAND)
    }

    /// Runs a subcommand that must succeed; returns what it printed.
    pub fn command(&self, arguments: &[&str]) -> Result<String> {
        let done = self.try_command(arguments)?;
        ensure!(
            done.code == Some(0),
            "filter-agent {}: {:?} {}\nthe agent said: {}",
            arguments.join(" "),
            done.code,
            done.stderr,
            self.log()
        );
        Ok(done.stdout)
    }

    /// The page that Prometheus reads.
    pub fn metrics(&self) -> Result<String> {
        self.lab.router.run(|| {
            let mut stream = TcpStream::connect(METRICS).context("the agent serves no metrics")?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            let Some((_, body)) = answer.split_once("\r\n\r\n") else {
                bail!("no HTTP answer: {answer}");
            };
            Ok(body.to_owned())
        })
    }

    /// Frames judged so far.
    pub fn counts(&self) -> Result<Counts> {
        Ok(Counts::parse(&self.metrics()?))
    }
}

fn spawn(lab: &Lab, files: &Path, arguments: &[String]) -> Result<Background> {
    Background::start(
        lab.router
            .command(program())
            .arg("run")
            .arg("--policy")
            .arg(files.join("policy.toml"))
            .args(arguments),
        &files.join("agent.log"),
    )
}

/// The agent's program, beside the tests'.
pub fn program() -> PathBuf {
    crate::target().join("debug/filter-agent")
}

/// `school_filter_packets_total` by room, verdict and reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<[String; 3], u64>);

impl Counts {
    fn parse(metrics: &str) -> Self {
        let mut counts = BTreeMap::new();
        for line in metrics.lines() {
            let Some(rest) = line.strip_prefix("school_filter_packets_total{") else {
                continue;
            };
            let Some((labels, value)) = rest.rsplit_once("} ") else {
                continue;
            };
            let label = |name: &str| {
                labels
                    .split(',')
                    .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
                    .unwrap_or_default()
                    .trim_matches('"')
                    .to_owned()
            };
            let value = value.parse::<f64>().unwrap_or(0.0) as u64;
            counts.insert([label("room"), label("verdict"), label("reason")], value);
        }
        Self(counts)
    }

    /// Frames with this verdict and reason in this room.
    pub fn of(&self, room: &str, verdict: &str, reason: &str) -> u64 {
        let key = [room, verdict, reason].map(str::to_owned);
        self.0.get(&key).copied().unwrap_or(0)
    }

    /// What has come since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let mut more = self.0.clone();
        for (key, count) in &mut more {
            *count -= before.0.get(key).copied().unwrap_or(0).min(*count);
        }
        more.retain(|_, count| *count > 0);
        Self(more)
    }

    /// Verdict and reason of every frame, the rarest first.
    pub fn reasons(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rows: Vec<_> = self.0.iter().collect();
        rows.sort_by_key(|(_, count)| **count);
        rows.into_iter()
            .map(|([_, verdict, reason], _)| (verdict.as_str(), reason.as_str()))
    }
}

/// Asks `done` every few milliseconds until it says so; an error after `limit`.
pub fn eventually(limit: Duration, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !done()? {
        ensure!(Instant::now() < deadline, "not within {limit:?}");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_and_subtracted() {
        let before = Counts::parse(
            "# TYPE school_filter_packets_total counter\n\
             school_filter_packets_total{reason=\"handshake\",room=\"1\",verdict=\"pass\"} 7\n",
        );
        let after = Counts::parse(
            "school_filter_packets_total{reason=\"handshake\",room=\"1\",verdict=\"pass\"} 9\n\
             school_filter_packets_total{reason=\"name_denied\",room=\"1\",verdict=\"reject\"} 1\n",
        );
        assert_eq!(after.of("1", "pass", "handshake"), 9);
        let more = after.since(&before);
        assert_eq!(more.of("1", "pass", "handshake"), 2);
        assert_eq!(
            more.reasons().collect::<Vec<_>>(),
            [("reject", "name_denied"), ("pass", "handshake")]
        );
    }
}
