//! Putting a policy in force.

use std::path::PathBuf;

use jiff::SignedDuration;

use super::Common;
use super::output::{Screen, print, span};
use crate::control::Failure;
use crate::control::api::{Applied, ApplyPolicy};
use crate::words::{Message, Said, Word};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The policy; without it the file in force is read again.
    file: Option<PathBuf>,
    /// Only tell what would change.
    #[arg(long, conflicts_with = "shadow")]
    dry_run: bool,
    /// Judge refused flows by it for so long without enforcing it; `status`
    /// tells what it would let pass. What it would refuse in addition is not
    /// seen.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    shadow: Option<SignedDuration>,
}

pub(super) fn run(args: Args, common: &Common) -> Result<(), Failure> {
    let file = args
        .file
        .map(|file| {
            std::path::absolute(&file)
                .map(|path| path.to_string_lossy().into_owned())
                .map_err(|error| Failure::bad_request(format!("{}: {error}", file.display())))
        })
        .transpose()?;
    let applied = common.client()?.call(&ApplyPolicy {
        file,
        dry_run: args.dry_run,
        shadow: args.shadow,
    })?;
    print(common, &applied, |screen, applied| {
        text(screen, applied, args.dry_run)
    })
}

fn text(screen: &Screen, applied: &Applied, dry_run: bool) -> String {
    let mut text = String::new();
    if applied.changes.is_empty() {
        text += &format!("{}\n", screen.word(Word::NothingChanges));
    }
    for change in &applied.changes {
        text += &format!("{change}\n");
    }
    for warning in &applied.warnings {
        text += &format!("! {warning}\n");
    }
    text += &if applied.in_force {
        let said = Said::new(Message::InForceAs)
            .with("generation", applied.generation)
            .with("ms", applied.load_ms);
        screen.say(&said)
    } else if dry_run {
        screen.word(Word::DryRun)
    } else {
        screen.word(Word::BesideTheOne)
    };
    text
}
