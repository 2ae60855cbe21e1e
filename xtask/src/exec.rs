//! Runs commands and names the one that failed.

use std::io::{BufRead as _, BufReader, Read};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Runs `command` to its end; an error names the command line.
pub(crate) fn exec(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// Runs `command` and returns what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Says what begins, does it, says how long it took.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {what}");
    let start = Instant::now();
    let done = work().with_context(|| format!("this step failed: {what}"))?;
    let seconds = start.elapsed().as_secs_f64();
    if seconds >= 1.0 {
        println!("    done in {seconds:.0} s");
    }
    Ok(done)
}

/// Calls `each` with every line that comes from `source`, until its end; an
/// error when that takes longer than `limit`.
pub(crate) fn follow(
    source: impl Read + Send + 'static,
    limit: Duration,
    mut each: impl FnMut(&str),
) -> Result<()> {
    let (send, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    let deadline = Instant::now() + limit;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => each(String::from_utf8_lossy(&line).trim_end()),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => bail!("no end after {} s", limit.as_secs()),
        }
    }
}
