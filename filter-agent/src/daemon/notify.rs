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
use crate::words::{Language, Message, Said, Word};

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
        let letter = letter(incident, Language::of_environment());
        let _ = input.write_all(letter.as_bytes());
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

/// A message as mail programs take it (RFC 5322), in the language of the
/// agent's environment.
fn letter(incident: &Incident, language: Language) -> String {
    let subject = Said::new(Message::LetterSubject)
        .with("id", incident.id)
        .with("room", &incident.room);
    let lines = [
        (Word::Room, &*incident.room),
        (Word::Lesson, &incident.lesson),
        (
            Word::ClassTeacher,
            incident.class_teacher.as_deref().unwrap_or("-"),
        ),
        (Word::Category, &incident.category),
        (Word::Tries, &incident.tries.to_string()),
        (Word::Device, &incident.pseudonym),
    ];
    let body = lines.map(|(word, value)| format!("{}: {value}\n", word.text(language)));
    format!(
        "Subject: {}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: 8bit\n\n{}",
        header(&subject.in_language(language)),
        body.concat()
    )
}

/// A header's text in words of ASCII (RFC 2047 §2: at most 75 characters
/// each, and never half a letter).
fn header(text: &str) -> String {
    if text.chars().all(|c| c.is_ascii() && !c.is_ascii_control()) {
        return text.to_owned();
    }
    let mut words = vec![String::new()];
    for letter in text.chars() {
        let full = |word: &String| word.len() + letter.len_utf8() > 45;
        if words.last().is_some_and(full) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(letter);
        }
    }
    let encoded: Vec<String> = words
        .iter()
        .map(|word| format!("=?UTF-8?B?{}?=", base64(word.as_bytes())))
        .collect();
    encoded.join("\n ")
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at > chunk.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(room: &str) -> Incident {
        Incident {
            id: 3,
            opened: jiff::Timestamp::UNIX_EPOCH,
            last: jiff::Timestamp::UNIX_EPOCH,
            room: room.to_owned(),
            lesson: "2026-09-07 first, №1 (8-A)".to_owned(),
            class_teacher: Some("А. Асанова".to_owned()),
            category: "adult".to_owned(),
            tries: 5,
            hosts: Vec::new(),
            pseudonym: "k3v9x2mp".to_owned(),
            state: crate::store::incidents::State::Open,
            closed: None,
            closed_by: None,
            note: None,
        }
    }

    #[test]
    fn a_letter_is_read_by_mail_programs_in_every_language() {
        let english = letter(&incident("101"), Language::English);
        assert!(english.starts_with("Subject: Incident 3 in room 101\nMIME-Version: 1.0\n"));
        let kyrgyz = letter(&incident("кабинет 7\nBcc: x@example.org"), Language::Kyrgyz);
        let (head, body) = kyrgyz.split_once("\n\n").unwrap();
        assert!(head.is_ascii() && !head.contains("Bcc"), "{head}");
        assert!(head.lines().all(|line| line.len() <= 84), "{head}");
        assert!(body.contains("класс жетекчи: А. Асанова\n"), "{body}");
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }

    #[test]
    fn the_rate_is_bounded_by_the_hour() {
        let mut rate = Rate::default();
        let start = Instant::now();
        assert!(rate.allows(2, start) && rate.allows(2, start));
        assert!(!rate.allows(2, start + Duration::from_secs(3599)));
        assert!(rate.allows(2, start + Duration::from_secs(3600)));
    }
}
