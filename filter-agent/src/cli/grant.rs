//! Permits for a category or a host.

use jiff::SignedDuration;

use super::Common;
use super::output::{Screen, print, span};
use crate::control::Failure;
use crate::control::api::{AddGrant, GrantsQuery, RevokeGrant};
use crate::store::grants::{Grant, Scope, Subject};
use crate::words::{Message, Said, Word};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Permit a category or a host, for a room or a group, for a time.
    Add(Args),
    /// Grants in force.
    List {
        /// Those that ended within the last 30 days too.
        #[arg(long)]
        all: bool,
    },
    /// End a grant before its time.
    Revoke {
        /// Number of the grant.
        id: i64,
        /// Why; it stands in the audit log.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["category", "host"]))]
#[command(group = clap::ArgGroup::new("whom").required(true).args(["room", "group"]))]
pub(super) struct Args {
    /// What the policy calls a category.
    #[arg(long, value_name = "NAME")]
    category: Option<String>,
    /// The host and everything below it.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// For this room only.
    #[arg(long, value_name = "NAME")]
    room: Option<String>,
    /// For every room of this group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// For how long, such as 45m.
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    span: SignedDuration,
    /// Why; it stands in the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) fn run(command: Command, common: &Common) -> Result<(), Failure> {
    let client = common.client()?;
    match command {
        Command::Add(args) => {
            // clap lets exactly one of each pair through.
            let what = match (args.category, args.host) {
                (Some(category), _) => Subject::Category(category),
                (None, host) => Subject::Host(host.unwrap_or_default()),
            };
            let scope = match (args.room, args.group) {
                (Some(room), _) => Scope::Room(room),
                (None, group) => Scope::Group(group.unwrap_or_default()),
            };
            let grant = client.call(&AddGrant {
                what,
                scope,
                reason: args.reason,
                span: args.span,
            })?;
            print(common, &grant, |screen, grant| {
                table(screen, std::slice::from_ref(grant))
            })
        }
        Command::List { all } => {
            let grants = client.call(&GrantsQuery { all })?;
            print(common, &grants, |screen, grants| table(screen, grants))
        }
        Command::Revoke { id, reason } => {
            let grant = client.call(&RevokeGrant { id, reason })?;
            print(common, &grant, |screen, grant| {
                screen.say(&Said::new(Message::GrantEnded).with("id", grant.id))
            })
        }
    }
}

pub(super) fn table(screen: &Screen, grants: &[Grant]) -> String {
    let named = |message: Message, name: &str| screen.say(&Said::new(message).with("name", name));
    let mut table = screen.table([
        Word::Number,
        Word::What,
        Word::ForWhom,
        Word::Until,
        Word::By,
        Word::Reason,
    ]);
    for grant in grants {
        table.row([
            grant.id.to_string(),
            match &grant.what {
                Subject::Category(category) => named(Message::CategoryNamed, category),
                Subject::Host(host) => host.clone(),
            },
            match &grant.scope {
                Scope::Room(room) => named(Message::RoomNamed, room),
                Scope::Group(group) => named(Message::GroupNamed, group),
            },
            match grant.revoked {
                Some(revoked) => {
                    let when = screen.when(revoked);
                    screen.say(&Said::new(Message::Revoked).with("when", when))
                }
                None => screen.when(grant.until),
            },
            grant.by.clone(),
            grant.reason.clone(),
        ]);
    }
    table.or(&screen.word(Word::NoGrants))
}
