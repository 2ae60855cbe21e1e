//! Broken policies as files: each `NAME.toml` gets exactly the message in
//! `NAME.expected`. With `UPDATE_EXPECTED=1` the messages are written anew,
//! to be read before they are committed.

#![expect(
    clippy::unwrap_used,
    reason = "a failed case shall panic, in its helpers too"
)]

use std::path::{Path, PathBuf};

use filter_agent::policy::Policy;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("broken")
}

fn cases(extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    cases.sort();
    cases
}

/// The message of a policy, with the file named as in its own folder.
fn message(path: &Path) -> String {
    let name = path.display().to_string();
    let folder = format!("{}/", folder().display());
    match Policy::load(path) {
        Ok(_) => format!("{name} was accepted\n"),
        Err(error) => format!("{}\n", error.to_string().replace(&folder, "")),
    }
}

#[test]
fn every_broken_policy_gets_its_message() {
    let cases = cases("toml");
    assert!(cases.len() >= 30, "only {} broken policies", cases.len());
    let mut wrong = Vec::new();
    for path in &cases {
        let seen = message(path);
        let beside = path.with_extension("expected");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&beside, &seen).unwrap();
        }
        let expected = std::fs::read_to_string(&beside).unwrap_or_default();
        if seen != expected || expected.contains("was accepted") {
            wrong.push(format!(
                "{}\n--- expected\n{expected}--- seen\n{seen}",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_expected_message_is_left_over() {
    for path in cases("expected") {
        let has = path.with_extension("toml").exists();
        assert!(has, "{} has no policy", path.display());
    }
}
