//! How the filter is.

use super::Common;
use super::output::{Screen, count, print};
use crate::control::Failure;
use crate::control::api::{Status, StatusQuery};
use crate::words::{Message, Said, Word};

pub(super) fn run(common: &Common) -> Result<(), Failure> {
    let status = common.client()?.call(&StatusQuery {})?;
    print(common, &status, text)
}

pub(super) fn text(screen: &Screen, status: &Status) -> String {
    let say = |said: Said| screen.say(&said);
    let interfaces: Vec<String> = status
        .interfaces
        .iter()
        .map(|interface| {
            format!(
                "{} ({}, {})",
                interface.name, interface.side, interface.mode
            )
        })
        .collect();
    let policy = Said::new(Message::StatusPolicy)
        .with("file", &status.policy)
        .with("generation", status.generation)
        .with("by", &status.applied_by)
        .with("when", screen.when(status.applied))
        .with("ms", status.load_ms);
    let rooms = Said::new(Message::StatusRooms)
        .with("open", status.rooms_open)
        .with("all", status.rooms);
    let timetable = match status.known_until {
        Some(until) => Said::new(Message::StatusKnown).with("when", screen.when(until)),
        None => Said::new(Message::StatusNoTimetable),
    };
    let in_force = Said::new(Message::StatusInForce)
        .with("leases", status.leases)
        .with("grants", status.grants)
        .with("blocks", status.blocks);
    let to_do = Said::new(Message::StatusToDo)
        .with("incidents", status.incidents_open)
        .with("reports", status.reports);
    let packets = Said::new(Message::StatusPackets)
        .with("passed", count(status.passed))
        .with("refused", count(status.refused));
    let agent = Said::new(Message::StatusAgent)
        .with("version", &status.version)
        .with("when", screen.when(status.started));
    let mut text = screen.pairs(&[
        (Word::School, status.school.clone().unwrap_or_default()),
        (Word::Policy, say(policy)),
        (Word::Interfaces, interfaces.join(", ")),
        (Word::Rooms, say(rooms)),
        (Word::Timetable, say(timetable)),
        (Word::InForce, say(in_force)),
        (Word::ToLookAfter, say(to_do)),
        (Word::Packets, say(packets)),
        (Word::Agent, say(agent)),
    ]);
    if let Some(shadow) = &status.shadow {
        let said = Said::new(Message::StatusShadow)
            .with("policy", &shadow.policy)
            .with("until", screen.when(shadow.until))
            .with("different", count(shadow.different))
            .with("compared", count(shadow.compared));
        text += &format!("\n{}\n", say(said));
        for room in &shadow.rooms {
            let reason = screen.reason(&room.reason);
            let cause = match &room.category {
                Some(category) => format!("{category}. {reason}"),
                None => reason,
            };
            let said = Said::new(Message::StatusShadowRoom)
                .with("room", &room.room)
                .with("refuse", count(room.would_refuse))
                .with("pass", count(room.would_pass))
                .with("cause", cause);
            text += &format!("  {}\n", say(said));
        }
        for example in &shadow.examples {
            let said = Said::new(Message::StatusShadowExample)
                .with("room", &example.room)
                .with("host", &example.host)
                .with("now", screen.verdict(&example.now))
                .with("then", screen.verdict(&example.then))
                .with("flows", example.flows);
            text += &format!("  {}\n", say(said));
        }
    }
    for warning in &status.warnings {
        text += &format!("\n! {}", screen.say(warning));
    }
    text
}
