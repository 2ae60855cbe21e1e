//! What the filter decides, as it happens.

use super::Common;
use super::output::{line, when};
use crate::control::Failure;
use crate::control::api::EventLine;

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
        line(&format!(
            "{}  {:<6}  room {}  {}  {}  {}{}",
            when(event.time),
            event.verdict,
            event.room,
            event.device,
            event.host.as_deref().unwrap_or("(no name)"),
            event.reason,
            event
                .category
                .map(|category| format!(" ({category})"))
                .unwrap_or_default(),
        ))
        .is_ok()
    })
}
