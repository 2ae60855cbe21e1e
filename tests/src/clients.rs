//! Real clients: what a pupil's device would run.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::netns::Host;
use crate::process::{Finished, finish};
use crate::scratch::Scratch;
use crate::servers::KEY_HASH;

/// Longer than any client here waits by itself.
const LIMIT: Duration = Duration::from_secs(60);
/// How long Chromium waits for a page.
const CHROMIUM_LIMIT: Duration = Duration::from_secs(12);

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
    /// Safari's hello, by tls_client, which is written in Go.
    GoHello,
    /// rustls with records of 64 bytes.
    Fragments,
    /// Headless Chromium over TCP.
    Chromium,
    /// Headless Firefox over TCP.
    Firefox,
    /// aioquic, which knows nothing but HTTP/3.
    Http3,
    /// Firefox's hello by curl_cffi, over HTTP/3 only.
    Http3Curl,
    /// Headless Chromium over HTTP/3 only.
    Http3Chromium,
    /// Headless Firefox, told that the server speaks HTTP/3.
    Http3Firefox,
}

impl Client {
    pub const ALL: [Self; 12] = [
        Self::Curl,
        Self::CurlHttp,
        Self::Openssl,
        Self::ChromeHello,
        Self::GoHello,
        Self::Fragments,
        Self::Chromium,
        Self::Firefox,
        Self::Http3,
        Self::Http3Curl,
        Self::Http3Chromium,
        Self::Http3Firefox,
    ];

    /// The word in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::CurlHttp => "curl http",
            Self::Openssl => "openssl",
            Self::ChromeHello => "curl_cffi",
            Self::GoHello => "tls_client",
            Self::Fragments => "rustls",
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
            Self::Http3 => "aioquic h3",
            Self::Http3Curl => "curl h3",
            Self::Http3Chromium => "chromium h3",
            Self::Http3Firefox => "firefox h3",
        }
    }

    /// The longest that a refusal may take where the client tells the time;
    /// a browser also draws a page.
    pub const fn refusal(self) -> Duration {
        match self {
            Self::Firefox | Self::Http3Firefox => Duration::from_secs(1),
            _ => Duration::from_millis(50),
        }
    }

    /// Whether it tells how long its visit took, without its own start.
    pub const fn tells_time(self) -> bool {
        !matches!(
            self,
            Self::Openssl | Self::GoHello | Self::Chromium | Self::Http3Chromium
        )
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
    /// From the client's start, or from its connect where it tells the time
    /// ([`Client::tells_time`]).
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
    let python = |kind: &str| {
        let mut command = host.command(crate::python());
        command
            .arg(crate::script("client.py"))
            .arg(kind)
            .arg(authority)
            .args([name, &address.to_string()]);
        command
    };
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
        Client::ChromeHello => run(&mut python("browser"))?,
        Client::Http3 => run(&mut python("http3"))?,
        Client::Http3Curl => run(&mut python("browser-http3"))?,
        Client::GoHello => {
            let files = Scratch::new()?;
            let hosts = files.write("hosts", &format!("{address} {name}\n"))?;
            let inner = python("go");
            run(host
                .command("unshare")
                .args(["--mount", "sh", "-c"])
                .arg("mount --bind \"$0\" /etc/hosts && exec \"$@\"")
                .arg(hosts)
                .arg(inner.get_program())
                .args(inner.get_args()))?
        }
        Client::Fragments => run(host
            .command(crate::target().join("debug/fragments"))
            .arg(authority)
            .args([name, &address.to_string()]))?,
        Client::Chromium => chromium(host, name, &bracketed, &["--disable-quic"])?,
        Client::Http3Chromium => {
            // Over QUIC it asks for more than that errors are ignored.
            let key = std::fs::read_to_string(authority.with_file_name(KEY_HASH))?;
            let trusted = format!("--ignore-certificate-errors-spki-list={}", key.trim());
            let forced = format!("--origin-to-force-quic-on={name}:443");
            chromium(
                host,
                name,
                &bracketed,
                &["--enable-quic", &forced, &trusted],
            )?
        }
        Client::Firefox => firefox(host, "tcp", name, address)?,
        Client::Http3Firefox => firefox(host, "http3", name, address)?,
    };
    Ok(judge(client, done))
}

/// A process namespace of its own takes a browser's helpers along at the end.
fn alone(host: &Host) -> Command {
    let mut command = host.command("timeout");
    command.args(["50", "unshare", "--pid", "--fork", "--kill-child"]);
    command
}

fn chromium(host: &Host, name: &str, address: &str, quic: &[&str]) -> Result<Finished> {
    let profile = Scratch::new()?;
    finish(
        alone(host)
            .args(["chromium", "--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--no-first-run", "--disable-sync"])
            .args(quic)
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-dev-shm-usage",
                "--ignore-certificate-errors",
                "--log-level=3",
            ])
            .arg(format!("--timeout={}", CHROMIUM_LIMIT.as_millis()))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--host-resolver-rules=MAP {name} {address}"))
            .args(["--dump-dom", &format!("https://{name}/")])
            .env("HOME", profile.path()),
        LIMIT,
    )
}

fn firefox(host: &Host, kind: &str, name: &str, address: IpAddr) -> Result<Finished> {
    let profile = Scratch::new()?;
    finish(
        alone(host)
            .arg(crate::python())
            .arg(crate::script("firefox.py"))
            .arg(kind)
            .arg(profile.path())
            .args([name, &address.to_string()])
            .env("HOME", profile.path()),
        LIMIT,
    )
}

/// Whether the client gave up by itself, having heard nothing.
fn timed_out(client: Client, done: &Finished, text: &str) -> bool {
    match client {
        Client::Curl | Client::CurlHttp => done.code == Some(28),
        Client::Openssl => done.code == Some(124),
        // It prints nothing of the page that tells an error.
        Client::Chromium | Client::Http3Chromium => {
            done.code != Some(0) || done.took > CHROMIUM_LIMIT
        }
        Client::Firefox | Client::Http3Firefox => {
            !text.contains("neterror") || text.contains("netTimeout") || text.contains("TIMEOUT")
        }
        Client::Fragments => text.contains("os error 11") || text.contains("timed out"),
        Client::ChromeHello | Client::GoHello | Client::Http3 | Client::Http3Curl => {
            text.contains("TimeoutError")
                || text.contains("Timeout ")
                || text.contains("Timeout)")
                || text.contains("deadline exceeded")
                || text.contains("(28)")
        }
    }
}

fn judge(client: Client, done: Finished) -> Visit {
    let text = format!("{}{}", done.stdout, done.stderr);
    let took = done
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("took ")?.parse().ok())
        .map_or(done.took, Duration::from_secs_f64);
    let seen = if done.stdout.contains("served ") {
        Seen::Answer
    } else if done.stdout.contains("Page blocked</h3>") && client == Client::CurlHttp {
        Seen::Page
    } else if done.code.is_none() || timed_out(client, &done, &text) {
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
