//! Rooms opened or closed by hand.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Change, Result, Who, audit, column, moment};

/// How a room's door is held by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    Open,
    Closed,
}

impl Hold {
    /// The word in the file, in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// A room held open or closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub room: String,
    pub mode: Hold,
    /// Login name of who did it.
    pub by: String,
    pub reason: Option<String>,
    pub since: Timestamp,
    /// Until when; for good when it is not said.
    pub until: Option<Timestamp>,
}

/// Holds a room open or closed; `hold` without a value gives it back to its
/// timetable.
pub fn set(
    connection: &Connection,
    room: &str,
    hold: Option<(Hold, Option<Timestamp>)>,
    who: &Who,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Change<Option<Held>>> {
    let before = of(connection, room, now)?;
    let held = hold.map(|(mode, until)| Held {
        room: room.to_owned(),
        mode,
        by: who.name.clone(),
        reason: reason.map(str::to_owned),
        since: now,
        until,
    });
    let action = match &held {
        Some(held) => {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO modes (room, mode, by_whom, reason, since, until)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    held.room,
                    held.mode.name(),
                    held.by,
                    held.reason,
                    column(held.since),
                    held.until.map(column)
                ])?;
            match held.mode {
                Hold::Open => "room.open",
                Hold::Closed => "room.close",
            }
        }
        None => {
            connection
                .prepare_cached("DELETE FROM modes WHERE room = ?1")?
                .execute([room])?;
            "room.auto"
        }
    };
    Ok(Change::new(action, room, held.clone())
        .why(reason)
        .before(&before)
        .after(&held))
}

/// How rooms were held at a moment that is over: from the audit log, as far
/// as it goes back.
pub fn past(connection: &Connection, at: Timestamp) -> Result<Vec<Held>> {
    let left = audit::left_at(connection, "room", at)?;
    let held = left
        .into_iter()
        .filter_map(|after| serde_json::from_value::<Held>(after).ok());
    Ok(held
        .filter(|held| held.until.is_none_or(|until| at < until))
        .collect())
}

/// How a room is held at a moment.
pub fn of(connection: &Connection, room: &str, at: Timestamp) -> Result<Option<Held>> {
    Ok(connection
        .prepare_cached(
            "SELECT room, mode, by_whom, reason, since, until FROM modes
             WHERE room = ?1 AND (until IS NULL OR until > ?2)",
        )?
        .query_row(params![room, column(at)], held)
        .optional()?)
}

/// All rooms held at a moment.
pub fn list(connection: &Connection, at: Timestamp) -> Result<Vec<Held>> {
    let mut ask = connection.prepare_cached(
        "SELECT room, mode, by_whom, reason, since, until FROM modes
         WHERE until IS NULL OR until > ?1 ORDER BY room",
    )?;
    let rows = ask.query_map([column(at)], held)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn held(row: &Row<'_>) -> rusqlite::Result<Held> {
    let mode: String = row.get(1)?;
    Ok(Held {
        room: row.get(0)?,
        // The table admits only these two words.
        mode: if mode == "open" {
            Hold::Open
        } else {
            Hold::Closed
        },
        by: row.get(2)?,
        reason: row.get(3)?,
        since: moment(row.get(4)?),
        until: row.get::<_, Option<i64>>(5)?.map(moment),
    })
}
