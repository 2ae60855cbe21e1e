//! Fetches lists and keeps the last good copy.
//!
//! A new copy takes the place of the old one only after it was read to its
//! end, has entries, has not shrunk sharply, and matches its checksum or
//! signature where the source has one. Whatever goes wrong, the old copy
//! stays in force; its age is in [`Status`].

mod fetch;
mod schedule;
mod store;
mod trust;

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;

use super::{IpRange, ListError, Options, Report, Scope, Sink, Source, import};

pub use fetch::FetchError;
pub use schedule::next_update;
pub use store::{LastCopy, Meta, Status, Store};
pub use trust::{Trust, TrustError};

/// A list that is kept up to date.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Names the copy on disk: letters, digits, `-`, `_` and `.`, at most 64.
    pub name: String,
    /// `http://…`, `https://…`, `file:///…` or a path.
    pub location: String,
    pub options: Options,
    /// Beyond what TLS gives.
    pub trust: Trust,
    /// The share of the old copy's entries that a new copy must at least
    /// have. 0.5 by default: lists lose a few per cent a day, a broken
    /// generator loses most of it.
    pub keep: f64,
    /// Packed bytes.
    pub max_bytes: u64,
    /// For the whole download.
    pub timeout: Duration,
    /// `http://host:port` or `socks5://…`, instead of the environment's
    /// (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    pub proxy: Option<String>,
}

impl Subscription {
    /// A subscription with the defaults: 256 MiB, ten minutes.
    pub fn new(name: impl Into<String>, location: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            location: location.into(),
            options: Options::default(),
            trust: Trust::None,
            keep: 0.5,
            max_bytes: 256 << 20,
            timeout: Duration::from_secs(600),
            proxy: None,
        }
    }
}

/// What an update did.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A new copy is in force.
    Updated(Meta),
    /// The copy is still the newest.
    Current(Meta),
}

impl Outcome {
    pub fn meta(&self) -> &Meta {
        match self {
            Self::Updated(meta) | Self::Current(meta) => meta,
        }
    }
}

/// Why the old copy stayed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(
        "{location} has no entry that a filter could use ({left_out}): check address and format"
    )]
    Empty { location: String, left_out: String },
    #[error(
        "{location} shrank from {old} to {new} entries: look at it, then force the update if it is right"
    )]
    Shrunk {
        location: String,
        old: u64,
        new: u64,
    },
    #[error("{name:?} cannot name a list: use letters, digits, '-', '_' and '.', at most 64")]
    Name { name: String },
    #[error("another update is running in {}", .dir.display())]
    Busy { dir: PathBuf },
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is damaged ({detail}): update the list again", .path.display())]
    Meta { path: PathBuf, detail: String },
}

/// Fetches `list` and, if it is good, makes it the copy in force.
///
/// `force` takes a list that has shrunk. `now` is in seconds since 1970.
/// `progress` counts packed bytes.
///
/// # Errors
/// Each leaves the old copy as it was.
pub fn update(
    store: &Store,
    list: &Subscription,
    force: bool,
    now: u64,
    progress: &ProgressBar,
) -> Result<Outcome, UpdateError> {
    let _lock = store.lock()?;
    let old = store
        .intact(&list.name)?
        .filter(|meta| meta.location == list.location);
    let mut staged = store.stage(&list.name)?;
    let conditions = old.as_ref().map(|meta| fetch::Conditions {
        etag: meta.etag.as_deref(),
        last_modified: meta.last_modified.as_deref(),
    });
    let fetched = fetch::fetch(list, conditions, &mut staged, progress)?;
    let fetched = match (fetched, old.clone()) {
        (None, Some(mut meta)) => {
            meta.checked_at = now;
            store.write_meta(&meta)?;
            return Ok(Outcome::Current(meta));
        }
        // No server may answer so unasked.
        (None, None) => {
            return Err(FetchError::Status {
                url: list.location.clone(),
                status: 304,
            }
            .into());
        }
        (Some(fetched), _) => fetched,
    };
    trust::check(list, staged.path(), &fetched.sha256)?;
    let report = check(staged.path(), list)?;
    let entries = report.entries();
    if entries == 0 {
        let (location, left_out) = (list.location.clone(), left_out(&report));
        return Err(UpdateError::Empty { location, left_out });
    }
    let before = old.as_ref().map_or(0, |meta| meta.report.entries());
    if !force && (entries as f64) < before as f64 * list.keep {
        let location = list.location.clone();
        return Err(UpdateError::Shrunk {
            location,
            old: before,
            new: entries,
        });
    }
    let same = old.is_some_and(|meta| meta.sha256 == fetched.sha256);
    let meta = Meta {
        name: list.name.clone(),
        location: list.location.clone(),
        file: store::file_name(&list.name, &fetched.sha256),
        fetched_at: now,
        checked_at: now,
        etag: fetched.etag,
        last_modified: fetched.last_modified,
        sha256: fetched.sha256,
        bytes: fetched.bytes,
        report,
    };
    store.commit(staged, &meta)?;
    Ok(if same {
        Outcome::Current(meta)
    } else {
        Outcome::Updated(meta)
    })
}

fn left_out(report: &Report) -> String {
    let kinds: Vec<_> = report
        .ignored
        .iter()
        .map(|ignored| format!("{} × {}", ignored.count, ignored.kind.word()))
        .collect();
    if kinds.is_empty() {
        return format!("{} lines, all empty or comments", report.lines);
    }
    format!("left out: {}", kinds.join(", "))
}

/// Reads the list to its end under the location's name.
fn check(path: &Path, list: &Subscription) -> Result<Report, ListError> {
    struct Nowhere;
    impl Sink for Nowhere {
        fn name(&mut self, _: &[u8], _: Scope, _: bool) {}
        fn range(&mut self, _: IpRange, _: bool) {}
    }
    let source = Source::Copy {
        path,
        name: &list.location,
    };
    import(&source, &list.options, &mut Nowhere)
}
