//! Permits for a category or host, for a room or group, until a time
//! (regulation 3.2).

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Change, Result, StoreError, Who, column, moment};
use crate::words::{Message, Said};

/// Grants in force at once; the kernel's tables and a person's overview end
/// long before more.
pub const MAX_IN_FORCE: usize = 1024;

/// What a grant opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Category(String),
    /// A host and everything below it.
    Host(String),
}

/// For whom a grant holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Room(String),
    Group(String),
}

/// A permit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub id: i64,
    pub what: Subject,
    pub scope: Scope,
    /// Login name of who gave it.
    pub by: String,
    pub reason: String,
    pub since: Timestamp,
    pub until: Timestamp,
    pub revoked: Option<Timestamp>,
    pub revoked_by: Option<String>,
}

/// Gives a grant.
///
/// # Errors
/// Refused when too many are in force.
pub fn add(
    connection: &Connection,
    what: &Subject,
    scope: &Scope,
    who: &Who,
    reason: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<Change<Grant>> {
    if in_force(connection, now)?.len() >= MAX_IN_FORCE {
        return Err(StoreError::Refused(
            Said::new(Message::TooManyGrants).with("count", MAX_IN_FORCE),
        ));
    }
    let (kind, thing) = subject_columns(what);
    let (scope_kind, scope_name) = match scope {
        Scope::Room(room) => ("room", room),
        Scope::Group(group) => ("group", group),
    };
    connection
        .prepare_cached(
            "INSERT INTO grants (kind, what, scope_kind, scope, by_whom, reason, since, until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            kind,
            thing,
            scope_kind,
            scope_name,
            who.name,
            reason,
            column(now),
            column(until)
        ])?;
    let grant = Grant {
        id: connection.last_insert_rowid(),
        what: what.clone(),
        scope: scope.clone(),
        by: who.name.clone(),
        reason: reason.to_owned(),
        since: now,
        until,
        revoked: None,
        revoked_by: None,
    };
    Ok(Change::new("grant.add", thing.as_str(), grant.clone())
        .why(Some(reason))
        .after(&grant))
}

/// Ends a grant before its time.
///
/// # Errors
/// Refused when no grant in force has this number.
pub fn revoke(
    connection: &Connection,
    id: i64,
    who: &Who,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Change<Grant>> {
    let Some(before) = in_force(connection, now)?
        .into_iter()
        .find(|grant| grant.id == id)
    else {
        return Err(StoreError::Refused(
            Said::new(Message::NoSuchGrant).with("id", id),
        ));
    };
    connection
        .prepare_cached("UPDATE grants SET revoked = ?2, revoked_by = ?3 WHERE id = ?1")?
        .execute(params![id, column(now), who.name])?;
    let after = Grant {
        revoked: Some(now),
        revoked_by: Some(who.name.clone()),
        ..before.clone()
    };
    let (_, thing) = subject_columns(&before.what);
    Ok(Change::new("grant.revoke", thing.as_str(), after.clone())
        .why(reason)
        .before(&before)
        .after(&after))
}

/// Grants that hold at a moment, the first to end first.
pub fn in_force(connection: &Connection, at: Timestamp) -> Result<Vec<Grant>> {
    select(
        connection,
        "WHERE since <= ?1 AND until > ?1 AND (revoked IS NULL OR revoked > ?1)
         ORDER BY until, id",
        at,
    )
}

/// Grants in force and those that ended after a moment, the newest first.
pub fn since(connection: &Connection, from: Timestamp) -> Result<Vec<Grant>> {
    select(
        connection,
        "WHERE until > ?1 ORDER BY id DESC LIMIT 10000",
        from,
    )
}

/// A grant by its number.
pub fn by_id(connection: &Connection, id: i64) -> Result<Option<Grant>> {
    Ok(connection
        .prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?
        .query_row([id], grant)
        .optional()?)
}

const COLUMNS: &str = "SELECT id, kind, what, scope_kind, scope, by_whom, reason, since, until,
    revoked, revoked_by FROM grants";

fn select(connection: &Connection, condition: &str, at: Timestamp) -> Result<Vec<Grant>> {
    let mut ask = connection.prepare_cached(&format!("{COLUMNS} {condition}"))?;
    let rows = ask.query_map([column(at)], grant)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn subject_columns(what: &Subject) -> (&'static str, &String) {
    match what {
        Subject::Category(category) => ("category", category),
        Subject::Host(host) => ("host", host),
    }
}

fn grant(row: &Row<'_>) -> rusqlite::Result<Grant> {
    let kind: String = row.get(1)?;
    let scope: String = row.get(3)?;
    Ok(Grant {
        id: row.get(0)?,
        what: if kind == "category" {
            Subject::Category(row.get(2)?)
        } else {
            Subject::Host(row.get(2)?)
        },
        scope: if scope == "room" {
            Scope::Room(row.get(4)?)
        } else {
            Scope::Group(row.get(4)?)
        },
        by: row.get(5)?,
        reason: row.get(6)?,
        since: moment(row.get(7)?),
        until: moment(row.get(8)?),
        revoked: row.get::<_, Option<i64>>(9)?.map(moment),
        revoked_by: row.get(10)?,
    })
}
