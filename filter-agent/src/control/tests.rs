use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;

use super::api::{Detach, Detached, GrantsQuery, ReleaseLease, TakeLease};
use super::client::Client;
use super::server::{Agent, Routes, Serve, bind, run};
use super::*;
use crate::store::grants::Grant;
use crate::store::leases::Lease;

/// Answers a few commands, without a kernel.
struct Fake(Role, Users);

/// A user database.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Users {
    Answers,
    Hangs,
}

impl Agent for Fake {
    fn role(&self, _: &Credentials) -> Option<Role> {
        match self.1 {
            Users::Answers => Some(self.0),
            Users::Hangs => loop {
                std::thread::park();
            },
        }
    }

    fn timezone(&self) -> TimeZone {
        TimeZone::get("Asia/Kathmandu").unwrap()
    }

    fn follow(&self) -> Result<mpsc::Receiver<Bytes>, Failure> {
        let (sender, receiver) = mpsc::channel(4);
        for line in ["{\"a\":1}\n{\"a\"", ":2}\n", "{\"a\":3}\n"] {
            sender
                .try_send(Bytes::from_static(line.as_bytes()))
                .unwrap();
        }
        Ok(receiver)
    }
}

impl Serve<TakeLease> for Fake {
    fn serve(&self, peer: &Peer, request: TakeLease) -> Result<Lease, Failure> {
        if request.room != "класс 7 & 8" {
            return Err(Failure::not_found("no such room"));
        }
        Ok(Lease {
            room: request.room,
            holder: peer.name.clone(),
            uid: peer.uid,
            since: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
        })
    }
}

impl Serve<GrantsQuery> for Fake {
    fn serve(&self, _: &Peer, request: GrantsQuery) -> Result<Vec<Grant>, Failure> {
        if request.all {
            Ok(Vec::new())
        } else {
            Err(Failure::new(Code::Refused, "only all"))
        }
    }
}

impl Serve<Detach> for Fake {
    fn serve(&self, _: &Peer, _: Detach) -> Result<Detached, Failure> {
        Ok(Detached {
            interfaces: Vec::new(),
        })
    }
}

/// A server on a socket of its own, on a thread that ends with the test
/// process.
fn start(role: Role) -> Socket {
    start_with(role, Users::Answers)
}

fn start_with(role: Role, users: Users) -> Socket {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let path = std::env::temp_dir().join(format!(
        "control-{}-{}/s",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    ));
    let socket = path.clone();
    let (ready, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let routes = Routes::new(Arc::new(Fake(role, users)))
                .command::<TakeLease>()
                .command::<GrantsQuery>()
                .command::<Detach>();
            let listener = bind(&socket, None).unwrap();
            ready.send(()).unwrap();
            run(listener, routes.router()).await;
        });
    });
    wait.recv().unwrap();
    Socket(path)
}

/// Removes the socket's folder when the test ends.
struct Socket(PathBuf);

impl std::ops::Deref for Socket {
    type Target = PathBuf;

    fn deref(&self) -> &PathBuf {
        &self.0
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

fn curl(socket: &PathBuf, arguments: &[&str]) -> (String, String) {
    let output = Process::new("curl")
        .args(["-s", "-w", "\n%{http_code}", "--unix-socket"])
        .arg(socket)
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (body.to_owned(), status.to_owned())
}

#[test]
fn client_and_server_speak_of_the_same() {
    let socket = start(Role::Admin);
    let client = Client::new(&socket).unwrap();
    let lease = client
        .call(&TakeLease {
            room: "класс 7 & 8".into(),
        })
        .unwrap();
    assert_eq!(lease.room, "класс 7 & 8");
    assert_eq!(lease.uid, nix::unistd::geteuid().as_raw());
    let missing = client.call(&TakeLease { room: "9".into() }).unwrap_err();
    assert_eq!(missing, Failure::not_found("no such room"));
    assert!(client.call(&GrantsQuery { all: true }).unwrap().is_empty());
    assert_eq!(
        client.call(&GrantsQuery { all: false }).unwrap_err().code,
        Code::Refused
    );
    // Times are told by the school's clock, wherever the box stands.
    assert_eq!(client.timezone().iana_name(), Some("Asia/Kathmandu"));
    // A command that the server does not have.
    let unknown = client.call(&ReleaseLease { room: "9".into() }).unwrap_err();
    assert_eq!(unknown.code, Code::NotFound);
}

#[test]
fn a_role_that_does_not_suffice_is_told_which_one_would() {
    let socket = start(Role::Teacher);
    let client = Client::new(&socket).unwrap();
    assert!(
        client
            .call(&TakeLease {
                room: "класс 7 & 8".into()
            })
            .is_ok()
    );
    let refused = client.call(&Detach { reason: "x".into() }).unwrap_err();
    assert_eq!(refused.code, Code::Forbidden);
    assert!(
        refused.message.contains("role admin, your role is teacher"),
        "{refused}"
    );
    assert_eq!(client.follow(|_| true).unwrap_err().code, Code::Forbidden);
}

#[test]
fn curl_works_and_learns_what_was_wrong() {
    let socket = start(Role::Admin);
    let (body, status) = curl(
        &socket,
        &["http://f/v1/lease/take", "-d", "{\"room\":\"класс 7 & 8\"}"],
    );
    assert_eq!(status, "200", "{body}");
    assert!(body.contains("\"holder\""));
    for (arguments, want, word) in [
        (
            &["http://f/v1/lease/take", "-d", "{\"rom\":1}"][..],
            "400",
            "unknown field",
        ),
        (
            &["http://f/v1/lease/take", "-d", "not json"],
            "400",
            "bad_request",
        ),
        (&["http://f/v1/lease/take"], "400", "POST"),
        (&["http://f/v1/grants?all=perhaps"], "400", "bad_request"),
        (&["http://f/nowhere"], "404", "not_found"),
    ] {
        let (body, status) = curl(&socket, arguments);
        assert_eq!(status, want, "{arguments:?}: {body}");
        assert!(body.contains(word), "{arguments:?}: {body}");
    }
}

#[test]
fn events_come_line_by_line() {
    let socket = start(Role::Admin);
    let mut lines = Vec::new();
    Client::new(&socket)
        .unwrap()
        .follow(|line| {
            lines.push(line.to_owned());
            true
        })
        .unwrap();
    assert_eq!(lines, ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"]);
}

#[test]
fn the_socket_is_for_root_and_its_group() {
    let socket = start(Role::Admin);
    let metadata = std::fs::metadata(&*socket).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    assert_eq!(metadata.uid(), nix::unistd::geteuid().as_raw());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _context = runtime.enter();
    let second = bind(&socket, None).unwrap_err();
    assert_eq!(second.kind(), std::io::ErrorKind::AddrInUse);
    let other = socket.with_extension("2");
    let missing = bind(&other, Some("no-such-group")).unwrap_err();
    assert!(missing.to_string().contains("groupadd"), "{missing}");
}

#[test]
fn bodies_and_connections_are_bounded() {
    let socket = start(Role::Admin);
    let long = format!("{{\"room\":\"{}\"}}", "x".repeat(MAX_BODY));
    let file = socket.with_extension("body");
    std::fs::write(&file, long).unwrap();
    let data = format!("@{}", file.display());
    let (body, status) = curl(&socket, &["http://f/v1/lease/take", "-d", &data]);
    assert_eq!(status, "400", "{body}");
    assert!(body.contains("length limit"), "{body}");

    let idle: Vec<_> = (0..64)
        .map(|_| UnixStream::connect(&*socket).unwrap())
        .collect();
    let mut late = UnixStream::connect(&*socket).unwrap();
    late.write_all(b"GET /v1/grants?all=true HTTP/1.1\r\nhost: f\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(idle);
    // The places are free again as soon as the server sees them go.
    let client = Client::new(&socket).unwrap();
    let freed = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        client.call(&GrantsQuery { all: true }).is_ok()
    });
    assert!(freed);
}

#[test]
fn a_user_database_that_hangs_stalls_nobody_for_long() {
    let socket = start_with(Role::Admin, Users::Hangs);
    let ask = || {
        let client = Client::new(&socket).unwrap();
        let failure = client.call(&GrantsQuery { all: true }).unwrap_err();
        assert_eq!(failure.code, Code::Busy);
        assert!(failure.message.contains("who you are"), "{failure}");
    };
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        std::thread::sleep(Duration::from_secs(1));
        // The thread that serves all of them is free.
        let (_, status) = curl(&socket, &["http://f/nowhere"]);
        assert_eq!(status, "404");
        assert!(!waiting.iter().any(|waiting| waiting.is_finished()));
    });
}

#[test]
fn nobody_at_the_socket_is_said_with_what_to_do() {
    let client = Client::new(&PathBuf::from("/nonexistent/socket")).unwrap();
    let failure = client.call(&GrantsQuery::default()).unwrap_err();
    assert_eq!(failure.code, Code::Unreachable);
    assert!(failure.message.contains("filter-agent run"), "{failure}");
}

#[test]
fn codes_are_distinct() {
    let mut exits: Vec<_> = Code::all().iter().map(|code| code.exit()).collect();
    exits.sort_unstable();
    assert_eq!(exits, (1..=9).collect::<Vec<_>>());
}
