//! What is forgotten, and when.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

use super::{Change, Result, Who, audit, column};

/// How long and how much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Salts: after it nobody can open an identity.
    pub identities: SignedDuration,
    /// Incidents.
    pub incidents: SignedDuration,
    /// Lifted blocks and ended grants.
    pub records: SignedDuration,
    /// The audit log.
    pub audit: SignedDuration,
    /// Rows of incidents, of ended grants and of lifted blocks, each.
    pub rows: u32,
    /// Rows of the audit log.
    pub audit_rows: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            // A week: the class teacher is told within days, not months.
            identities: SignedDuration::from_hours(7 * 24),
            // A school year with its summer.
            incidents: SignedDuration::from_hours(400 * 24),
            records: SignedDuration::from_hours(400 * 24),
            // Three years, as long as a council's decisions are asked after.
            audit: SignedDuration::from_hours(3 * 366 * 24),
            rows: 100_000,
            audit_rows: 500_000,
        }
    }
}

/// What one run of retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub salts: usize,
    pub incidents: usize,
    pub records: usize,
    pub audit: usize,
}

/// Removes what is over its time or above its bound.
pub fn enforce(connection: &Connection, limits: &Retention, now: Timestamp) -> Result<Removed> {
    let before = |age: SignedDuration| now.checked_sub(age).map_or(i64::MIN, column);
    let salts = connection.execute(
        "DELETE FROM salts WHERE made < ?1",
        [before(limits.identities)],
    )?;
    let incidents = connection.execute(
        "DELETE FROM incidents WHERE last < ?1 OR id NOT IN
         (SELECT id FROM incidents ORDER BY id DESC LIMIT ?2)",
        params![before(limits.incidents), limits.rows],
    )?;
    let records = before(limits.records);
    let mut removed = connection.execute(
        "DELETE FROM blocks WHERE state = 'lifted' AND (decided < ?1 OR id NOT IN
         (SELECT id FROM blocks WHERE state = 'lifted' ORDER BY id DESC LIMIT ?2))",
        params![records, limits.rows],
    )?;
    removed += connection.execute(
        "DELETE FROM grants WHERE until <= ?3 AND (until < ?1 OR id NOT IN
         (SELECT id FROM grants ORDER BY id DESC LIMIT ?2))",
        params![records, limits.rows, column(now)],
    )?;
    removed += connection.execute("DELETE FROM leases WHERE until <= ?1", [column(now)])?;
    removed += connection.execute("DELETE FROM modes WHERE until <= ?1", [column(now)])?;
    let audit = forget_audit(connection, before(limits.audit), limits.audit_rows, now)?;
    Ok(Removed {
        salts,
        incidents,
        records: removed,
        audit,
    })
}

/// The only way an entry leaves the audit log: it is too old or one too many,
/// and the log says so itself. The trigger is off inside this transaction
/// only.
fn forget_audit(connection: &Connection, before: i64, rows: u32, now: Timestamp) -> Result<usize> {
    let last: Option<i64> = connection.query_row(
        "SELECT max(id) FROM audit WHERE at < ?1 OR id <=
         (SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        params![before, rows],
        |row| row.get(0),
    )?;
    let Some(last) = last else { return Ok(0) };
    let trigger: String = connection.query_row(
        "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = 'audit_keeps_entries'",
        [],
        |row| row.get(0),
    )?;
    connection.execute_batch("DROP TRIGGER audit_keeps_entries")?;
    let removed = connection.execute("DELETE FROM audit WHERE id <= ?1", [last])?;
    connection.execute_batch(&trigger)?;
    let note = Change::new("audit.retention", format!("entries up to {last}"), ()).after(&removed);
    audit::append(connection, &Who::agent(), now, &note)?;
    Ok(removed)
}
