//! `check`: reads a policy and its list files, changes nothing, needs no
//! agent.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::Common;
use super::output::{Screen, count, print};
use super::schedule::load;
use crate::calendar::findings::{Finding, findings};
use crate::control::{Code, Failure};
use crate::lists::{IpRange, Scope, Sink, Source, import};
use crate::policy::{ListFrom, ListSource, Policy};
use crate::words::{Message, Said, Word};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The policy's file.
    policy: PathBuf,
}

#[derive(Debug, Serialize)]
struct Checked {
    rooms: usize,
    groups: usize,
    categories: usize,
    lists: Vec<List>,
    /// Unusable lists.
    errors: Vec<String>,
    warnings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct List {
    category: String,
    from: String,
    /// `null` for a list that is fetched: `lists update` reads it.
    entries: Option<u64>,
    ignored: u64,
}

pub(super) fn run(args: Args, common: &Common) -> Result<(), Failure> {
    let policy = load(&args.policy)?;
    let mut checked = Checked {
        rooms: policy.rooms.len(),
        groups: policy.groups.len(),
        categories: policy.categories.len(),
        lists: Vec::new(),
        errors: Vec::new(),
        warnings: warnings(&policy),
    };
    for category in &policy.categories {
        for source in &category.lists {
            match list(&policy, &category.name, source) {
                Ok(list) => checked.lists.push(list),
                Err(error) => checked.errors.push(format!(
                    "{}:{}: {error}",
                    policy.path.display(),
                    source.line
                )),
            }
        }
    }
    print(common, &checked, |screen, checked| {
        text(screen, &policy, checked)
    })?;
    if checked.errors.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Code::PolicyError,
        Said::new(Message::ListsUnusable).with("count", checked.errors.len()),
    ))
}

fn list(policy: &Policy, category: &str, source: &ListSource) -> Result<List, String> {
    let mut list = List {
        category: category.to_string(),
        from: String::new(),
        entries: None,
        ignored: 0,
    };
    let path = match &source.from {
        ListFrom::Url(url) => {
            list.from.clone_from(url);
            return Ok(list);
        }
        ListFrom::File(path) => policy.folder().join(path),
    };
    list.from = path.display().to_string();
    let options = source.options(policy);
    let report =
        import(&Source::File(&path), &options, &mut Nothing).map_err(|error| error.to_string())?;
    list.entries = Some(report.entries());
    list.ignored = report.ignored.iter().map(|kind| kind.count).sum();
    Ok(list)
}

/// Only the report is wanted.
struct Nothing;

impl Sink for Nothing {
    fn name(&mut self, _name: &[u8], _scope: Scope, _exception: bool) {}
    fn range(&mut self, _range: IpRange, _exception: bool) {}
}

/// Categories that no cell speaks of, cells that have run out, the timetable.
fn warnings(policy: &Policy) -> Vec<Finding> {
    let today = policy.date(Timestamp::now());
    let mut found = findings(policy, today);
    for (at, category) in policy.categories.iter().enumerate() {
        let spoken = policy
            .groups
            .iter()
            .any(|group| group.cells.iter().any(|cell| cell.category == at));
        if !spoken && !category.locked && !category.ech_provider {
            found.push(Finding {
                line: category.line,
                message: Said::new(Message::UnusedCategory).with("name", &category.name),
            });
        }
    }
    for group in &policy.groups {
        for cell in &group.cells {
            let name = policy
                .categories
                .get(cell.category)
                .map_or("", |category| &category.name);
            if let Some(until) = cell.until.filter(|until| *until < today) {
                found.push(Finding {
                    line: cell.line,
                    message: Said::new(Message::CellEnded)
                        .with("group", &group.name)
                        .with("category", name)
                        .with("date", until),
                });
            }
        }
    }
    found.sort_by_key(|finding| finding.line);
    found
}

fn text(screen: &Screen, policy: &Policy, checked: &Checked) -> String {
    let said = Said::new(Message::Checked)
        .with("file", policy.path.display())
        .with("rooms", checked.rooms)
        .with("groups", checked.groups)
        .with("categories", checked.categories);
    let counted = |message: Message, number: u64| {
        screen.say(&Said::new(message).with("count", count(number)))
    };
    let mut text = format!("{}\n", screen.say(&said));
    for list in &checked.lists {
        let entries = list.entries.map_or_else(
            || screen.word(Word::FetchedLater),
            |n| counted(Message::Entries, n),
        );
        let ignored = if list.ignored > 0 {
            counted(Message::LeftOut, list.ignored)
        } else {
            String::new()
        };
        text += &format!("  {}: {}: {entries}{ignored}\n", list.category, list.from);
    }
    for error in &checked.errors {
        text += &format!("! {error}\n");
    }
    for warning in &checked.warnings {
        text += &format!(
            "? {}:{}: {}\n",
            policy.path.display(),
            warning.line,
            screen.say(&warning.message)
        );
    }
    text
}
