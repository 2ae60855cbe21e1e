//! What must outlive the agent: leases, modes, grants, blocks, incidents,
//! generations and the audit log, in one SQLite file.
//!
//! The store never stops the filter. When the file cannot be opened, written
//! or read (full disk, broken file system, corrupt file), everything goes on
//! in memory, [`Store::degraded`] says why, and [`Store::heal`] goes back to
//! the file as soon as it can. A file that is corrupt is set aside, not
//! deleted.

pub mod audit;
pub mod blocks;
pub mod generations;
pub mod grants;
pub mod incidents;
pub mod leases;
pub mod modes;
mod pseudonym;
pub mod retention;
mod schema;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, TransactionBehavior, backup::Backup};

use crate::words::Said;

pub use audit::{Change, Who};
pub use pseudonym::{Device, Pseudonym, Salt};

/// Pages of 4 KiB that the store may grow to, in the file and in memory:
/// 256 MiB. Retention keeps it far below.
const MAX_PAGES: u32 = 65_536;

/// Why a change or a question failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The change contradicts what is stored; nothing was changed.
    #[error("{0}")]
    Refused(Said),
    /// SQLite failed, in memory too.
    #[error("the store failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The store; one per agent, behind a lock.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: Option<PathBuf>,
    degraded: Option<String>,
    /// Which corrupt file was set aside since the agent started, and why.
    aside: Option<String>,
}

impl Store {
    /// Opens the file, or goes on in memory when that fails.
    pub fn open(path: &Path, now: Timestamp) -> Self {
        match open_file(path) {
            Ok(connection) => Self {
                connection,
                path: Some(path.to_owned()),
                degraded: None,
                aside: None,
            },
            Err(error) if is_corrupt(&error) => match set_aside(path, now) {
                Ok(aside) => {
                    let note = format!(
                        "{} was corrupt ({error}) and was set aside as {}",
                        path.display(),
                        aside.display()
                    );
                    match open_file(path) {
                        Ok(connection) => Self {
                            connection,
                            path: Some(path.to_owned()),
                            degraded: None,
                            aside: None,
                        }
                        .with_note(&note, now),
                        Err(error) => Self::fallback(path, format!("{note}; {error}")),
                    }
                }
                Err(error) => Self::fallback(path, error.to_string()),
            },
            Err(error) => Self::fallback(path, format!("{}: {error}", path.display())),
        }
    }

    /// A store without a file: for tests and for commands that keep nothing.
    pub fn in_memory() -> rusqlite::Result<Self> {
        let mut connection = Connection::open_in_memory()?;
        prepare(&mut connection)?;
        Ok(Self {
            connection,
            path: None,
            degraded: None,
            aside: None,
        })
    }

    /// Why the store is in memory though it should be in a file.
    pub fn degraded(&self) -> Option<&str> {
        self.degraded.as_deref()
    }

    /// Which corrupt file was set aside since the store was opened, and why.
    pub fn set_aside(&self) -> Option<&str> {
        self.aside.as_deref()
    }

    /// Removes corrupt files that were set aside before `before`: what they
    /// hold of people has had its time.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn forget_set_aside(&self, before: Timestamp) -> io::Result<usize> {
        let Some(path) = &self.path else { return Ok(0) };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(0);
        };
        let head = format!("{}{ASIDE}", name.to_string_lossy());
        let mut removed = 0;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(&head)) else {
                continue;
            };
            let second = rest.split('-').next().and_then(|text| text.parse().ok());
            if second.is_some_and(|second: i64| second < before.as_second()) {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Asks. A corrupt file is noticed here too.
    pub fn read<T>(&mut self, ask: impl Fn(&Connection) -> Result<T>) -> Result<T> {
        match ask(&self.connection) {
            Err(StoreError::Sqlite(error)) if self.leaves_file(&error) => {
                self.degrade(&error)?;
                ask(&self.connection)
            }
            other => other,
        }
    }

    /// Changes something by a person's will: the change and its entry in the
    /// audit log are stored together or not at all.
    pub fn change<T>(
        &mut self,
        who: &Who,
        now: Timestamp,
        change: impl Fn(&Connection) -> Result<Change<T>>,
    ) -> Result<T> {
        self.write(|connection| {
            let change = change(connection)?;
            audit::append(connection, who, now, &change)?;
            Ok(change.value)
        })
    }

    /// Changes something that no person asked for (incidents, retention).
    pub fn write<T>(&mut self, change: impl Fn(&Connection) -> Result<T>) -> Result<T> {
        match transact(&mut self.connection, &change) {
            Err(StoreError::Sqlite(error)) if self.leaves_file(&error) => {
                self.degrade(&error)?;
                transact(&mut self.connection, &change)
            }
            other => other,
        }
    }

    /// Tries to go back to the file. Returns whether the store is in its file
    /// now. What was changed in memory is taken along.
    pub fn heal(&mut self, now: Timestamp) -> bool {
        let Some(path) = self.path.clone() else {
            return false;
        };
        if self.degraded.is_none() {
            return true;
        }
        match self.write_back(&path, now) {
            Ok((connection, aside)) => {
                self.connection = connection;
                self.degraded = None;
                if let Some(aside) = aside {
                    let note = format!("{} was corrupt: {}", path.display(), aside.display());
                    self.aside = Some(note);
                }
                true
            }
            Err(_) => false,
        }
    }

    /// Writes a whole new file beside the old one, then takes its place.
    fn write_back(&self, path: &Path, now: Timestamp) -> Result<(Connection, Option<PathBuf>)> {
        let beside = path.with_extension("new");
        remove_database(&beside);
        let written = (|| {
            let mut fresh = Connection::open(&beside)?;
            Backup::new(&self.connection, &mut fresh)?.run_to_completion(
                1024,
                Duration::ZERO,
                None,
            )?;
            fresh
                .close()
                .map_err(|(_, error)| StoreError::Sqlite(error))?;
            fs::File::open(&beside)
                .and_then(|file| file.sync_all())
                .map_err(|error| io_refused(&error))
        })();
        if let Err(error) = written {
            remove_database(&beside);
            return Err(error);
        }
        // A corrupt file stays for whoever wants to rescue something from it;
        // of a readable one everything is in the new file.
        let corrupt = Connection::open(path)
            .and_then(|old| quick_check(&old))
            .is_err_and(|error| is_corrupt(&error));
        let aside = if corrupt {
            Some(set_aside(path, now).map_err(|error| io_refused(&error))?)
        } else {
            remove_database(path);
            None
        };
        fs::rename(&beside, path).map_err(|error| io_refused(&error))?;
        Ok((open_file(path)?, aside))
    }

    /// Goes on in memory, with whatever can still be read from the file.
    fn degrade(&mut self, why: &rusqlite::Error) -> Result<()> {
        let mut memory = Connection::open_in_memory()?;
        let copied = Backup::new(&self.connection, &mut memory)
            .and_then(|backup| backup.run_to_completion(1024, Duration::ZERO, None))
            .and_then(|()| quick_check(&memory));
        if copied.is_err() {
            memory = Connection::open_in_memory()?;
        }
        prepare(&mut memory)?;
        self.connection = memory;
        self.degraded = Some(why.to_string());
        Ok(())
    }

    /// Whether an error means that the file is of no use now.
    fn leaves_file(&self, error: &rusqlite::Error) -> bool {
        self.path.is_some()
            && self.degraded.is_none()
            && matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DiskFull
                        | ErrorCode::DatabaseCorrupt
                        | ErrorCode::NotADatabase
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::ReadOnly
                        | ErrorCode::CannotOpen
                        | ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                )
            )
    }

    fn fallback(path: &Path, why: String) -> Self {
        // An in-memory database fails only without memory; then the agent
        // cannot go on anyway, and an unprepared one answers with errors.
        let connection = Connection::open_in_memory()
            .and_then(|mut connection| prepare(&mut connection).map(|()| connection));
        match connection {
            Ok(connection) => Self {
                connection,
                path: Some(path.to_owned()),
                degraded: Some(why),
                aside: None,
            },
            Err(error) => {
                eprintln!("filter-agent: no memory for the store: {error}");
                std::process::abort()
            }
        }
    }

    fn with_note(mut self, note: &str, now: Timestamp) -> Self {
        let noted = self.change(&Who::agent(), now, |_| {
            Ok(Change::new("store.set_aside", "store", ()).after(&note))
        });
        if let Err(error) = noted {
            self.degraded = Some(error.to_string());
        }
        self.aside = Some(note.to_owned());
        self
    }

    #[cfg(test)]
    fn connection(&self) -> &Connection {
        &self.connection
    }
}

fn transact<T>(
    connection: &mut Connection,
    change: impl Fn(&Connection) -> Result<T>,
) -> Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = change(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

fn open_file(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    // Names of teachers and sealed addresses: for root alone.
    restrict(path);
    // Commits reach the disk before they are answered (power loss).
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    quick_check(&connection)?;
    prepare(&mut connection)?;
    Ok(connection)
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(2))?;
    // What retention deletes is overwritten, or a salt could be dug out.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "max_page_count", MAX_PAGES)?;
    schema::migrate(connection)
}

fn quick_check(connection: &Connection) -> rusqlite::Result<()> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
        Some(verdict),
    ))
}

fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    // Without the right to change the mode there is nothing better to do
    // than to go on with what the directory protects.
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
}

/// Between a corrupt file's name and the second in which it was set aside.
const ASIDE: &str = ".corrupt-";

/// Files of a database in WAL mode.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove_database(path: &Path) {
    for suffix in SUFFIXES {
        // Absent files are the usual case; others show at the next step.
        let _ = fs::remove_file(beside(path, suffix));
    }
}

fn set_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let aside = beside(path, &format!("{ASIDE}{}", now.as_second()));
    for suffix in SUFFIXES {
        match fs::rename(beside(path, suffix), beside(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

fn io_refused(error: &io::Error) -> StoreError {
    StoreError::Refused(error.to_string().into())
}

/// A moment as it lies in a column: milliseconds since 1970.
fn column(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// Reads a moment; a column out of range reads as the nearest moment.
fn moment(column: i64) -> Timestamp {
    Timestamp::from_millisecond(column).unwrap_or(if column < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}
