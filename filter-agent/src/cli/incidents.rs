//! Repeated tries of one device (regulation 2.7).

use super::Common;
use super::output::{Table, or_dash, pairs, print, when, when_any};
use crate::control::Failure;
use crate::control::api::{CloseIncident, IncidentFilter, IncidentQuery, OpenIdentity};
use crate::store::incidents::{Incident, State};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Incidents, the newest first.
    List {
        /// Closed ones too.
        #[arg(long)]
        all: bool,
        #[arg(long, value_name = "NAME")]
        room: Option<String>,
    },
    /// One incident.
    Show { id: i64 },
    /// Somebody has looked after it.
    Close {
        id: i64,
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Open the identity behind a pseudonym; it stands in the audit log.
    Identity {
        id: i64,
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

pub(super) fn run(command: Command, common: &Common) -> Result<(), Failure> {
    let client = common.client()?;
    match command {
        Command::List { all, room } => {
            let incidents = client.call(&IncidentFilter {
                room,
                open: !all,
                ..IncidentFilter::default()
            })?;
            print(common.json, &incidents, |list| table(list))
        }
        Command::Show { id } => {
            let incident = client.call(&IncidentQuery { id })?;
            print(common.json, &incident, one)
        }
        Command::Close { id, note } => {
            let incident = client.call(&CloseIncident { id, note })?;
            print(common.json, &incident, |incident| {
                format!("Incident {} is closed.", incident.id)
            })
        }
        Command::Identity { id, reason } => {
            let identity = client.call(&OpenIdentity { id, reason })?;
            print(common.json, &identity, |identity| {
                format!("{} was {}.", identity.pseudonym, identity.address)
            })
        }
    }
}

pub(super) fn table(incidents: &[Incident]) -> String {
    let mut table = Table::new([
        "no.", "when", "room", "lesson", "device", "category", "tries", "teacher", "state",
    ]);
    for incident in incidents {
        table.row([
            incident.id.to_string(),
            when(incident.opened),
            incident.room.clone(),
            incident.lesson.clone(),
            incident.pseudonym.clone(),
            incident.category.clone(),
            incident.tries.to_string(),
            or_dash(incident.class_teacher.as_deref()),
            match incident.state {
                State::Open => "open".to_owned(),
                State::Closed => "closed".to_owned(),
            },
        ]);
    }
    table.or("No incidents.")
}

fn one(incident: &Incident) -> String {
    pairs(&[
        ("incident", incident.id.to_string()),
        ("first", when(incident.opened)),
        ("last", when(incident.last)),
        ("room", incident.room.clone()),
        ("lesson", incident.lesson.clone()),
        (
            "class teacher",
            incident.class_teacher.clone().unwrap_or_default(),
        ),
        ("category", incident.category.clone()),
        ("tries", incident.tries.to_string()),
        ("names", incident.hosts.join(", ")),
        ("device", incident.pseudonym.clone()),
        (
            "closed",
            match &incident.closed_by {
                Some(by) => format!("{} by {by}", when_any(incident.closed)),
                None => "not yet".to_owned(),
            },
        ),
        ("note", incident.note.clone().unwrap_or_default()),
    ])
}
