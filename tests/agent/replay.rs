//! `replay` as people type it: every recorded client by name, every shape of
//! a capture's file, and what is told about mistakes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use filter_tests::agent::program;
use filter_tests::scratch::Scratch;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

/// Nothing is denied: the last name of a connection is told as the first.
const POLICY: &str = r#"
timezone = "Asia/Bishkek"

[network]
lan = ["lan0"]
wan = ["wan0"]

[[group]]
name = "pupils"
default = "open"

[[room]]
name = "lab"
vlan = 20
group = "pupils"

[[room]]
name = "hall"
vlan = [30, 7]
group = "pupils"
"#;

/// Frames that name a host: number, protocol, host.
type Named = Vec<(u64, String, String)>;

struct Replay {
    files: Scratch,
}

impl Replay {
    fn new() -> Result<Self> {
        let files = Scratch::new()?;
        files.write("policy.toml", POLICY)?;
        Ok(Self { files })
    }

    fn run(&self, arguments: &[&str], capture: &Path, input: &[u8]) -> Result<Output> {
        let mut child = Command::new(program())
            .env("LC_ALL", "C")
            .args(["replay", "--policy"])
            .arg(self.files.path().join("policy.toml"))
            .args(arguments)
            .arg(capture)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        // A program that does not want it has closed it.
        let _ = stdin.write_all(input);
        drop(stdin);
        Ok(child.wait_with_output()?)
    }

    /// One object for each frame.
    fn json(&self, capture: &Path, input: &[u8]) -> Result<Vec<Value>> {
        let done = self.run(&["--room", "lab", "--json"], capture, input)?;
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        ensure!(
            done.status.success() && told.is_empty(),
            "{}: {told}",
            capture.display()
        );
        let text = String::from_utf8(done.stdout)?;
        text.lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }

    fn error(&self, arguments: &[&str], capture: &Path) -> Result<(Option<i32>, String)> {
        let done = self.run(arguments, capture, &[])?;
        Ok((done.status.code(), String::from_utf8(done.stderr)?))
    }
}

fn named(frames: &[Value]) -> Named {
    let word = |frame: &Value, field: &str| Some(frame.get(field)?.as_str()?.to_owned());
    frames
        .iter()
        .filter_map(|frame| {
            let packet = frame.get("packet")?.as_u64()?;
            Some((packet, word(frame, "proto")?, word(frame, "host")?))
        })
        .collect()
}

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}

/// What a table says by file; the columns are those of frame, protocol, host.
fn table(path: &Path, columns: [usize; 3]) -> Result<BTreeMap<String, Named>> {
    let mut files: BTreeMap<String, Named> = BTreeMap::new();
    for line in std::fs::read_to_string(path)?.lines().skip(1) {
        let row: Vec<&str> = line.split('\t').collect();
        let cell = |column: usize| row.get(column).copied().context("a short row");
        let [frame, protocol, host] = columns;
        files.entry(cell(0)?.to_owned()).or_default().push((
            cell(frame)?.parse()?,
            cell(protocol)?.to_owned(),
            cell(host)?.to_owned(),
        ));
    }
    Ok(files)
}

fn every_file_is_named(folder: &Path, files: BTreeMap<String, Named>) -> Result<()> {
    let replay = Replay::new()?;
    let mut wrong = Vec::new();
    for (file, expected) in files {
        let frames = replay.json(&folder.join(&file), &[])?;
        let found = named(&frames);
        if found != expected {
            wrong.push(format!(
                "{file}:\n  expected {expected:?}\n  found    {found:?}"
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_client_is_named_on_the_frame_that_completes_its_hello() -> Result<()> {
    let files = table(&captures().join("expected.tsv"), [8, 1, 7])?;
    ensure!(files.len() >= 22, "{} files", files.len());
    every_file_is_named(&captures(), files)
}

#[test]
fn every_name_that_an_independent_reader_finds_is_told() -> Result<()> {
    let folder = captures().join("clients");
    let files = table(&folder.join("named.tsv"), [1, 2, 3])?;
    for entry in std::fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(
            !name.ends_with(".pcap") || files.contains_key(&name),
            "{name} is not in the table"
        );
    }
    every_file_is_named(&folder, files)
}

#[test]
fn tags_are_told_as_numbers() -> Result<()> {
    let replay = Replay::new()?;
    for (file, vlan, room) in [
        ("vlan-20-python-httpx.pcap", Value::from(20), "lab"),
        ("qinq-30-7-curl_cffi-h3.pcap", Value::from("30.7"), "hall"),
        ("v6-curl.pcap", Value::Null, "lab"),
    ] {
        let frames = replay.json(&captures().join("clients").join(file), &[])?;
        for frame in &frames {
            ensure!(
                frame["vlan"] == vlan && frame["room"] == room,
                "{file}: {frame}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_capture_may_be_packed_or_come_through_a_pipe() -> Result<()> {
    let replay = Replay::new()?;
    let path = captures().join("node-20.pcap");
    let plain = std::fs::read(&path)?;
    let expected = replay.json(&path, &[])?;
    ensure!(named(&expected).len() == 1, "{expected:?}");
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(&plain)?;
    let packed = packer.finish()?;
    let packed_path = replay.files.path().join("node-20.pcap.gz");
    std::fs::write(&packed_path, &packed)?;
    ensure!(replay.json(&packed_path, &[])? == expected);
    ensure!(replay.json(Path::new("-"), &plain)? == expected);
    ensure!(replay.json(Path::new("-"), &packed)? == expected);
    Ok(())
}

#[test]
fn mistakes_are_told_with_what_to_do() -> Result<()> {
    let replay = Replay::new()?;
    let good = captures().join("node-20.pcap");
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = replay.files.path().join(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    };
    let bytes = std::fs::read(&good)?;
    let cut = bytes.get(..1500).context("a short capture")?;
    // Radiotap, of which nothing is read here.
    let mut strange = bytes.clone();
    strange[20] = 127;
    let lab: &[&str] = &["--room", "lab"];
    for (arguments, capture, code, words) in [
        (
            &["--room", "gym"][..],
            good.clone(),
            6,
            &["gym", "lab, hall"][..],
        ),
        (lab, replay.files.path().to_owned(), 2, &["folder"]),
        (
            lab,
            replay.files.path().join("nowhere"),
            2,
            &["nowhere", "No such file"],
        ),
        (lab, write("empty", &[])?, 2, &["the file is empty"]),
        (lab, write("cut", cut)?, 2, &["byte", "cut off"]),
        (
            lab,
            write("text", b"GET / HTTP/1.1\r\n")?,
            2,
            &["no capture"],
        ),
        (
            &[],
            good.clone(),
            0,
            &["16 frames", "--room NAME", "lab, hall"],
        ),
        (lab, write("strange", &strange)?, 0, &["16 frames", "127"]),
    ] {
        let (found, told) = replay.error(arguments, &capture)?;
        ensure!(
            found == Some(code) && words.iter().all(|word| told.contains(word)),
            "{arguments:?} {}: {found:?} {told}",
            capture.display()
        );
        ensure!(told.lines().count() == 1, "told once: {told}");
    }
    Ok(())
}
