//! The lists of the policy in force, and looking into list files.

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde::Serialize;

use super::Common;
use super::output::{Screen, Table, count, or_dash, print};
use crate::control::api::{List, ListsQuery, UpdateLists};
use crate::control::{Code, Failure};
use crate::lists::update::{LastCopy, Store};
use crate::lists::{
    self, Format, IpRange, Match, Name, Options, Question, Report, Scope, Sink, Source,
};

use crate::words::Word;

/// Matches shown per list.
const MATCHES: usize = 20;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The lists of the policy in force: age, entries, what is wrong.
    List,
    /// Fetch the lists now, and put what is new in force.
    Update {
        /// Take a new copy even if it shrank too much.
        #[arg(long)]
        force: bool,
    },
    /// Read a list file and tell what a filter would take of it.
    Check {
        /// A list, packed or not.
        file: PathBuf,
        #[command(flatten)]
        reading: Reading,
    },
    /// Which lines speak about a host or an address.
    Find {
        /// A host or an address.
        #[arg(value_name = "HOST|IP")]
        target: String,
        /// Look into these files; without, into the lists of the policy in
        /// force.
        files: Vec<PathBuf>,
        /// Where the agent keeps copies of what it fetched.
        #[arg(
            long,
            value_name = "DIR",
            default_value = "/var/lib/school-filter/lists"
        )]
        copies: PathBuf,
        #[command(flatten)]
        reading: Reading,
    },
}

/// How a list is read.
#[derive(Debug, clap::Args)]
pub(super) struct Reading {
    /// Instead of what the content says: domains, hosts, adblock, dnsmasq,
    /// unbound, rpz, squidguard, netset, ranges, drop or v2fly.
    #[arg(long)]
    format: Option<Format>,
    /// Only this folder or file of an archive; may be repeated.
    #[arg(long, value_name = "PATH")]
    member: Vec<String>,
    /// A bare name means this host only.
    #[arg(long, conflicts_with = "subtree")]
    host: bool,
    /// A bare name means the host and everything below.
    #[arg(long)]
    subtree: bool,
    /// Take public suffixes such as `com`, and private and very wide ranges.
    #[arg(long)]
    force: bool,
}

impl Reading {
    fn options(&self) -> Options {
        let scope = match (self.host, self.subtree) {
            (true, _) => Some(Scope::Exact),
            (_, true) => Some(Scope::Subtree),
            _ => None,
        };
        Options {
            format: self.format,
            scope,
            members: self.member.clone(),
            force_suffixes: self.force,
            force_ranges: self.force,
            ..Options::default()
        }
    }
}

pub(super) fn run(command: Command, common: &Common) -> Result<(), Failure> {
    match command {
        Command::List => {
            let lists = common.client()?.call(&ListsQuery {})?;
            print(common, &lists, |screen, lists| table(screen, lists))
        }
        Command::Update { force } => {
            let bar = ProgressBar::new_spinner().with_message("fetching");
            bar.enable_steady_tick(std::time::Duration::from_millis(120));
            let lists = common.client()?.call(&UpdateLists { force });
            bar.finish_and_clear();
            print(common, &lists?, |screen, lists| table(screen, lists))
        }
        Command::Check { file, reading } => check(&file, &reading, common),
        Command::Find {
            target,
            files,
            copies,
            reading,
        } => {
            let found = if files.is_empty() {
                in_force(&target, &copies, &reading, common)?
            } else {
                let sources = files
                    .iter()
                    .map(|file| (file.display().to_string(), Kept::Here(file.clone())));
                find(&target, sources, &reading)?
            };
            print(common, &found, |_, found| found_table(&target, found))
        }
    }
}

pub(super) fn table(screen: &Screen, lists: &[List]) -> String {
    let mut table = screen.table([
        Word::Category,
        Word::List,
        Word::Updated,
        Word::Hosts,
        Word::Ranges,
        Word::Ignored,
        Word::Problem,
    ]);
    for list in lists {
        table.row([
            list.category.clone(),
            list.source.clone(),
            screen.when_any(list.updated),
            count(list.hosts),
            count(list.ranges),
            count(list.ignored),
            or_dash(list.problem.as_deref()),
        ]);
    }
    table.or(&screen.word(Word::NoLists))
}

/// The answer of `check`.
#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    report: Report,
}

fn check(file: &Path, reading: &Reading, common: &Common) -> Result<(), Failure> {
    struct Nowhere;
    impl Sink for Nowhere {
        fn name(&mut self, _: &[u8], _: Scope, _: bool) {}
        fn range(&mut self, _: IpRange, _: bool) {}
    }
    let report = lists::import(&Source::File(file), &reading.options(), &mut Nowhere)
        .map_err(|error| Failure::bad_request(error.to_string()))?;
    let checked = Checked {
        file: file.to_owned(),
        report,
    };
    print(common, &checked, |_, checked| checked_text(checked))?;
    if checked.report.entries() == 0 {
        return Err(Failure::bad_request(format!(
            "{} has no entry that a filter could use",
            file.display()
        )));
    }
    Ok(())
}

fn checked_text(checked: &Checked) -> String {
    let report = &checked.report;
    let formats: Vec<_> = report.formats.iter().map(|format| format.word()).collect();
    let mut text = format!(
        "{}: {} — {} lines, {} names, {} exceptions, {} ranges\n",
        checked.file.display(),
        formats.join(", "),
        count(report.lines),
        count(report.names),
        count(report.exceptions),
        count(report.ranges),
    );
    for ignored in &report.ignored {
        text += &format!("\n{} × {}\n", count(ignored.count), ignored.kind.meaning());
        for example in &ignored.examples {
            let file = if example.file.is_empty() {
                String::new()
            } else {
                format!("{}:", example.file)
            };
            text += &format!("    {file}{}: {}\n", example.line, example.text);
        }
    }
    text
}

/// Where a list can be read.
enum Kept {
    Here(PathBuf),
    Copy(LastCopy),
}

/// Lines of one list.
#[derive(Serialize)]
struct Found {
    list: String,
    matches: Vec<Match>,
}

fn in_force(
    target: &str,
    copies: &Path,
    reading: &Reading,
    common: &Common,
) -> Result<Vec<Found>, Failure> {
    let lists = common.client()?.call(&ListsQuery {})?;
    let kept = Store::open(copies)
        .and_then(|store| store.copies())
        .map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
    let mut sources = Vec::new();
    for list in lists {
        let path = PathBuf::from(list.source.strip_prefix("file://").unwrap_or(&list.source));
        let here = || path.is_file().then_some(Kept::Here(path));
        let copy = kept
            .iter()
            .find(|copy| copy.location == list.source)
            .cloned();
        match copy.map(Kept::Copy).or_else(here) {
            Some(source) => sources.push((list.source, source)),
            None => eprintln!(
                "{}: there is no copy of it in {}",
                list.source,
                copies.display()
            ),
        }
    }
    find(target, sources.into_iter(), reading)
}

fn find(
    target: &str,
    sources: impl Iterator<Item = (String, Kept)>,
    reading: &Reading,
) -> Result<Vec<Found>, Failure> {
    let name;
    let question = match target.parse() {
        Ok(address) => Question::Address(address),
        Err(_) => {
            name = Name::parse(target.as_bytes()).map_err(|error| {
                Failure::bad_request(format!(
                    "{target:?} is neither an address nor a host: {error}"
                ))
            })?;
            Question::Name(&name)
        }
    };
    let options = reading.options();
    let mut found = Vec::new();
    for (list, kept) in sources {
        let source = match &kept {
            Kept::Here(path) => Source::File(path),
            Kept::Copy(copy) => copy.source(),
        };
        let matches = lists::find(&source, &options, question, MATCHES)
            .map_err(|error| Failure::bad_request(error.to_string()))?;
        if !matches.is_empty() {
            found.push(Found { list, matches });
        }
    }
    Ok(found)
}

fn found_table(target: &str, found: &[Found]) -> String {
    let mut table = Table::new(["list", "line", "reach", "text"]);
    for Found { list, matches } in found {
        for found in matches {
            let member = if found.file.is_empty() {
                String::new()
            } else {
                format!(" ({})", found.file)
            };
            let reach = match found.scope {
                None => "range",
                Some(Scope::Exact) => "host",
                Some(Scope::Subtree) => "host and below",
            };
            let reach = if found.exception {
                format!("not {reach}")
            } else {
                reach.to_owned()
            };
            table.row([
                format!("{list}{member}"),
                found.line.to_string(),
                reach,
                found.text.clone(),
            ]);
        }
    }
    table.or(&format!("No line speaks about {target}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_shows_what_was_left_out() -> Result<(), lists::ListError> {
        struct Nowhere;
        impl Sink for Nowhere {
            fn name(&mut self, _: &[u8], _: Scope, _: bool) {}
            fn range(&mut self, _: IpRange, _: bool) {}
        }
        let source = Source::Bytes {
            name: "list",
            data: b"one.example\ncom\n10.0.0.0/8\n",
        };
        let report = lists::import(&source, &Options::default(), &mut Nowhere)?;
        let text = checked_text(&Checked {
            file: "list".into(),
            report,
        });
        assert!(
            text.starts_with("list: domains — 3 lines, 1 names, 0 exceptions, 0 ranges\n"),
            "{text}"
        );
        assert!(
            text.contains("    2: com\n") && text.contains("    3: 10.0.0.0/8\n"),
            "{text}"
        );
        Ok(())
    }
}
