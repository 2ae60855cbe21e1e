//! Telling the class teacher: a webhook and a mail command, at a bounded
//! rate, on a thread of its own so that nothing waits for them.

use std::collections::VecDeque;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::store::incidents::Incident;

/// Messages that wait; more are dropped and counted.
const QUEUE: usize = 64;
/// For a webhook or mail command to finish.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where messages go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ways {
    pub(super) webhook: Option<String>,
    /// Program and arguments; the message comes on its standard input.
    pub(super) mail_command: Vec<String>,
    pub(super) per_hour: u32,
}

/// The sending end.
#[derive(Debug)]
pub(super) struct Notifier {
    queue: SyncSender<(Ways, Incident)>,
    dropped: Arc<AtomicU64>,
}

impl Notifier {
    /// Starts the thread that sends.
    pub(super) fn start() -> std::io::Result<Self> {
        let (queue, waiting) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("notify".into())
            .spawn(move || send_all(&waiting, &count))?;
        Ok(Self { queue, dropped })
    }

    /// Sends a message soon, or counts it as dropped.
    pub(super) fn tell(&self, ways: Ways, incident: Incident) {
        if ways.webhook.is_none() && ways.mail_command.is_empty() {
            return;
        }
        if self.queue.try_send((ways, incident)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Messages over the limit, or that could not be sent.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn send_all(waiting: &Receiver<(Ways, Incident)>, dropped: &AtomicU64) {
    let mut sent = Rate::default();
    while let Ok((ways, incident)) = waiting.recv() {
        if !sent.allows(ways.per_hour, Instant::now()) {
            dropped.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        if let Some(url) = &ways.webhook
            && let Err(problem) = webhook(url, &incident)
        {
            dropped.fetch_add(1, Ordering::Relaxed);
            eprintln!("filter-agent: the webhook failed: {problem}");
        }
        if let [program, arguments @ ..] = &*ways.mail_command
            && let Err(problem) = mail(program, arguments, &incident)
        {
            dropped.fetch_add(1, Ordering::Relaxed);
            eprintln!("filter-agent: the mail command failed: {problem}");
        }
    }
}

/// At most so many within an hour.
#[derive(Debug, Default)]
struct Rate(VecDeque<Instant>);

impl Rate {
    fn allows(&mut self, per_hour: u32, now: Instant) -> bool {
        while self
            .0
            .front()
            .is_some_and(|first| now.duration_since(*first) >= Duration::from_secs(3600))
        {
            self.0.pop_front();
        }
        let free = self.0.len() < per_hour as usize;
        if free {
            self.0.push_back(now);
        }
        free
    }
}

fn webhook(url: &str, incident: &Incident) -> Result<(), String> {
    let body = serde_json::to_string(incident).map_err(|error| error.to_string())?;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    agent
        .post(url)
        .header("content-type", "application/json")
        .send(body)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn mail(program: &str, arguments: &[String], incident: &Incident) -> Result<(), String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A program that does not read its input may still send something.
        let _ = input.write_all(letter(incident).as_bytes());
    }
    wait(&mut child, program)
}

fn wait(child: &mut Child, program: &str) -> Result<(), String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("{program}: {status}")),
            Ok(None) if start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(None) => {
                // It is gone, or will be: nothing else can be done.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{program} took too long"));
            }
            Err(error) => return Err(format!("{program}: {error}")),
        }
    }
}

fn letter(incident: &Incident) -> String {
    format!(
        "Subject: Incident {} in room {}\n\nRoom: {}\nLesson: {}\nClass teacher: {}\n\
         Category: {}\nTries: {}\nDevice: {}\n",
        incident.id,
        incident.room,
        incident.room,
        incident.lesson,
        incident.class_teacher.as_deref().unwrap_or("-"),
        incident.category,
        incident.tries,
        incident.pseudonym,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_bounded_by_the_hour() {
        let mut rate = Rate::default();
        let start = Instant::now();
        assert!(rate.allows(2, start) && rate.allows(2, start));
        assert!(!rate.allows(2, start + Duration::from_secs(3599)));
        assert!(rate.allows(2, start + Duration::from_secs(3600)));
    }
}
