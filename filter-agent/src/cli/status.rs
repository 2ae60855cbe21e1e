//! How the filter is.

use super::Common;
use super::output::{count, pairs, print, when};
use crate::control::Failure;
use crate::control::api::{Status, StatusQuery};

pub(super) fn run(common: &Common) -> Result<(), Failure> {
    let status = common.client()?.call(&StatusQuery {})?;
    print(common.json, &status, text)
}

fn text(status: &Status) -> String {
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
    let mut text = pairs(&[
        ("school", status.school.clone().unwrap_or_default()),
        (
            "policy",
            format!(
                "{} (generation {}, by {}, {}, took {} ms)",
                status.policy,
                status.generation,
                status.applied_by,
                when(status.applied),
                status.load_ms
            ),
        ),
        ("interfaces", interfaces.join(", ")),
        (
            "rooms",
            format!("{} of {} open", status.rooms_open, status.rooms),
        ),
        (
            "timetable",
            match status.known_until {
                Some(until) => format!("known to the kernel until {}", when(until)),
                None => "no room has one".to_owned(),
            },
        ),
        (
            "in force",
            format!(
                "{} leases, {} grants, {} blocks",
                status.leases, status.grants, status.blocks
            ),
        ),
        (
            "to look after",
            format!(
                "{} incidents, {} reports for the council",
                status.incidents_open, status.reports
            ),
        ),
        (
            "packets",
            format!(
                "{} passed, {} refused",
                count(status.passed),
                count(status.refused)
            ),
        ),
        (
            "agent",
            format!("{}, since {}", status.version, when(status.started)),
        ),
    ]);
    if let Some(shadow) = &status.shadow {
        text += &format!(
            "\nshadow of {} until {}: {} of {} connections would be judged otherwise\n",
            shadow.policy,
            when(shadow.until),
            count(shadow.different),
            count(shadow.compared)
        );
        for example in &shadow.examples {
            text += &format!(
                "  {}: {} is {}, would be {} ({} times)\n",
                example.room, example.host, example.now, example.then, example.flows
            );
        }
    }
    for warning in &status.warnings {
        text += &format!("\n! {warning}");
    }
    text
}
