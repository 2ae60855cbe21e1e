//! A sink that keeps everything, and an import as text.

use std::fmt::Write;

use anyhow::Result;
use filter_agent::lists::{IpRange, ListError, Options, Report, Scope, Sink, Source, import};

/// Everything a list gave, a line an entry.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Record {
    pub(crate) entries: Vec<String>,
}

impl Sink for Record {
    fn name(&mut self, name: &[u8], scope: Scope, exception: bool) {
        let scope = match scope {
            Scope::Exact => "exact",
            Scope::Subtree => "subtree",
        };
        let exception = if exception { "except " } else { "" };
        self.entries
            .push(format!("{exception}{scope} {}", name.escape_ascii()));
    }

    fn range(&mut self, range: IpRange, exception: bool) {
        let exception = if exception { "except " } else { "" };
        self.entries.push(format!(
            "{exception}range {}-{}",
            range.first(),
            range.last()
        ));
    }
}

/// Imports bytes with the given options.
pub(crate) fn bytes(data: &[u8], options: &Options) -> Result<(Record, Report), ListError> {
    let mut record = Record::default();
    let report = import(&Source::Bytes { name: "test", data }, options, &mut record)?;
    Ok((record, report))
}

/// Imports a source and writes down what came.
pub(crate) fn text(source: &Source<'_>, options: &Options) -> Result<String> {
    let mut record = Record::default();
    let report = import(source, options, &mut record)?;
    let mut text = record.entries.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    let formats: Vec<_> = report.formats.iter().map(|format| format.word()).collect();
    writeln!(text, "--- {}", formats.join(" "))?;
    writeln!(
        text,
        "{} files, {} lines, {} names, {} exceptions, {} ranges",
        report.files, report.lines, report.names, report.exceptions, report.ranges
    )?;
    for ignored in &report.ignored {
        write!(text, "{} × {}:", ignored.count, ignored.kind.word())?;
        for example in &ignored.examples {
            let file = if example.file.is_empty() {
                ""
            } else {
                &format!("{}:", example.file)
            };
            let mut shown = example.text.clone();
            if shown.chars().count() > 60 {
                shown = shown.chars().take(60).collect::<String>() + "…";
            }
            write!(text, "\n    {file}{} {shown}", example.line)?;
        }
        text.push('\n');
    }
    Ok(text)
}
