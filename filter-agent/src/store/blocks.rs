//! Hosts and ranges blocked just now, and reports that wait for the council
//! (regulation 3.4).

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Change, Result, StoreError, Who, column, moment};
use crate::words::{Message, Said};

/// Blocks in force at once: what the kernel's override tables hold.
pub const MAX_IN_FORCE: u32 = 4096;

/// What made a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A responsible person blocked it.
    Block,
    /// Somebody came upon it by accident and reported it.
    Report,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Report => "report",
        }
    }
}

/// How far a block is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Blocked by hand, until it is lifted.
    Active,
    /// Reported and blocked; the council has not decided.
    Queued,
    /// The council keeps the block.
    Confirmed,
    /// No longer blocked.
    Lifted,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Queued => "queued",
            Self::Confirmed => "confirmed",
            Self::Lifted => "lifted",
        }
    }

    fn from_name(name: &str) -> Self {
        match name {
            "queued" => Self::Queued,
            "confirmed" => Self::Confirmed,
            "lifted" => Self::Lifted,
            // The table admits only these words.
            _ => Self::Active,
        }
    }
}

/// A blocked host or range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    pub id: i64,
    /// A host name (with everything below it), or a range in CIDR notation.
    pub target: String,
    pub kind: Kind,
    pub state: State,
    /// Login name of who blocked or reported it.
    pub by: String,
    pub reason: Option<String>,
    pub since: Timestamp,
    pub decided: Option<Timestamp>,
    pub decided_by: Option<String>,
    /// Number and body of the decision.
    pub decision: Option<String>,
}

/// Blocks a target, by hand or by a report. A target that is blocked already
/// stays as it is and is returned.
///
/// # Errors
/// Refused when too many are in force.
pub fn add(
    connection: &Connection,
    target: &str,
    kind: Kind,
    who: &Who,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Change<Block>> {
    let action = match kind {
        Kind::Block => "block.add",
        Kind::Report => "report.add",
    };
    if let Some(block) = of(connection, target)? {
        return Ok(Change::new(action, target, block.clone())
            .why(reason)
            .before(&block)
            .after(&block));
    }
    let count: u32 = connection
        .prepare_cached("SELECT count(*) FROM blocks WHERE state <> 'lifted'")?
        .query_row([], |row| row.get(0))?;
    if count >= MAX_IN_FORCE {
        return Err(StoreError::Refused(
            Said::new(Message::TooManyBlocks).with("count", MAX_IN_FORCE),
        ));
    }
    let state = match kind {
        Kind::Block => State::Active,
        Kind::Report => State::Queued,
    };
    connection
        .prepare_cached(
            "INSERT INTO blocks (target, kind, state, by_whom, reason, since)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            target,
            kind.name(),
            state.name(),
            who.name,
            reason,
            column(now)
        ])?;
    let block = Block {
        id: connection.last_insert_rowid(),
        target: target.to_owned(),
        kind,
        state,
        by: who.name.clone(),
        reason: reason.map(str::to_owned),
        since: now,
        decided: None,
        decided_by: None,
        decision: None,
    };
    Ok(Change::new(action, target, block.clone())
        .why(reason)
        .after(&block))
}

/// Lifts a block by its target.
///
/// # Errors
/// Refused when the target is not blocked.
pub fn lift(
    connection: &Connection,
    target: &str,
    who: &Who,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Change<Block>> {
    let Some(before) = of(connection, target)? else {
        return Err(StoreError::Refused(
            Said::new(Message::NotBlockedByHand).with("target", target),
        ));
    };
    decide(
        connection,
        before,
        "block.lift",
        State::Lifted,
        who,
        reason,
        now,
    )
}

/// The council's decision about a report.
///
/// # Errors
/// Refused when no report in the queue has this number.
pub fn council(
    connection: &Connection,
    id: i64,
    keep: bool,
    who: &Who,
    decision: Option<&str>,
    now: Timestamp,
) -> Result<Change<Block>> {
    let Some(before) = queue(connection)?.into_iter().find(|block| block.id == id) else {
        return Err(StoreError::Refused(
            Said::new(Message::NoSuchReport).with("id", id),
        ));
    };
    let (action, state) = if keep {
        ("council.confirm", State::Confirmed)
    } else {
        ("council.lift", State::Lifted)
    };
    decide(connection, before, action, state, who, decision, now)
}

/// All blocks that are in force.
pub fn in_force(connection: &Connection) -> Result<Vec<Block>> {
    select(connection, "WHERE state <> 'lifted' ORDER BY id")
}

/// Blocks that were in force at a moment that is over.
pub fn past(connection: &Connection, at: Timestamp) -> Result<Vec<Block>> {
    let all = select(connection, "ORDER BY id")?;
    let was = |block: &Block| {
        let lifted = block.state == State::Lifted;
        block.since <= at && (!lifted || block.decided.is_none_or(|decided| at < decided))
    };
    Ok(all.into_iter().filter(was).collect())
}

/// Reports without a decision, the oldest first.
pub fn queue(connection: &Connection) -> Result<Vec<Block>> {
    select(connection, "WHERE state = 'queued' ORDER BY id")
}

/// The block of a target, if it is blocked.
pub fn of(connection: &Connection, target: &str) -> Result<Option<Block>> {
    Ok(connection
        .prepare_cached(&format!(
            "{COLUMNS} WHERE target = ?1 AND state <> 'lifted'"
        ))?
        .query_row([target], block)
        .optional()?)
}

fn decide(
    connection: &Connection,
    before: Block,
    action: &'static str,
    state: State,
    who: &Who,
    decision: Option<&str>,
    now: Timestamp,
) -> Result<Change<Block>> {
    connection
        .prepare_cached(
            "UPDATE blocks SET state = ?2, decided = ?3, decided_by = ?4, decision = ?5
             WHERE id = ?1",
        )?
        .execute(params![
            before.id,
            state.name(),
            column(now),
            who.name,
            decision
        ])?;
    let after = Block {
        state,
        decided: Some(now),
        decided_by: Some(who.name.clone()),
        decision: decision.map(str::to_owned),
        ..before.clone()
    };
    Ok(Change::new(action, before.target.clone(), after.clone())
        .why(decision)
        .before(&before)
        .after(&after))
}

const COLUMNS: &str = "SELECT id, target, kind, state, by_whom, reason, since, decided,
    decided_by, decision FROM blocks";

fn select(connection: &Connection, condition: &str) -> Result<Vec<Block>> {
    let mut ask = connection.prepare_cached(&format!("{COLUMNS} {condition}"))?;
    let rows = ask.query_map([], block)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn block(row: &Row<'_>) -> rusqlite::Result<Block> {
    let kind: String = row.get(2)?;
    let state: String = row.get(3)?;
    Ok(Block {
        id: row.get(0)?,
        target: row.get(1)?,
        kind: if kind == "report" {
            Kind::Report
        } else {
            Kind::Block
        },
        state: State::from_name(&state),
        by: row.get(4)?,
        reason: row.get(5)?,
        since: moment(row.get(6)?),
        decided: row.get::<_, Option<i64>>(7)?.map(moment),
        decided_by: row.get(8)?,
        decision: row.get(9)?,
    })
}
