//! What the filter decides, as it happens.

use super::Common;
use super::output::{Screen, line};
use crate::control::Failure;
use crate::control::api::EventLine;
use crate::words::{Message, Said, Word};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Go on until Ctrl-C; there is nothing to show otherwise, since single
    /// events are not kept.
    #[arg(long, required = true)]
    follow: bool,
}

pub(super) fn run(_: Args, common: &Common) -> Result<(), Failure> {
    common.client()?.follow(|text| {
        if common.json {
            return line(text).is_ok();
        }
        let Ok(event) = serde_json::from_str::<EventLine>(text) else {
            return line(text).is_ok();
        };
        line(&one(&common.screen(), &event)).is_ok()
    })
}

fn one(screen: &Screen, event: &EventLine) -> String {
    let room = screen.say(&Said::new(Message::RoomNamed).with("name", &event.room));
    let category = event.category.as_ref().map(|name| format!(" ({name})"));
    format!(
        "{}  {:<8}  {room}  {}  {}  {}{}",
        screen.zone.to_datetime(event.time).strftime("%H:%M:%S"),
        screen.verdict(&event.verdict),
        event.device,
        event
            .host
            .as_deref()
            .unwrap_or(Word::NoName.text(screen.language)),
        event.reason,
        category.unwrap_or_default(),
    )
}
