//! Who changed what.

use jiff::Timestamp;

use super::Common;
use super::output::{Table, moment, or_dash, print, when};
use crate::control::Failure;
use crate::control::api::{Audit, AuditFilter};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only what this user did.
    #[arg(long, value_name = "LOGIN")]
    who: Option<String>,
    /// Only this action, such as `lease` or `lease.take`.
    #[arg(long, value_name = "WORD")]
    action: Option<String>,
    /// Only since this day or moment.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// At most so many entries.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

pub(super) fn run(args: Args, common: &Common) -> Result<(), Failure> {
    let audit = common.client()?.call(&AuditFilter {
        since: args.since,
        who: args.who,
        action: args.action,
        limit: Some(args.limit),
    })?;
    print(common.json, &audit, text)
}

fn text(audit: &Audit) -> String {
    let mut table = Table::new(["no.", "when", "who", "did", "to", "why"]);
    for entry in &audit.entries {
        table.row([
            entry.id.to_string(),
            when(entry.at),
            entry.who.clone(),
            entry.action.clone(),
            entry.target.clone(),
            or_dash(entry.why.as_deref()),
        ]);
    }
    let mut text = table.or("Nothing was changed.");
    if let Some(id) = audit.broken_at {
        text += &format!(
            "\n! Entry {id} does not fit the one before it: somebody changed the file itself."
        );
    }
    text
}
