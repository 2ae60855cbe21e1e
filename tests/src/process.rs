//! Programs on the lab's hosts: with an end, whatever happens.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// A program that runs beside the test; killed when dropped.
#[derive(Debug)]
pub struct Background {
    child: Child,
    log: PathBuf,
}

impl Background {
    /// Starts `command`; what it writes goes to the file `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// What the program has written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until `ready` says so; an error when the program ends or `limit`
    /// passes first.
    pub fn wait_until(&mut self, limit: Duration, ready: impl Fn(&str) -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !ready(&self.log()) {
            if let Some(status) = self.child.try_wait()? {
                bail!("ended with {status}:\n{}", self.log());
            }
            if Instant::now() > deadline {
                bail!("not ready after {} s:\n{}", limit.as_secs(), self.log());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The program's process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the program at once (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.kill();
    }
}

/// What a program did within its time.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; `None` when it was killed, by the limit or otherwise.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// Runs `command` to its end, or kills it after `limit`. Its output must fit
/// in a pipe (64 KiB).
pub fn finish(command: &mut Command, limit: Duration) -> Result<Finished> {
    let start = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let code = loop {
        if let Some(status) = child.try_wait()? {
            break status.code();
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(2));
    };
    let took = start.elapsed();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    if let Some(pipe) = &mut child.stdout {
        pipe.read_to_end(&mut stdout)?;
    }
    if let Some(pipe) = &mut child.stderr {
        pipe.read_to_end(&mut stderr)?;
    }
    Ok(Finished {
        code,
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        took,
    })
}
