//! Real clients: what a pupil's device would run.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::netns::Host;
use crate::process::{Finished, finish};
use crate::scratch::Scratch;

/// Longer than any client here waits by itself.
const LIMIT: Duration = Duration::from_secs(20);

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// curl over HTTPS.
    Curl,
    /// curl over plain HTTP.
    CurlHttp,
    /// `openssl s_client`.
    Openssl,
    /// Chrome's hello, by curl_cffi.
    ChromeHello,
    /// Headless Chromium over TCP.
    Chromium,
    /// aioquic, which knows nothing but HTTP/3.
    Http3,
}

impl Client {
    pub const ALL: [Self; 6] = [
        Self::Curl,
        Self::CurlHttp,
        Self::Openssl,
        Self::ChromeHello,
        Self::Chromium,
        Self::Http3,
    ];

    /// The word in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::CurlHttp => "curl http",
            Self::Openssl => "openssl",
            Self::ChromeHello => "curl_cffi",
            Self::Chromium => "chromium",
            Self::Http3 => "http/3",
        }
    }
}

/// What a client saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The server's answer.
    Answer,
    /// The filter's own page.
    Page,
    /// An error at once: a reset, or an ICMP message.
    Refused,
    /// Nothing, until the client gave up.
    Silence,
}

impl Seen {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Page => "403 page",
            Self::Refused => "refused",
            Self::Silence => "silence",
        }
    }
}

/// One visit of a client.
#[derive(Clone, Debug)]
pub struct Visit {
    pub seen: Seen,
    /// From the client's start, or from its connect where the client tells.
    pub took: Duration,
    /// What the client said.
    pub detail: String,
}

/// Asks for `https://name/` (or http) at `address` from `host`.
pub fn visit(
    client: Client,
    host: &Host,
    authority: &Path,
    name: &str,
    address: IpAddr,
) -> Result<Visit> {
    let bracketed = match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    let run = |command: &mut Command| finish(command, LIMIT);
    let done = match client {
        Client::Curl | Client::CurlHttp => {
            let (scheme, port) = match client {
                Client::Curl => ("https", 443),
                _ => ("http", 80),
            };
            run(host
                .command("curl")
                .args(["--silent", "--show-error", "--max-time", "4"])
                .args(["--write-out", "\ntook %{time_total}"])
                .arg("--cacert")
                .arg(authority)
                .args(["--resolve", &format!("{name}:{port}:{bracketed}")])
                .arg(format!("{scheme}://{name}/")))?
        }
        Client::Openssl => {
            // The shell sends the request once the handshake had its time.
            let request = format!("GET / HTTP/1.1\\r\\nHost: {name}\\r\\n\\r\\n");
            run(host.command("sh").arg("-c").arg(format!(
                "printf '{request}' | timeout 4 openssl s_client -quiet -ign_eof \
                 -verify_return_error -CAfile '{}' -connect '{bracketed}:443' \
                 -servername '{name}'",
                authority.display()
            )))?
        }
        Client::ChromeHello | Client::Http3 => {
            let kind = match client {
                Client::Http3 => "http3",
                _ => "browser",
            };
            run(host
                .command(crate::python())
                .arg(crate::script("client.py"))
                .arg(kind)
                .arg(authority)
                .args([name, &address.to_string()]))?
        }
        Client::Chromium => chromium(host, name, &bracketed)?,
    };
    Ok(judge(client, done))
}

/// A process namespace of its own takes Chromium's helpers along at the end.
fn chromium(host: &Host, name: &str, address: &str) -> Result<Finished> {
    let profile = Scratch::new()?;
    finish(
        host.command("timeout")
            .args(["15", "unshare", "--pid", "--fork", "--kill-child"])
            .args(["chromium", "--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-quic", "--no-first-run", "--disable-sync"])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-dev-shm-usage",
                "--ignore-certificate-errors",
                "--log-level=3",
                "--timeout=5000",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--host-resolver-rules=MAP {name} {address}"))
            .args(["--dump-dom", &format!("https://{name}/")])
            .env("HOME", profile.path()),
        LIMIT,
    )
}

fn judge(client: Client, done: Finished) -> Visit {
    let text = format!("{}{}", done.stdout, done.stderr);
    // curl tells the time without that of its own start.
    let took = done
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("took ")?.parse().ok())
        .map_or(done.took, Duration::from_secs_f64);
    let timed_out = match client {
        Client::Curl | Client::CurlHttp => done.code == Some(28),
        Client::Openssl => done.code == Some(124),
        Client::Chromium => done.code != Some(0) || text.contains("ERR_TIMED_OUT"),
        Client::ChromeHello | Client::Http3 => {
            text.contains("TimeoutError") || text.contains("Timeout ") || text.contains("(28)")
        }
    };
    let seen = if done.stdout.contains("served ") {
        Seen::Answer
    } else if done.stdout.contains("Page blocked</h3>") && client == Client::CurlHttp {
        Seen::Page
    } else if timed_out || done.code.is_none() {
        Seen::Silence
    } else {
        Seen::Refused
    };
    Visit {
        seen,
        took,
        detail: text.trim().chars().take(400).collect(),
    }
}
