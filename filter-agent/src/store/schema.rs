//! The tables and how older files become newer ones.

use rusqlite::Connection;

/// Steps from one version of the file to the next; step N makes version N+1.
/// A step that has been released is never changed.
const STEPS: &[&str] = &[VERSION_1];

/// Brings a file to the newest version, each step whole or not at all.
///
/// # Errors
/// SQLite's; a file of a newer agent is refused as not writable.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version as usize > STEPS.len() {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY),
            Some(format!(
                "it was written by a newer filter-agent (version {version}, this one knows {}); \
                 install the newer one again or move the file away",
                STEPS.len()
            )),
        ));
    }
    for (number, step) in (1_u32..).zip(STEPS).skip(version as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

const VERSION_1: &str = "
CREATE TABLE leases (
    room TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    uid INTEGER NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT;

CREATE TABLE modes (
    room TEXT PRIMARY KEY,
    mode TEXT NOT NULL CHECK (mode IN ('open', 'closed')),
    by_whom TEXT NOT NULL,
    reason TEXT,
    since INTEGER NOT NULL,
    until INTEGER
) STRICT;

CREATE TABLE grants (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('category', 'host')),
    what TEXT NOT NULL,
    scope_kind TEXT NOT NULL CHECK (scope_kind IN ('room', 'group')),
    scope TEXT NOT NULL,
    by_whom TEXT NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    revoked INTEGER,
    revoked_by TEXT
) STRICT;

CREATE TABLE blocks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    target TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('block', 'report')),
    state TEXT NOT NULL CHECK (state IN ('active', 'queued', 'confirmed', 'lifted')),
    by_whom TEXT NOT NULL,
    reason TEXT,
    since INTEGER NOT NULL,
    decided INTEGER,
    decided_by TEXT,
    decision TEXT
) STRICT;
CREATE UNIQUE INDEX blocks_in_force ON blocks (target) WHERE state <> 'lifted';

CREATE TABLE salts (
    lesson TEXT PRIMARY KEY,
    salt BLOB NOT NULL,
    made INTEGER NOT NULL
) STRICT;

CREATE TABLE incidents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    opened INTEGER NOT NULL,
    last INTEGER NOT NULL,
    room TEXT NOT NULL,
    lesson TEXT NOT NULL,
    class_teacher TEXT,
    category TEXT NOT NULL,
    tries INTEGER NOT NULL,
    hosts TEXT NOT NULL,
    pseudonym TEXT NOT NULL,
    sealed BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
    closed INTEGER,
    closed_by TEXT,
    note TEXT
) STRICT;
CREATE INDEX incidents_by_room ON incidents (room, opened);
CREATE INDEX incidents_by_device ON incidents (pseudonym, category, last);

CREATE TABLE generations (
    generation INTEGER PRIMARY KEY,
    applied INTEGER NOT NULL,
    by_whom TEXT NOT NULL,
    digest TEXT NOT NULL,
    file TEXT NOT NULL,
    policy TEXT NOT NULL
) STRICT;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    why TEXT,
    before TEXT,
    after TEXT,
    chain BLOB NOT NULL
) STRICT;
CREATE INDEX audit_by_time ON audit (at);
CREATE TRIGGER audit_keeps_entries BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_keeps_words BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
";
