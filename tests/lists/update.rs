//! Updates against a server that behaves well, badly, and worse.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use filter_agent::lists::update::{FetchError, Outcome, Store, Subscription, UpdateError, update};
use filter_agent::lists::{ListError, Options, Source};
use indicatif::ProgressBar;

use crate::packing::gz;
use crate::record;
use crate::server::{self, Server, Temp, reply};

pub(crate) const OLD: &[u8] = b"one.example\ntwo.example\nthree.example\nfour.example\n";
pub(crate) const NEW: &[u8] = b"one.example\ntwo.example\nfive.example\n";

pub(crate) fn run(store: &Store, list: &Subscription, now: u64) -> Result<Outcome, UpdateError> {
    update(store, list, false, now, &ProgressBar::hidden())
}

/// The entries of the copy in force.
pub(crate) fn in_force(store: &Store, name: &str) -> Result<Vec<String>> {
    let Some(copy) = store.copy(name)? else {
        return Ok(Vec::new());
    };
    let mut record = record::Record::default();
    filter_agent::lists::import(&copy.source(), &Options::default(), &mut record)?;
    Ok(record.entries)
}

/// Starts with `OLD` in force, then updates from `answer`; the update must
/// fail and leave everything as it was.
fn must_keep(
    answer: impl Fn(&str, &mut std::net::TcpStream) + Send + Sync + 'static,
    change: impl Fn(&mut Subscription),
) -> Result<UpdateError> {
    let server = Server::start(move |head, connection| match head {
        _ if head.starts_with("get /old ") => reply(connection, "200 OK", "ETag: \"1\"\r\n", OLD),
        _ => answer(head, connection),
    })?;
    let temp = Temp::new()?;
    let store = Store::open(temp.path())?;
    let mut list = Subscription::new("test", server.url("/old"));
    run(&store, &list, 100)?;
    let (meta, files) = (store.meta("test")?, temp.files()?);
    list.location = server.url("/list");
    // The location has moved, the copy's size still counts.
    let path = temp.path().join("test.json");
    fs::write(&path, fs::read_to_string(&path)?.replace("/old", "/list"))?;
    change(&mut list);
    let error = match run(&store, &list, 200) {
        Ok(outcome) => anyhow::bail!("the update went through: {outcome:?}"),
        Err(error) => error,
    };
    let kept = store.meta("test")?;
    ensure!(
        kept.map(|meta| meta.sha256) == meta.map(|meta| meta.sha256),
        "the copy was replaced"
    );
    ensure!(
        temp.files()? == files,
        "files were left: {:?}",
        temp.files()?
    );
    ensure!(
        in_force(&store, "test")?.len() == 4,
        "the copy is not the old one"
    );
    Ok(error)
}

#[test]
fn a_list_comes_stays_and_changes() -> Result<()> {
    let server = Server::start(|head, connection| {
        let (etag, body) = if head.starts_with("get /new ") {
            ("\"2\"", NEW)
        } else {
            ("\"1\"", OLD)
        };
        if head.contains(&format!("if-none-match: {etag}")) {
            return reply(connection, "304 Not Modified", "", b"");
        }
        let date = "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT";
        reply(
            connection,
            "200 OK",
            &format!("ETag: {etag}\r\n{date}\r\n"),
            body,
        );
    })?;
    let temp = Temp::new()?;
    let store = Store::open(temp.path())?;
    let mut list = Subscription::new("test", server.url("/list"));
    ensure!(store.meta("test")?.is_none());

    let Outcome::Updated(first) = run(&store, &list, 1_000)? else {
        anyhow::bail!("not updated")
    };
    assert_eq!((first.report.names, first.bytes), (4, OLD.len() as u64));
    assert_eq!(in_force(&store, "test")?.len(), 4);

    let Outcome::Current(second) = run(&store, &list, 2_000)? else {
        anyhow::bail!("fetched twice")
    };
    assert_eq!((second.fetched_at, second.checked_at), (1_000, 2_000));
    let asked = server.heads().last().cloned().unwrap_or_default();
    ensure!(asked.contains("if-none-match: \"1\""), "{asked}");
    ensure!(
        asked.contains("if-modified-since: thu, 01 jan 2026"),
        "{asked}"
    );
    let status = store.status("test", 2_600)?;
    assert_eq!(
        status.map(|status| status.age),
        Some(Duration::from_secs(600))
    );

    // Another location: its list is another one, whatever the ETag.
    list.location = server.url("/new");
    let Outcome::Updated(third) = run(&store, &list, 3_000)? else {
        anyhow::bail!("not updated")
    };
    assert_eq!(third.report.names, 3);
    assert_eq!(
        in_force(&store, "test")?.last().map(String::as_str),
        Some("subtree five.example")
    );
    assert_eq!(
        temp.files()?,
        [".lock", "test.json", third.file.as_str()],
        "older copies are swept"
    );
    Ok(())
}

#[test]
fn a_damaged_copy_is_fetched_again_whatever_the_server_says() -> Result<()> {
    let server = Server::start(|head, connection| {
        if head.contains("if-none-match") {
            return reply(connection, "304 Not Modified", "", b"");
        }
        reply(connection, "200 OK", "ETag: \"1\"\r\n", OLD);
    })?;
    let temp = Temp::new()?;
    let store = Store::open(temp.path())?;
    let list = Subscription::new("test", server.url("/list"));
    run(&store, &list, 1)?;
    let Some(copy) = store.copy("test")? else {
        anyhow::bail!("no copy")
    };
    fs::write(&copy.path, b"one.example\n")?;
    run(&store, &list, 2)?;
    assert_eq!(in_force(&store, "test")?.len(), 4);
    // The same with the notes about the copy gone bad.
    fs::write(temp.path().join("test.json"), b"{\"name\":")?;
    let error = store.meta("test").unwrap_err().to_string();
    ensure!(error.contains("update the list again"), "{error}");
    run(&store, &list, 3)?;
    assert_eq!(in_force(&store, "test")?.len(), 4);
    Ok(())
}

#[test]
fn errors_of_the_server_keep_the_old_copy() -> Result<()> {
    for status in [
        "404 Not Found",
        "500 Internal Server Error",
        "204 No Content",
        "403 Forbidden",
    ] {
        let error = must_keep(
            move |_, connection| reply(connection, status, "", NEW),
            |_| {},
        )?;
        let want: u16 = status.get(..3).unwrap_or("").parse()?;
        ensure!(
            matches!(error, UpdateError::Fetch(FetchError::Status { status, .. }) if status == want),
            "{status}: {error}"
        );
    }
    let error = must_keep(|_, _| {}, |_| {})?;
    ensure!(
        matches!(error, UpdateError::Fetch(FetchError::Http { .. })),
        "hangs up: {error}"
    );
    Ok(())
}

#[test]
fn redirects_are_followed_but_not_for_ever() -> Result<()> {
    let server = Server::start(|head, connection| match head {
        _ if head.starts_with("get /moved ") => {
            reply(
                connection,
                "301 Moved Permanently",
                "Location: /list\r\n",
                b"",
            );
        }
        _ => reply(connection, "200 OK", "", OLD),
    })?;
    let temp = Temp::new()?;
    let store = Store::open(temp.path())?;
    run(&store, &Subscription::new("test", server.url("/moved")), 1)?;
    assert_eq!(in_force(&store, "test")?.len(), 4);

    let error = must_keep(
        |_, connection| reply(connection, "302 Found", "Location: /list\r\n", b""),
        |_| {},
    )?;
    ensure!(
        matches!(error, UpdateError::Fetch(FetchError::Http { .. })),
        "{error}"
    );
    ensure!(error.to_string().contains("redirect"), "{error}");
    Ok(())
}

#[test]
fn what_is_no_list_keeps_the_old_copy() -> Result<()> {
    let page = b"\n<!DOCTYPE html><html><title>Sign in</title>one.example</html>";
    let error = must_keep(
        |_, connection| reply(connection, "200 OK", "", page),
        |_| {},
    )?;
    ensure!(
        matches!(error, UpdateError::List(ListError::Html { .. })),
        "{error}"
    );

    for empty in [&b""[..], b"# only comments\n", b"com\n10.0.0.0/8\n"] {
        let error = must_keep(
            move |_, connection| reply(connection, "200 OK", "", empty),
            |_| {},
        )?;
        ensure!(matches!(error, UpdateError::Empty { .. }), "{error}");
    }
    Ok(())
}

#[test]
fn a_sharply_shrunken_list_needs_force() -> Result<()> {
    let one = |_: &str, connection: &mut std::net::TcpStream| {
        reply(connection, "200 OK", "", b"one.example\n");
    };
    let error = must_keep(one, |_| {})?;
    ensure!(
        matches!(error, UpdateError::Shrunk { old: 4, new: 1, .. }),
        "{error}"
    );

    let server = Server::start(move |head, connection| match head {
        _ if head.contains("if-none-match") => one(head, connection),
        _ => reply(connection, "200 OK", "ETag: \"1\"\r\n", OLD),
    })?;
    for (keep, force, passes) in [(0.5, false, false), (0.25, false, true), (0.5, true, true)] {
        let temp = Temp::new()?;
        let store = Store::open(temp.path())?;
        let mut list = Subscription::new("test", server.url("/list"));
        list.keep = keep;
        run(&store, &list, 1)?;
        let second = update(&store, &list, force, 2, &ProgressBar::hidden());
        assert_eq!(
            second.is_ok(),
            passes,
            "keep {keep}, force {force}: {second:?}"
        );
        assert_eq!(in_force(&store, "test")?.len(), if passes { 1 } else { 4 });
    }
    Ok(())
}

#[test]
fn what_breaks_off_keeps_the_old_copy() -> Result<()> {
    let cut = |_: &str, connection: &mut std::net::TcpStream| {
        drop(connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\none.example\n"));
    };
    let error = must_keep(cut, |_| {})?;
    ensure!(
        matches!(
            error,
            UpdateError::Fetch(FetchError::Body { .. } | FetchError::Truncated { .. })
        ),
        "{error}"
    );
    let chunked = |_: &str, connection: &mut std::net::TcpStream| {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\none.example\n";
        drop(connection.write_all(head));
    };
    let error = must_keep(chunked, |_| {})?;
    ensure!(
        matches!(error, UpdateError::Fetch(FetchError::Body { .. })),
        "{error}"
    );
    // Without a length only the packing shows it.
    let packed = gz(OLD)?;
    let half = move |_: &str, connection: &mut std::net::TcpStream| {
        drop(connection.write_all(b"HTTP/1.0 200 OK\r\n\r\n"));
        drop(connection.write_all(&packed[..packed.len() - 3]));
    };
    let error = must_keep(half, |_| {})?;
    ensure!(
        matches!(error, UpdateError::List(ListError::Truncated { .. })),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_proxy_is_asked_instead_of_the_server() -> Result<()> {
    let server = Server::start(|head, connection| {
        if !head.starts_with("connect lists.invalid:80 ") {
            return reply(connection, "400 Bad Request", "", b"");
        }
        drop(connection.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n"));
        let tunnelled = server::head(connection);
        if tunnelled.starts_with("get /a ") {
            reply(connection, "200 OK", "", OLD);
        }
    })?;
    let temp = Temp::new()?;
    let store = Store::open(temp.path())?;
    let mut list = Subscription::new("test", "http://lists.invalid/a");
    list.proxy = Some(server.url(""));
    let done = run(&store, &list, 1);
    ensure!(done.is_ok(), "{done:?}, the proxy saw {:?}", server.heads());
    assert_eq!(in_force(&store, "test")?.len(), 4);
    list.proxy = Some("not a proxy".to_owned());
    let error = run(&store, &list, 2).unwrap_err();
    ensure!(error.to_string().contains("is no proxy"), "{error}");
    Ok(())
}

#[test]
fn a_slow_server_is_left_after_the_time_out() -> Result<()> {
    let slow = |_: &str, connection: &mut std::net::TcpStream| {
        drop(connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"));
        while connection.write_all(b"a").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let start = Instant::now();
    let error = must_keep(slow, |list| list.timeout = Duration::from_millis(600))?;
    ensure!(
        matches!(error, UpdateError::Fetch(FetchError::Body { .. })),
        "{error}"
    );
    ensure!(
        start.elapsed() < Duration::from_secs(5),
        "took {:?}",
        start.elapsed()
    );
    Ok(())
}

#[test]
fn the_size_cap_holds_with_and_without_a_length() -> Result<()> {
    let cap = |list: &mut Subscription| list.max_bytes = NEW.len() as u64 - 1;
    let announced =
        |_: &str, connection: &mut std::net::TcpStream| reply(connection, "200 OK", "", NEW);
    let endless = |_: &str, connection: &mut std::net::TcpStream| {
        drop(connection.write_all(b"HTTP/1.0 200 OK\r\n\r\n"));
        while connection.write_all(NEW).is_ok() {}
    };
    for error in [must_keep(announced, cap)?, must_keep(endless, cap)?] {
        ensure!(
            matches!(error, UpdateError::Fetch(FetchError::TooLarge { .. })),
            "{error}"
        );
    }
    Ok(())
}

#[test]
fn a_copy_is_read_as_its_location_says() -> Result<()> {
    let server = Server::start(|_, connection| {
        reply(
            connection,
            "200 OK",
            "",
            b"whole.example/\nhost.example/page\n",
        );
    })?;
    let temp = Temp::new()?;
    let store = Store::open(temp.path())?;
    run(
        &store,
        &Subscription::new("test", server.url("/adult/urls")),
        1,
    )?;
    assert_eq!(in_force(&store, "test")?, ["exact whole.example"]);
    let data = Source::Bytes {
        name: "list",
        data: b"whole.example/\n",
    };
    ensure!(
        record::text(&data, &Options::default())?.starts_with("subtree"),
        "the name decides"
    );
    Ok(())
}
