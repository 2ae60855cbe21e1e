//! gzip, xz, zip and tar, one in another, chosen members, and bombs.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use anyhow::{Result, ensure};
use filter_agent::lists::{Limits, ListError, Options};
use flate2::Compression;
use flate2::write::GzEncoder;
use liblzma::write::XzEncoder;

use crate::record;

const LIST: &[u8] = b"one.example\ntwo.example\n";
const ENTRIES: [&str; 2] = ["subtree one.example", "subtree two.example"];

pub(crate) fn gz(data: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data)?;
    Ok(encoder.finish()?)
}

fn xz(data: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = XzEncoder::new(Vec::new(), 6);
    encoder.write_all(data)?;
    Ok(encoder.finish()?)
}

fn zip(files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default())?;
        writer.write_all(data)?;
    }
    Ok(writer.finish()?.into_inner())
}

fn tar(files: &[(&str, &[u8])], links: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, target) in links {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, name, target)?;
    }
    for (name, data) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        builder.append_data(&mut header, name, *data)?;
    }
    Ok(builder.into_inner()?)
}

/// A folder as school lists are handed out, its own name first.
pub(crate) fn tar_gz_of_folder(folder: &Path) -> Result<Vec<u8>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(parent) = folder.parent() {
                let name = path.strip_prefix(parent)?.display().to_string();
                files.push((name, fs::read(&path)?));
            }
        }
    }
    files.sort();
    let files: Vec<_> = files
        .iter()
        .map(|(name, data)| (name.as_str(), data.as_slice()))
        .collect();
    gz(&tar(&files, &[])?)
}

fn entries(data: &[u8], members: &[&str]) -> Result<Vec<String>, ListError> {
    let members = members.iter().map(|member| (*member).to_owned()).collect();
    let options = Options {
        members,
        ..Options::default()
    };
    Ok(record::bytes(data, &options)?.0.entries)
}

#[test]
fn every_packing_and_packings_in_packings() -> Result<()> {
    let two_members = [gz(b"one.example\n")?, gz(b"two.example\n")?].concat();
    let two_streams = [xz(b"one.example\n")?, xz(b"two.example\n")?].concat();
    for (name, data) in [
        ("gzip", gz(LIST)?),
        ("gzip of two members", two_members),
        ("xz", xz(LIST)?),
        ("xz of two streams", two_streams),
        ("gzip twice", gz(&gz(LIST)?)?),
        ("zip", zip(&[("list.txt", LIST)])?),
        ("tar", tar(&[("list.txt", LIST)], &[])?),
        ("tar.gz", gz(&tar(&[("./list.txt", LIST)], &[])?)?),
        ("tar.xz", xz(&tar(&[("list.txt", LIST)], &[])?)?),
        (
            "tar.gz in tar",
            tar(
                &[("inner.tar.gz", &gz(&tar(&[("a/list", LIST)], &[])?)?)],
                &[],
            )?,
        ),
        (
            "zip in tar.gz",
            gz(&tar(&[("inner.zip", &zip(&[("list", LIST)])?)], &[])?)?,
        ),
        ("gzip in zip", zip(&[("list.gz", &gz(LIST)?)])?),
    ] {
        let got = entries(&data, &[])?;
        ensure!(got == ENTRIES, "{name}: {got:?}");
    }
    Ok(())
}

#[test]
fn an_archive_of_ut1s_shape_gives_the_chosen_category() -> Result<()> {
    let files: [(&str, &[u8]); 5] = [
        ("blacklists/README", b"readme.example\n"),
        ("blacklists/adult/domains", b"adult.example\n192.0.2.1\n"),
        (
            "blacklists/adult/urls",
            b"host.example/page\nwhole.example/\n",
        ),
        ("blacklists/games/domains", b"games.example\n"),
        ("blacklists/mixed_adult/domains", b"mixed.example\n"),
    ];
    let links = [("blacklists/porn", "adult"), ("blacklists/lost", "nowhere")];
    let adult = [
        "subtree adult.example",
        "range 192.0.2.1-192.0.2.1",
        "exact whole.example",
    ];
    let archive = gz(&tar(&files, &links)?)?;
    assert_eq!(entries(&archive, &["adult"])?, adult);
    assert_eq!(entries(&archive, &["blacklists/adult"])?, adult);
    assert_eq!(entries(&archive, &["adult/domains"])?, adult[..2]);
    assert_eq!(entries(&archive, &["adult", "games"])?.len(), 4);
    assert_eq!(
        entries(&archive, &["porn"])?,
        adult,
        "a category that is a link"
    );
    assert_eq!(entries(&archive, &["porn", "adult"])?, adult, "never twice");
    assert_eq!(entries(&archive, &[])?.len(), 5, "the README is no list");
    let error = entries(&archive, &["astrology"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "test has no member \"astrology\"; it has: blacklists, blacklists/adult, \
         blacklists/games, blacklists/mixed_adult"
    );
    Ok(())
}

#[test]
fn v2fly_includes_are_found_in_the_archive() -> Result<()> {
    let files: [(&str, &[u8]); 3] = [
        (
            "list-master/data/all",
            b"include:a @ads\nfull:all.example\n",
        ),
        (
            "list-master/data/a",
            b"a.example @ads\nnot.example\ninclude:all\n",
        ),
        ("list-master/README.md", b"# readme\n"),
    ];
    let archive = zip(&files)?;
    assert_eq!(
        entries(&archive, &["data/all"])?,
        ["exact all.example", "subtree a.example"]
    );
    Ok(())
}

#[test]
fn bombs_stop_early() -> Result<()> {
    let zeros = vec![b'0'; 128 << 20];
    for (name, bomb) in [("gzip", gz(&zeros)?), ("zip", zip(&[("list", &zeros)])?)] {
        let error = entries(&bomb, &[]).unwrap_err();
        ensure!(matches!(error, ListError::Bomb { .. }), "{name}: {error}");
    }
    let mut nested = LIST.to_vec();
    for _ in 0..12 {
        nested = gz(&nested)?;
    }
    let error = entries(&nested, &[]).unwrap_err();
    ensure!(matches!(error, ListError::TooDeep { .. }), "{error}");
    Ok(())
}

#[test]
fn every_limit_holds() -> Result<()> {
    let small = |limits| Options {
        limits,
        ..Options::default()
    };
    let with = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        small(limits)
    };
    let packed = gz(LIST)?;
    let size = LIST.len() as u64;
    assert_eq!(size, 24);
    let exact = with(|limits| limits.unpacked = 24);
    assert_eq!(record::bytes(&packed, &exact)?.0.entries, ENTRIES);
    let error = record::bytes(&packed, &with(|limits| limits.unpacked = 23)).unwrap_err();
    ensure!(
        matches!(error, ListError::TooLarge { limit: 23, .. }),
        "{error}"
    );

    assert!(record::bytes(LIST, &with(|limits| limits.entries = 2)).is_ok());
    let error = record::bytes(LIST, &with(|limits| limits.entries = 1)).unwrap_err();
    ensure!(
        matches!(error, ListError::TooMany { limit: 1, .. }),
        "{error}"
    );

    let archive = tar(&[("a", LIST), ("b", LIST)], &[])?;
    assert!(record::bytes(&archive, &with(|limits| limits.members = 2)).is_ok());
    let error = record::bytes(&archive, &with(|limits| limits.members = 1)).unwrap_err();
    ensure!(
        matches!(error, ListError::TooMany { limit: 1, .. }),
        "{error}"
    );

    let archive = zip(&[("a", LIST)])?;
    let error = record::bytes(&archive, &with(|limits| limits.zip = 16)).unwrap_err();
    ensure!(
        matches!(error, ListError::TooLarge { limit: 16, .. }),
        "{error}"
    );
    Ok(())
}

#[test]
fn damage_is_an_error_never_half_a_list() -> Result<()> {
    let long: Vec<u8> = (0..20_000)
        .flat_map(|i| format!("host{i}.example\n").into_bytes())
        .collect();
    let mut flipped = gz(&long)?;
    if let Some(byte) = flipped.iter_mut().rev().nth(6) {
        // In the CRC.
        *byte ^= 1;
    }
    let (gzip, lzma) = (gz(&long)?, xz(&long)?);
    let tar = tar(&[("list", &long)], &[])?;
    for (name, data) in [
        ("gzip cut in the middle", &gzip[..gzip.len() / 2]),
        ("gzip without its last byte", &gzip[..gzip.len() - 1]),
        ("gzip with a wrong CRC", &flipped),
        ("xz cut in the middle", &lzma[..lzma.len() / 2]),
        ("tar cut in the middle", &tar[..tar.len() / 2]),
        ("zip without its table", &zip(&[("list", &long)])?[..1000]),
    ] {
        let error = entries(data, &[]).unwrap_err();
        ensure!(
            matches!(
                error,
                ListError::Truncated { .. } | ListError::Damaged { .. }
            ),
            "{name}: {error}"
        );
    }
    Ok(())
}

#[test]
fn utf16_as_notepad_saves_it() -> Result<()> {
    let text = "# список\r\none.example\r\nдва.example\r\n";
    let want = ["subtree one.example", "subtree xn--80adf.example"];
    for (mark, big) in [(b"\xff\xfe", false), (b"\xfe\xff", true)] {
        let units = text.encode_utf16();
        let body = units.flat_map(|unit| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        });
        let data: Vec<u8> = mark.iter().copied().chain(body).collect();
        assert_eq!(record::bytes(&data, &Options::default())?.0.entries, want);
    }
    Ok(())
}
