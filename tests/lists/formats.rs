//! Each list beside its expectation.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use filter_agent::lists::{Format, Options, Source};

use crate::packing::tar_gz_of_folder;
use crate::record;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lists");

/// Compares every list of a format with what is written beside it.
fn check(format: Format) -> Result<()> {
    let folder = Path::new(FOLDER).join(format.word());
    let mut cases = 0;
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let (source, data);
        let name = "test";
        if path.is_dir() {
            data = tar_gz_of_folder(&path)?;
            source = Source::Bytes { name, data: &data };
        } else if path.extension().is_some_and(|end| end == "in") {
            source = Source::File(&path);
        } else {
            continue;
        }
        cases += 1;
        let got = record::text(&source, &Options::default())?;
        ensure!(
            got.contains(&format!("--- {}\n", format.word())),
            "{} was not recognised:\n{got}",
            path.display()
        );
        // Forced, it must come out the same.
        let forced = Options {
            format: Some(format),
            ..Options::default()
        };
        ensure!(
            record::text(&source, &forced)? == got,
            "{} differs when forced",
            path.display()
        );
        let beside = path.with_extension("expected");
        if std::env::var_os("LISTS_WRITE").is_some() {
            fs::write(&beside, &got)?;
        }
        let want = fs::read_to_string(&beside).with_context(|| beside.display().to_string())?;
        ensure!(
            got == want,
            "{}\n--- got\n{got}\n--- want\n{want}",
            path.display()
        );
    }
    ensure!(cases > 0, "no cases in {}", folder.display());
    Ok(())
}

#[test]
fn domains() -> Result<()> {
    check(Format::Domains)
}

#[test]
fn hosts() -> Result<()> {
    check(Format::Hosts)
}

#[test]
fn adblock() -> Result<()> {
    check(Format::Adblock)
}

#[test]
fn dnsmasq() -> Result<()> {
    check(Format::Dnsmasq)
}

#[test]
fn unbound() -> Result<()> {
    check(Format::Unbound)
}

#[test]
fn rpz() -> Result<()> {
    check(Format::Rpz)
}

#[test]
fn squidguard() -> Result<()> {
    check(Format::Squidguard)
}

#[test]
fn netset() -> Result<()> {
    check(Format::Netset)
}

#[test]
fn ranges() -> Result<()> {
    check(Format::Ranges)
}

#[test]
fn spamhaus_drop() -> Result<()> {
    check(Format::Drop)
}

#[test]
fn v2fly() -> Result<()> {
    check(Format::V2fly)
}
