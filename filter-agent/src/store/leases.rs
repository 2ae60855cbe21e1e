//! A teacher holds a supervised room until the bell (regulation 2.8, 2.9).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Change, Result, StoreError, Who, audit, column, moment};
use crate::words::{Message, Said};

/// Who holds a room, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub room: String,
    /// Login name of the teacher.
    pub holder: String,
    pub uid: u32,
    pub since: Timestamp,
    pub until: Timestamp,
}

/// Takes a room until `until`. Taking one's own room again extends it.
///
/// # Errors
/// Refused while another teacher holds it.
pub fn take(
    connection: &Connection,
    room: &str,
    who: &Who,
    now: Timestamp,
    until: Timestamp,
) -> Result<Change<Lease>> {
    let before = of(connection, room, now)?;
    if let Some(held) = &before
        && held.uid != who.uid
    {
        return Err(StoreError::Refused(
            Said::new(Message::HeldByOther)
                .with("holder", &held.holder)
                .with("room", room)
                .with("until", clock(held.until)),
        ));
    }
    let lease = Lease {
        room: room.to_owned(),
        holder: who.name.clone(),
        uid: who.uid,
        since: before.as_ref().map_or(now, |held| held.since),
        until,
    };
    connection
        .prepare_cached(
            "INSERT INTO leases (room, holder, uid, since, until) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (room) DO UPDATE SET holder = ?2, uid = ?3, since = ?4, until = ?5",
        )?
        .execute(params![
            lease.room,
            lease.holder,
            lease.uid,
            column(lease.since),
            column(lease.until)
        ])?;
    let change = Change::new("lease.take", room, lease.clone()).after(&lease);
    Ok(match before {
        Some(before) => change.before(&before),
        None => change,
    })
}

/// A time by the clock on the box's wall.
fn clock(at: Timestamp) -> String {
    let local = TimeZone::system().to_datetime(at);
    local.strftime("%H:%M").to_string()
}

/// Gives a room back. `any` lets a responsible person end another's lease.
///
/// # Errors
/// Refused when nobody holds it, or another does and `any` is false.
pub fn release(
    connection: &Connection,
    room: &str,
    who: &Who,
    any: bool,
    now: Timestamp,
) -> Result<Change<Lease>> {
    let Some(held) = of(connection, room, now)? else {
        return Err(StoreError::Refused(
            Said::new(Message::NobodyHolds).with("room", room),
        ));
    };
    if held.uid != who.uid && !any {
        return Err(StoreError::Refused(
            Said::new(Message::NotYourLease)
                .with("holder", &held.holder)
                .with("room", room),
        ));
    }
    connection
        .prepare_cached("DELETE FROM leases WHERE room = ?1")?
        .execute([room])?;
    Ok(Change::new("lease.release", room, held.clone()).before(&held))
}

/// The lease of a room at a moment.
pub fn of(connection: &Connection, room: &str, at: Timestamp) -> Result<Option<Lease>> {
    Ok(connection
        .prepare_cached(
            "SELECT room, holder, uid, since, until FROM leases WHERE room = ?1 AND until > ?2",
        )?
        .query_row(params![room, column(at)], lease)
        .optional()?)
}

/// All leases that hold at a moment, by room.
pub fn list(connection: &Connection, at: Timestamp) -> Result<Vec<Lease>> {
    let mut ask = connection.prepare_cached(
        "SELECT room, holder, uid, since, until FROM leases WHERE until > ?1 ORDER BY room",
    )?;
    let rows = ask.query_map([column(at)], lease)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All leases that held at a moment that is over, by room: from the audit
/// log, as far as it goes back.
pub fn past(connection: &Connection, at: Timestamp) -> Result<Vec<Lease>> {
    let left = audit::left_at(connection, "lease", at)?;
    let leases = left
        .into_iter()
        .filter_map(|after| serde_json::from_value::<Lease>(after).ok());
    Ok(leases.filter(|lease| at < lease.until).collect())
}

fn lease(row: &Row<'_>) -> rusqlite::Result<Lease> {
    Ok(Lease {
        room: row.get(0)?,
        holder: row.get(1)?,
        uid: row.get(2)?,
        since: moment(row.get(3)?),
        until: moment(row.get(4)?),
    })
}
