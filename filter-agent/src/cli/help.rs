//! `help`: the guide for the responsible person, or one command's arguments.

use clap::CommandFactory as _;

use super::Cli;
use super::output::line;
use crate::control::Failure;
use crate::words::{Language, Message, Said, guide};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A command, such as `room` or `room close`; without it the guide.
    command: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.command.is_empty() {
        return line(guide(Language::of_environment()).trim_end());
    }
    let mut command = Cli::command();
    command.build();
    let mut here = &mut command;
    for name in &args.command {
        here = here.find_subcommand_mut(name).ok_or_else(|| {
            let said = Said::new(Message::NoSuchHelp).with("command", args.command.join(" "));
            Failure::bad_request(said)
        })?;
    }
    line(here.render_long_help().to_string().trim_end())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::words::commands;

    /// Splits as a shell does that knows double quotes only.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (at, part) in line.split('"').enumerate() {
            if at % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn every_command_of_the_guide_is_understood() {
        for language in Language::ALL {
            for line in commands(guide(language)) {
                let parsed = Cli::try_parse_from(words(line));
                assert!(parsed.is_ok(), "{line}: {parsed:?}");
            }
        }
    }

    #[test]
    fn the_guide_speaks_of_every_command() {
        let text = guide(Language::English);
        // For administrators; the README has them.
        let technical = ["replay", "events", "help"];
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(
                technical.contains(&name) || text.contains(&format!("filter-agent {name}")),
                "{name}"
            );
        }
    }

    #[test]
    fn help_finds_commands_below_commands() {
        let args = |words: &[&str]| Args {
            command: words.iter().map(|word| (*word).to_owned()).collect(),
        };
        assert!(run(&args(&["room", "close"])).is_ok());
        let failure = run(&args(&["room", "paint"])).unwrap_err();
        assert!(failure.message.contains("room paint"), "{failure}");
    }
}
