//! Repeated tries of one device (regulation 2.7).

use super::Common;
use super::output::{Screen, or_dash, print};
use crate::control::Failure;
use crate::control::api::{CloseIncident, IncidentQuery, IncidentsQuery, OpenIdentity};
use crate::store::incidents::{Incident, State};
use crate::words::{Message, Said, Word};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Incidents, the newest first.
    List {
        /// Closed ones too.
        #[arg(long)]
        all: bool,
        /// Only those of this room.
        #[arg(long, value_name = "NAME")]
        room: Option<String>,
    },
    /// One incident.
    Show {
        /// Number of the incident.
        id: i64,
    },
    /// Somebody has looked after it.
    Close {
        /// Number of the incident.
        id: i64,
        /// What was done about it.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Open the identity behind a pseudonym; it stands in the audit log.
    Identity {
        /// Number of the incident.
        id: i64,
        /// Why; it stands in the audit log.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

pub(super) fn run(command: Command, common: &Common) -> Result<(), Failure> {
    let client = common.client()?;
    match command {
        Command::List { all, room } => {
            let incidents = client.call(&IncidentsQuery {
                room,
                open: !all,
                ..IncidentsQuery::default()
            })?;
            print(common, &incidents, |screen, list| table(screen, list))
        }
        Command::Show { id } => {
            let incident = client.call(&IncidentQuery { id })?;
            print(common, &incident, one)
        }
        Command::Close { id, note } => {
            let incident = client.call(&CloseIncident { id, note })?;
            print(common, &incident, |screen, incident| {
                screen.say(&Said::new(Message::IncidentClosed).with("id", incident.id))
            })
        }
        Command::Identity { id, reason } => {
            let identity = client.call(&OpenIdentity { id, reason })?;
            print(common, &identity, |screen, identity| {
                let said = Said::new(Message::IdentityWas)
                    .with("pseudonym", &identity.pseudonym)
                    .with("address", identity.address);
                screen.say(&said)
            })
        }
    }
}

pub(super) fn table(screen: &Screen, incidents: &[Incident]) -> String {
    let mut table = screen.table([
        Word::Number,
        Word::When,
        Word::Room,
        Word::Lesson,
        Word::Device,
        Word::Category,
        Word::Tries,
        Word::ClassTeacher,
        Word::State,
    ]);
    for incident in incidents {
        table.row([
            incident.id.to_string(),
            screen.when(incident.opened),
            incident.room.clone(),
            incident.lesson.clone(),
            incident.pseudonym.clone(),
            incident.category.clone(),
            incident.tries.to_string(),
            or_dash(incident.class_teacher.as_deref()),
            screen.word(match incident.state {
                State::Open => Word::StateOpen,
                State::Closed => Word::StateClosed,
            }),
        ]);
    }
    table.or(&screen.word(Word::NoIncidents))
}

pub(super) fn one(screen: &Screen, incident: &Incident) -> String {
    let any = |text: &Option<String>| text.clone().unwrap_or_default();
    let closed = match &incident.closed_by {
        Some(by) => {
            let said = Said::new(Message::ClosedAtBy)
                .with("when", screen.when_any(incident.closed))
                .with("by", by);
            screen.say(&said)
        }
        None => screen.word(Word::NotYet),
    };
    screen.pairs(&[
        (Word::Incident, incident.id.to_string()),
        (Word::First, screen.when(incident.opened)),
        (Word::Last, screen.when(incident.last)),
        (Word::Room, incident.room.clone()),
        (Word::Lesson, incident.lesson.clone()),
        (Word::ClassTeacher, any(&incident.class_teacher)),
        (Word::Category, incident.category.clone()),
        (Word::Tries, incident.tries.to_string()),
        (Word::Names, incident.hosts.join(", ")),
        (Word::Device, incident.pseudonym.clone()),
        (Word::ClosedBy, closed),
        (Word::Note, any(&incident.note)),
    ])
}
