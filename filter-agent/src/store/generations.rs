//! Which policies ran. The last one that worked is what a start falls back to
//! when the file on disk has an error.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Change, Result, Who, column, moment};

/// Policies whose text is kept.
pub const KEPT: u32 = 50;

/// A policy that was put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Number of the image.
    pub generation: u32,
    pub applied: Timestamp,
    /// Login name of who applied it.
    pub by: String,
    /// SHA-256 of the text, in hexadecimal.
    pub digest: String,
    /// Path of the file it came from.
    pub file: String,
}

/// Notes that a policy is in force now.
pub fn applied(
    connection: &Connection,
    generation: u32,
    file: &str,
    policy: &str,
    who: &Who,
    now: Timestamp,
) -> Result<Change<Generation>> {
    let before = latest(connection)?.map(|(generation, _)| generation);
    let digest = Sha256::digest(policy.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO generations (generation, applied, by_whom, digest, file, policy)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            generation,
            column(now),
            who.name,
            digest,
            file,
            policy
        ])?;
    connection
        .prepare_cached(
            "DELETE FROM generations WHERE generation NOT IN
             (SELECT generation FROM generations ORDER BY applied DESC, generation DESC LIMIT ?1)",
        )?
        .execute([KEPT])?;
    let after = Generation {
        generation,
        applied: now,
        by: who.name.clone(),
        digest,
        file: file.to_owned(),
    };
    Ok(Change::new("policy.apply", file, after.clone())
        .before(&before)
        .after(&after))
}

/// The last policy that was in force, with its text.
pub fn latest(connection: &Connection) -> Result<Option<(Generation, String)>> {
    Ok(connection
        .prepare_cached(
            "SELECT generation, applied, by_whom, digest, file, policy FROM generations
             ORDER BY applied DESC, generation DESC LIMIT 1",
        )?
        .query_row([], |row| Ok((generation(row)?, row.get(5)?)))
        .optional()?)
}

/// What was in force, the newest first.
pub fn list(connection: &Connection) -> Result<Vec<Generation>> {
    let mut ask = connection.prepare_cached(
        "SELECT generation, applied, by_whom, digest, file FROM generations
         ORDER BY applied DESC, generation DESC",
    )?;
    let rows = ask.query_map([], generation)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn generation(row: &Row<'_>) -> rusqlite::Result<Generation> {
    Ok(Generation {
        generation: row.get(0)?,
        applied: moment(row.get(1)?),
        by: row.get(2)?,
        digest: row.get(3)?,
        file: row.get(4)?,
    })
}
