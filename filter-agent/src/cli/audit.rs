//! Who changed what.

use super::Common;
use super::output::{Screen, or_dash, print};
use crate::control::Failure;
use crate::control::api::{Audit, AuditQuery};
use crate::words::{Message, Said, Word};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only what this user did.
    #[arg(long, value_name = "LOGIN")]
    who: Option<String>,
    /// Only this action, such as `lease` or `lease.take`.
    #[arg(long, value_name = "WORD")]
    action: Option<String>,
    /// Only since this day or moment.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// At most so many entries.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

pub(super) fn run(args: Args, common: &Common) -> Result<(), Failure> {
    let audit = common.client()?.call(&AuditQuery {
        since: args.since,
        who: args.who,
        action: args.action,
        limit: Some(args.limit),
    })?;
    print(common, &audit, text)
}

pub(super) fn text(screen: &Screen, audit: &Audit) -> String {
    let mut table = screen.table([
        Word::Number,
        Word::When,
        Word::Who,
        Word::Did,
        Word::To,
        Word::Why,
    ]);
    for entry in &audit.entries {
        table.row([
            entry.id.to_string(),
            screen.when(entry.at),
            entry.who.clone(),
            entry.action.clone(),
            entry.target.clone(),
            or_dash(entry.why.as_deref()),
        ]);
    }
    let mut text = table.or(&screen.word(Word::NothingWasChanged));
    if let Some(id) = audit.broken_at {
        let said = Said::new(Message::AuditBroken).with("id", id);
        text += &format!("\n! {}", screen.say(&said));
    }
    text
}
