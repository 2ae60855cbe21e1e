//! Repeated tries by one device in one lesson (regulation 2.7). A single try
//! leaves nothing here.

use std::net::IpAddr;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Change, Device, Result, Salt, StoreError, Who, column, moment};
use crate::words::{Message, Said};

/// Host names kept with an incident.
pub const MAX_HOSTS: usize = 8;

/// Whether somebody has looked after an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Open,
    Closed,
}

/// Repeated tries by one device on denied categories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    pub id: i64,
    pub opened: Timestamp,
    pub last: Timestamp,
    pub room: String,
    /// The lesson as the timetable names it, with its day.
    pub lesson: String,
    pub class_teacher: Option<String>,
    pub category: String,
    /// Tries so far.
    pub tries: u32,
    /// Names that were tried, at most [`MAX_HOSTS`].
    pub hosts: Vec<String>,
    /// The device's name during this lesson.
    pub pseudonym: String,
    pub state: State,
    pub closed: Option<Timestamp>,
    pub closed_by: Option<String>,
    pub note: Option<String>,
}

/// What the watch over events saw of one device.
#[derive(Clone, Debug)]
pub struct Sighting<'a> {
    pub device: Device,
    pub room: &'a str,
    pub lesson: &'a str,
    pub class_teacher: Option<&'a str>,
    pub category: &'a str,
    pub tries: u32,
    pub hosts: &'a [String],
    pub last: Timestamp,
}

/// Which incidents are asked for; the newest first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub room: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Only those that nobody closed.
    pub open: bool,
}

/// Opens an incident, or adds to the one that this device has in this lesson.
/// The second part of the result tells whether it is new.
pub fn record(
    connection: &Connection,
    salt: &Salt,
    seen: &Sighting<'_>,
) -> Result<(Incident, bool)> {
    salt.keep(connection, seen.lesson, seen.last)?;
    // Another agent run may have kept a salt for this lesson before.
    let salt = Salt::of(connection, seen.lesson)?.unwrap_or_else(|| salt.clone());
    let pseudonym = salt.pseudonym(seen.device);
    let known = connection
        .prepare_cached(&format!(
            "{COLUMNS} WHERE pseudonym = ?1 AND category = ?2 AND lesson = ?3 AND room = ?4
             AND state = 'open'"
        ))?
        .query_row(
            params![pseudonym, seen.category, seen.lesson, seen.room],
            incident,
        )
        .optional()?;
    if let Some(mut known) = known {
        known.last = seen.last;
        known.tries = known.tries.saturating_add(seen.tries);
        for host in seen.hosts {
            if known.hosts.len() < MAX_HOSTS && !known.hosts.contains(host) {
                known.hosts.push(host.clone());
            }
        }
        connection
            .prepare_cached("UPDATE incidents SET last = ?2, tries = ?3, hosts = ?4 WHERE id = ?1")?
            .execute(params![
                known.id,
                column(known.last),
                known.tries,
                known.hosts.join("\n")
            ])?;
        return Ok((known, false));
    }
    let hosts: Vec<String> = seen.hosts.iter().take(MAX_HOSTS).cloned().collect();
    connection
        .prepare_cached(
            "INSERT INTO incidents (opened, last, room, lesson, class_teacher, category, tries,
                hosts, pseudonym, sealed, state)
             VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'open')",
        )?
        .execute(params![
            column(seen.last),
            seen.room,
            seen.lesson,
            seen.class_teacher,
            seen.category,
            seen.tries,
            hosts.join("\n"),
            pseudonym,
            salt.seal(seen.device, &pseudonym).as_slice(),
        ])?;
    let opened = Incident {
        id: connection.last_insert_rowid(),
        opened: seen.last,
        last: seen.last,
        room: seen.room.to_owned(),
        lesson: seen.lesson.to_owned(),
        class_teacher: seen.class_teacher.map(str::to_owned),
        category: seen.category.to_owned(),
        tries: seen.tries,
        hosts,
        pseudonym,
        state: State::Open,
        closed: None,
        closed_by: None,
        note: None,
    };
    Ok((opened, true))
}

/// Incidents that match, the newest first, at most 10,000.
pub fn list(connection: &Connection, filter: &Filter) -> Result<Vec<Incident>> {
    let mut ask = connection.prepare_cached(&format!(
        "{COLUMNS} WHERE (?1 IS NULL OR room = ?1) AND opened >= ?2 AND opened < ?3
         AND (?4 = 0 OR state = 'open') ORDER BY id DESC LIMIT 10000"
    ))?;
    let rows = ask.query_map(
        params![
            filter.room,
            filter.from.map_or(i64::MIN, column),
            filter.to.map_or(i64::MAX, column),
            filter.open,
        ],
        incident,
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// An incident by its number.
///
/// # Errors
/// Refused when there is none.
pub fn by_id(connection: &Connection, id: i64) -> Result<Incident> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?
        .query_row([id], incident)
        .optional()?
        .ok_or_else(|| StoreError::Refused(Said::new(Message::NoSuchIncident).with("id", id)))
}

/// Somebody looked after it.
///
/// # Errors
/// Refused when there is none, or it is closed already.
pub fn close(
    connection: &Connection,
    id: i64,
    who: &Who,
    note: Option<&str>,
    now: Timestamp,
) -> Result<Change<Incident>> {
    let before = by_id(connection, id)?;
    if before.state == State::Closed {
        return Err(StoreError::Refused(
            Said::new(Message::IncidentWasClosed)
                .with("id", id)
                .with("by", before.closed_by.as_deref().unwrap_or("?")),
        ));
    }
    connection
        .prepare_cached(
            "UPDATE incidents SET state = 'closed', closed = ?2, closed_by = ?3, note = ?4
             WHERE id = ?1",
        )?
        .execute(params![id, column(now), who.name, note])?;
    let after = by_id(connection, id)?;
    Ok(Change::new("incident.close", id.to_string(), after.clone())
        .why(note)
        .before(&before)
        .after(&after))
}

/// The address behind an incident's pseudonym. The reason goes into the audit
/// log, the address does not.
///
/// # Errors
/// Refused when there is no such incident, or its salt is destroyed.
pub fn identity(connection: &Connection, id: i64, reason: &str) -> Result<Change<IpAddr>> {
    let incident = by_id(connection, id)?;
    let sealed: Vec<u8> = connection
        .prepare_cached("SELECT sealed FROM incidents WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    let device = Salt::of(connection, &incident.lesson)?
        .zip(<[u8; 16]>::try_from(sealed).ok())
        .and_then(|(salt, sealed)| salt.open(sealed, &incident.pseudonym))
        .ok_or_else(|| StoreError::Refused(Said::new(Message::KeyDestroyed).with("id", id)))?;
    Ok(
        Change::new("incident.identity", id.to_string(), device.address())
            .why(Some(reason))
            .after(&incident.pseudonym),
    )
}

const COLUMNS: &str = "SELECT id, opened, last, room, lesson, class_teacher, category, tries,
    hosts, pseudonym, state, closed, closed_by, note FROM incidents";

fn incident(row: &Row<'_>) -> rusqlite::Result<Incident> {
    let hosts: String = row.get(8)?;
    let state: String = row.get(10)?;
    Ok(Incident {
        id: row.get(0)?,
        opened: moment(row.get(1)?),
        last: moment(row.get(2)?),
        room: row.get(3)?,
        lesson: row.get(4)?,
        class_teacher: row.get(5)?,
        category: row.get(6)?,
        tries: row.get(7)?,
        hosts: hosts.lines().map(str::to_owned).collect(),
        pseudonym: row.get(9)?,
        state: if state == "open" {
            State::Open
        } else {
            State::Closed
        },
        closed: row.get::<_, Option<i64>>(11)?.map(moment),
        closed_by: row.get(12)?,
        note: row.get(13)?,
    })
}
