//! Every recorded client: the host on the frame that completes its name.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use filter_tests::small_school::{School, room};

struct Row {
    file: String,
    protocol: String,
    port: u16,
    host: String,
    frame: u64,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("captures")
}

fn rows() -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(folder().join("expected.tsv"))?;
    text.lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let field = |i: usize| fields.get(i).copied().context("a short row");
            Ok(Row {
                file: field(0)?.to_owned(),
                protocol: field(1)?.to_owned(),
                port: field(3)?.parse()?,
                host: field(7)?.to_owned(),
                frame: field(8)?.parse()?,
            })
        })
        .collect()
}

fn hosts_of(protocol: &str) -> Result<()> {
    let mut wrong = Vec::new();
    let rows = rows()?;
    let rows: Vec<&Row> = rows.iter().filter(|row| row.protocol == protocol).collect();
    assert!(!rows.is_empty());
    for row in rows {
        let mut school = School::new()?;
        school.untagged = Some(room::OPEN);
        let outcome = school.replay(&folder().join(&row.file))?;
        let found: Vec<_> = outcome
            .frames
            .iter()
            .filter(|frame| frame.source.is_some_and(|(_, port)| port == row.port))
            .filter_map(|frame| Some((frame.packet, frame.host.as_deref()?, frame.protocol)))
            .collect();
        if found != [(row.frame, row.host.as_str(), protocol)] || outcome.error.is_some() {
            wrong.push(format!(
                "{} port {}: expected {} on frame {}, found {found:?} {:?}\n{}",
                row.file,
                row.port,
                row.host,
                row.frame,
                outcome.error,
                outcome.table()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_tcp_client_is_named_on_the_right_frame() -> Result<()> {
    hosts_of("tls")
}

/// Each query by its own name, the root's by none.
#[test]
fn queries_are_named() -> Result<()> {
    let mut school = School::new()?;
    school.untagged = Some(room::OPEN);
    let outcome = school.replay(&folder().join("dns-dig-kdig.pcap"))?;
    let long = outcome
        .frames
        .iter()
        .find(|frame| frame.packet == 31)
        .and_then(|frame| frame.host.as_ref())
        .map(String::len);
    assert_eq!(long, Some(252), "{}", outcome.table());
    let found: Vec<_> = outcome
        .frames
        .iter()
        .filter(|frame| frame.protocol == "dns" && !frame.egress && frame.packet != 31)
        .map(|frame| (frame.packet, frame.host.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            (1, Some("www.school-test.example")),
            (6, Some("tcp.school-test.example")),
            (13, Some("noedns.school-test.example")),
            (15, Some("spa ce.school-test.example")),
            (17, Some("padded.school-test.example")),
            (19, Some("xn--e1afmkfd.example")),
            (24, Some("tcpk.school-test.example")),
            (33, None),
        ],
        "{}",
        outcome.table()
    );
    Ok(())
}

/// From the first datagram on, in whatever order the hello comes (Q01).
#[test]
fn every_quic_client_is_named_on_the_right_frame() -> Result<()> {
    hosts_of("quic")
}
