//! Who changed what, when, why, from what to what. Append-only: triggers in
//! the file refuse changes, and every entry carries a hash over itself and
//! the entry before it, so that a change behind SQLite's back shows.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Result, column, moment};

/// Who changes something, by the peer credentials of the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Unix user number.
    pub uid: u32,
    /// Login name, or the number where it has none.
    pub name: String,
}

impl Who {
    /// The agent itself: retention, expiry, rescue of the store.
    pub fn agent() -> Self {
        Self {
            uid: 0,
            name: "filter-agent".to_owned(),
        }
    }
}

/// What one change did, for the log, and its result.
#[derive(Clone, Debug)]
pub struct Change<T> {
    action: &'static str,
    target: String,
    why: Option<String>,
    before: Option<Value>,
    after: Option<Value>,
    pub(super) value: T,
}

impl<T> Change<T> {
    /// `action` is a dotted word such as `lease.take`; `target` is what it
    /// was done to.
    pub fn new(action: &'static str, target: impl Into<String>, value: T) -> Self {
        Self {
            action,
            target: target.into(),
            why: None,
            before: None,
            after: None,
            value,
        }
    }

    /// The reason that the person gave.
    #[must_use]
    pub fn why(mut self, why: Option<&str>) -> Self {
        self.why = why.map(str::to_owned);
        self
    }

    /// What was so before.
    #[must_use]
    pub fn before(mut self, before: &impl Serialize) -> Self {
        self.before = serde_json::to_value(before).ok();
        self
    }

    /// What is so now.
    #[must_use]
    pub fn after(mut self, after: &impl Serialize) -> Self {
        self.after = serde_json::to_value(after).ok();
        self
    }
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub id: i64,
    pub at: Timestamp,
    pub uid: u32,
    pub who: String,
    pub action: String,
    pub target: String,
    pub why: Option<String>,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Which entries are asked for; newest first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub since: Option<Timestamp>,
    /// A login name.
    pub who: Option<String>,
    /// An action or the part before its dot.
    pub action: Option<String>,
    /// At most so many; 100 when it is not said, 10,000 at the most.
    pub limit: Option<u32>,
}

pub(super) fn append<T>(
    connection: &Connection,
    who: &Who,
    now: Timestamp,
    change: &Change<T>,
) -> Result<()> {
    let before = change.before.as_ref().map(Value::to_string);
    let after = change.after.as_ref().map(Value::to_string);
    let previous = last_link(connection)?;
    let link = link(
        &previous,
        &[
            &column(now).to_string(),
            &who.uid.to_string(),
            &who.name,
            change.action,
            &change.target,
            change.why.as_deref().unwrap_or_default(),
            before.as_deref().unwrap_or_default(),
            after.as_deref().unwrap_or_default(),
        ],
    );
    connection
        .prepare_cached(
            "INSERT INTO audit (at, uid, who, action, target, why, before, after, chain)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            column(now),
            who.uid,
            who.name,
            change.action,
            change.target,
            change.why,
            before,
            after,
            link.as_slice(),
        ])?;
    Ok(())
}

/// What the last change of each target left behind at a moment, as far as the
/// log goes back. `kind` is the part of the actions before their dot.
pub(super) fn left_at(connection: &Connection, kind: &str, at: Timestamp) -> Result<Vec<Value>> {
    let mut ask = connection.prepare_cached(
        "SELECT after FROM audit WHERE id IN
         (SELECT MAX(id) FROM audit WHERE action LIKE ?1 || '.%' AND at <= ?2 GROUP BY target)
         AND after IS NOT NULL ORDER BY target",
    )?;
    let rows = ask.query_map(params![kind, column(at)], |row| row.get::<_, String>(0))?;
    let texts = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let values = texts
        .iter()
        .filter_map(|text| serde_json::from_str(text).ok());
    Ok(values.collect())
}

/// Entries that match, the newest first.
pub fn list(connection: &Connection, filter: &Filter) -> Result<Vec<Entry>> {
    let mut ask = connection.prepare_cached(
        "SELECT id, at, uid, who, action, target, why, before, after FROM audit
         WHERE at >= ?1 AND (?2 IS NULL OR who = ?2)
           AND (?3 IS NULL OR action = ?3 OR action LIKE ?3 || '.%')
         ORDER BY id DESC LIMIT ?4",
    )?;
    let rows = ask.query_map(
        params![
            filter.since.map_or(i64::MIN, column),
            filter.who,
            filter.action,
            filter.limit.unwrap_or(100).min(10_000),
        ],
        entry,
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Number of the first entry whose hash does not fit what it says and what
/// comes before it; `None` when the log is whole. The first entry kept is
/// the anchor: retention removes what lies before it.
pub fn verify(connection: &Connection) -> Result<Option<i64>> {
    let mut ask = connection.prepare(
        "SELECT id, at, uid, who, action, target, why, before, after, chain
         FROM audit ORDER BY id",
    )?;
    let mut rows = ask.query([])?;
    let mut previous: Option<Vec<u8>> = None;
    while let Some(row) = rows.next()? {
        let text = |index| -> rusqlite::Result<String> {
            Ok(row.get::<_, Option<String>>(index)?.unwrap_or_default())
        };
        let stored: Vec<u8> = row.get(9)?;
        if let Some(previous) = &previous {
            let want = link(
                previous,
                &[
                    &row.get::<_, i64>(1)?.to_string(),
                    &row.get::<_, i64>(2)?.to_string(),
                    &text(3)?,
                    &text(4)?,
                    &text(5)?,
                    &text(6)?,
                    &text(7)?,
                    &text(8)?,
                ],
            );
            if want != stored.as_slice() {
                return Ok(Some(row.get(0)?));
            }
        }
        previous = Some(stored);
    }
    Ok(None)
}

fn last_link(connection: &Connection) -> Result<Vec<u8>> {
    let last = connection
        .prepare_cached("SELECT chain FROM audit ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| row.get(0));
    match last {
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(Vec::new()),
        other => Ok(other?),
    }
}

/// Every field with its length before it, so that no two entries read alike.
fn link(previous: &[u8], fields: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    for field in fields {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field.as_bytes());
    }
    hash.finalize().into()
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let json = |index| -> rusqlite::Result<Option<Value>> {
        let text: Option<String> = row.get(index)?;
        Ok(text.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text))))
    };
    Ok(Entry {
        id: row.get(0)?,
        at: moment(row.get(1)?),
        uid: row.get(2)?,
        who: row.get(3)?,
        action: row.get(4)?,
        target: row.get(5)?,
        why: row.get(6)?,
        before: json(7)?,
        after: json(8)?,
    })
}
