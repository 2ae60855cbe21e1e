//! The command line: a file a subcommand.

mod apply;
mod audit;
mod block;
mod check;
mod council;
mod detach;
mod events;
mod explain;
mod grant;
mod help;
mod incidents;
mod lease;
mod lists;
mod output;
mod replay;
mod report;
mod room;
mod run;
mod schedule;
#[cfg(test)]
mod screens;
mod status;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use output::Screen;

use crate::control::client::Client;
use crate::control::{Code, DEFAULT_SOCKET, Failure};
use crate::words::{Language, Word};

/// The packet filter of a school's router.
#[derive(Debug, Parser)]
#[command(name = "filter-agent", version, disable_help_subcommand = true)]
#[command(after_help = after_help())]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// The agent's socket.
    // Behind what a command itself takes.
    #[arg(long, global = true, display_order = 900)]
    #[arg(value_name = "FILE", default_value = DEFAULT_SOCKET)]
    pub(crate) socket: PathBuf,
    /// Print JSON instead of a table.
    #[arg(long, global = true, display_order = 901)]
    pub(crate) json: bool,
    #[arg(skip)]
    client: OnceCell<Client>,
}

impl Common {
    pub(crate) fn client(&self) -> Result<&Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::new(&self.socket)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Tells times by the school's clock, once the agent was asked.
    pub(crate) fn screen(&self) -> Screen {
        Screen {
            language: Language::of_environment(),
            zone: self
                .client
                .get()
                .map_or_else(TimeZone::system, Client::timezone),
            now: Timestamp::now(),
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Filter: load the policy into the kernel and serve the other commands.
    Run(run::Args),
    /// Read a policy and its lists and tell every mistake; changes nothing.
    Check(check::Args),
    /// Run a capture through the program in the kernel, and tell what would
    /// have happened to each frame.
    Replay(replay::Args),
    /// The timetable, shown and checked.
    #[command(subcommand)]
    Schedule(schedule::Command),
    /// Put a policy in force, or tell what it would change.
    Apply(apply::Args),
    /// How the filter is.
    Status,
    /// Rooms: which are open, and opening and closing them by hand.
    #[command(subcommand)]
    Room(room::Command),
    /// Hold a supervised room until the bell, or give it back.
    #[command(subcommand)]
    Lease(lease::Command),
    /// Permits for a category or a host, until a time.
    #[command(subcommand)]
    Grant(grant::Command),
    /// Block a host or a range everywhere, at once.
    Block(block::Args),
    /// Lift a block.
    Unblock(block::Args),
    /// Report a host (blocked at once, the council decides), or, without a
    /// host, the incidents of a time for a class teacher.
    Report(report::Args),
    /// What the council has to decide.
    #[command(subcommand)]
    Council(council::Command),
    /// What would happen to a host or address, and why.
    Explain(explain::Args),
    /// What the filter decides, as it happens.
    Events(events::Args),
    /// Repeated tries of one device.
    #[command(subcommand)]
    Incidents(incidents::Command),
    /// Who changed what.
    Audit(audit::Args),
    /// Lists of hosts and ranges: their age, fetching, looking into them.
    #[command(subcommand)]
    Lists(lists::Command),
    /// Take the filter off: nothing is filtered afterwards.
    Detach(detach::Args),
    /// The guide for the responsible person, from the regulation to a running
    /// filter; or what one command takes.
    Help(help::Args),
}

/// Reads the arguments, does what they say, and tells the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let common = &cli.common;
    let done = match cli.command {
        Command::Run(args) => run::run(args, common),
        Command::Check(args) => check::run(args, common),
        Command::Replay(args) => replay::run(args, common),
        Command::Schedule(command) => schedule::run(command, common),
        Command::Apply(args) => apply::run(args, common),
        Command::Status => status::run(common),
        Command::Room(command) => room::run(command, common),
        Command::Lease(command) => lease::run(command, common),
        Command::Grant(command) => grant::run(command, common),
        Command::Block(args) => block::block(args, common),
        Command::Unblock(args) => block::unblock(args, common),
        Command::Report(args) => report::run(args, common),
        Command::Council(command) => council::run(command, common),
        Command::Explain(args) => explain::run(args, common),
        Command::Events(args) => events::run(args, common),
        Command::Incidents(command) => incidents::run(command, common),
        Command::Audit(args) => audit::run(args, common),
        Command::Lists(command) => lists::run(command, common),
        Command::Detach(args) => detach::run(args, common),
        Command::Help(args) => help::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if common.json
                && let Ok(text) = serde_json::to_string(&failure)
            {
                eprintln!("{text}");
            } else {
                let language = Language::of_environment();
                let error = Word::Error.text(language);
                eprintln!("{error}: {}", failure.in_language(language));
            }
            ExitCode::from(failure.code.exit())
        }
    }
}

fn after_help() -> String {
    let mut text = "Begin with: filter-agent help\n\nExit codes:\n  0  done".to_owned();
    for code in Code::all() {
        text += &format!("\n  {}  {}", code.exit(), code.meaning());
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_regulations_commands_are_understood() {
        for line in [
            "run --policy school.toml",
            "apply school.toml --dry-run",
            "apply --shadow 45m",
            "room list --json",
            "room close 101 --for 45m --reason exam",
            "room auto 101",
            "lease take 101",
            "grant add --category multimedia --room 101 --for 45m --reason film",
            "grant add --host example.org --group teachers --for 1h --reason mail",
            "grant revoke 3",
            "block 192.0.2.0/24 --reason malware",
            "unblock example.org",
            "report example.org",
            "report --room 101 --from 2026-11-23 --to 2026-11-24 --csv",
            "council confirm 3 --decision 12",
            "explain --room 101 --host example.org --at 2026-11-24T10:00",
            "events --follow",
            "incidents identity 3 --reason talk",
            "audit --who aida",
            "detach --reason repair",
            "--json --socket /run/x status",
        ] {
            let words = ["filter-agent"].into_iter().chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
        for line in [
            "grant add --category a --host b --room 1 --for 1h --reason x",
            "grant add --category a --room 1 --reason x",
            "explain --room 101",
            "room close 101 --for soon",
            "detach",
        ] {
            let words = ["filter-agent"].into_iter().chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }
}
