//! The folder of last good copies.
//!
//! A copy is `NAME@SHA.list`, what is known of it `NAME.json`. The JSON file
//! names the copy, so that replacing it, in one rename, is the moment of the
//! update: a crash before leaves the old copy in force, a crash after leaves
//! at most a file to sweep.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::UpdateError;
use crate::lists::{Report, Source};

/// What is known of a copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    pub name: String,
    pub location: String,
    /// The copy's file in the folder.
    pub file: String,
    /// When this content came, in seconds since 1970.
    pub fetched_at: u64,
    /// When the source last said that this is its newest content.
    pub checked_at: u64,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// Of the copy as it came, in hexadecimal.
    pub sha256: String,
    /// Of the copy as it came.
    pub bytes: u64,
    pub report: Report,
}

/// A list as metrics and listings show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    pub meta: Meta,
    /// Since the source last confirmed the copy. Zero when the clock was set
    /// back.
    pub age: Duration,
}

/// A copy on disk and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastCopy {
    pub path: PathBuf,
    pub location: String,
}

impl LastCopy {
    /// What [`import`](crate::lists::import) reads.
    pub fn source(&self) -> Source<'_> {
        Source::Copy {
            path: &self.path,
            name: &self.location,
        }
    }
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

/// Held while an update runs.
pub(super) struct Lock {
    _file: File,
}

/// A download that is not in force yet; removed when dropped.
pub(super) struct Staged {
    path: PathBuf,
    file: File,
}

impl Store {
    /// Opens the folder and makes it if need be.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, UpdateError> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(|source| failed(&dir, source))?;
        Ok(Self { dir })
    }

    /// The last good copy of `name`; `None` when there never was one.
    pub fn copy(&self, name: &str) -> Result<Option<LastCopy>, UpdateError> {
        Ok(self.meta(name)?.map(|meta| LastCopy {
            path: self.dir.join(meta.file),
            location: meta.location,
        }))
    }

    /// Every copy in the folder; damaged notes are passed over.
    pub fn copies(&self) -> Result<Vec<LastCopy>, UpdateError> {
        let entries = fs::read_dir(&self.dir).map_err(|source| failed(&self.dir, source))?;
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let lists = names.filter(|name| !name.starts_with('.'));
        let mut copies: Vec<_> = lists
            .filter_map(|name| self.copy(name.strip_suffix(".json")?).ok().flatten())
            .collect();
        copies.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(copies)
    }

    /// What is known of the last good copy.
    pub fn meta(&self, name: &str) -> Result<Option<Meta>, UpdateError> {
        let path = self.meta_path(name)?;
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed(&path, source)),
            Ok(text) => text,
        };
        let damaged = |detail: String| UpdateError::Meta {
            path: path.clone(),
            detail,
        };
        let meta: Meta =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if meta.name != name || meta.file != file_name(name, &meta.sha256) {
            return Err(damaged("it speaks of another list".to_owned()));
        }
        Ok(Some(meta))
    }

    /// Age and origin of the last good copy; `now` in seconds since 1970.
    pub fn status(&self, name: &str, now: u64) -> Result<Option<Status>, UpdateError> {
        Ok(self.meta(name)?.map(|meta| {
            let age = Duration::from_secs(now.saturating_sub(meta.checked_at));
            Status { meta, age }
        }))
    }

    /// The copy, when it is whole: what is damaged must be fetched again
    /// whatever the server says of its age.
    pub(super) fn intact(&self, name: &str) -> Result<Option<Meta>, UpdateError> {
        let meta = match self.meta(name) {
            Err(UpdateError::Meta { .. }) => return Ok(None),
            meta => meta?,
        };
        Ok(meta.filter(|meta| {
            sha256(&self.dir.join(&meta.file)).is_ok_and(|(digest, _)| digest == meta.sha256)
        }))
    }

    pub(super) fn lock(&self) -> Result<Lock, UpdateError> {
        let path = self.dir.join(".lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| failed(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(UpdateError::Busy {
                dir: self.dir.clone(),
            }),
            Err(fs::TryLockError::Error(source)) => Err(failed(&path, source)),
        }
    }

    pub(super) fn stage(&self, name: &str) -> Result<Staged, UpdateError> {
        check_name(name)?;
        let path = self.dir.join(format!(".{name}.part"));
        let file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&path)
            .map_err(|source| failed(&path, source))?;
        Ok(Staged { path, file })
    }

    /// Puts a download in force.
    pub(super) fn commit(&self, staged: Staged, meta: &Meta) -> Result<(), UpdateError> {
        let target = self.dir.join(&meta.file);
        staged
            .file
            .sync_all()
            .map_err(|source| failed(&staged.path, source))?;
        fs::rename(&staged.path, &target).map_err(|source| failed(&target, source))?;
        self.sync()?;
        self.write_meta(meta)?;
        self.sweep(meta);
        Ok(())
    }

    pub(super) fn write_meta(&self, meta: &Meta) -> Result<(), UpdateError> {
        let path = self.meta_path(&meta.name)?;
        let staged = self.dir.join(format!(".{}.json", meta.name));
        let write = || {
            let mut file = File::create(&staged)?;
            serde_json::to_writer_pretty(&mut file, meta)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&staged, &path)
        };
        write().map_err(|source| {
            // What is half written would only take room.
            let _ = fs::remove_file(&staged);
            failed(&path, source)
        })?;
        self.sync()
    }

    /// Removes older copies. One that cannot be removed does no harm.
    fn sweep(&self, meta: &Meta) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let older = name
                .strip_prefix(&meta.name)
                .is_some_and(|rest| rest.starts_with('@') && rest.ends_with(".list"));
            if older && name != meta.file {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn sync(&self) -> Result<(), UpdateError> {
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|source| failed(&self.dir, source))
    }

    fn meta_path(&self, name: &str) -> Result<PathBuf, UpdateError> {
        check_name(name)?;
        Ok(self.dir.join(format!("{name}.json")))
    }
}

impl Staged {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), UpdateError> {
        self.file
            .write_all(bytes)
            .map_err(|source| failed(&self.path, source))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After a commit there is nothing left under this name.
        let _ = fs::remove_file(&self.path);
    }
}

/// The file of a copy. Its name changes with its content, so that the old
/// copy stays until the new one is in force.
pub(super) fn file_name(name: &str, sha256: &str) -> String {
    format!("{name}@{}.list", sha256.get(..16).unwrap_or(sha256))
}

/// Digest in hexadecimal and size of a file.
pub(super) fn sha256(path: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut bytes = 0;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok((hex(&digest.finalize()), bytes));
        }
        bytes += n as u64;
        digest.update(buffer.get(..n).unwrap_or(&[]));
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_name(name: &str) -> Result<(), UpdateError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(fits) {
        return Err(UpdateError::Name {
            name: name.to_owned(),
        });
    }
    Ok(())
}

fn failed(path: &Path, source: io::Error) -> UpdateError {
    UpdateError::Write {
        path: path.to_owned(),
        source,
    }
}
