//! What is wrong with a policy: where, what was expected, the line itself.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Problems kept of one document; the rest are only counted.
pub const MAX_PROBLEMS: usize = 50;
/// Characters of a source line that are shown around a problem.
const SHOWN: usize = 100;

/// One mistake in one place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named by the caller.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What was expected, and what was found.
    pub message: String,
    /// The line, or the part of it around the mistake when it is long.
    pub source: String,
    /// Where in `source` the mistake begins, in characters, from 0.
    pub offset: usize,
    /// Characters to underline, at least 1.
    pub width: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}:{}:{}: {}",
            self.file.display(),
            self.line,
            self.column,
            self.message
        )?;
        let number = self.line.to_string();
        writeln!(f, " {number} | {}", self.source)?;
        // Tabs stay tabs, or the caret would stand elsewhere.
        let pad: String = self
            .source
            .chars()
            .take(self.offset)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        write!(
            f,
            " {:blank$} | {pad}{:^<carets$}",
            "",
            "",
            blank = number.len(),
            carets = self.width
        )
    }
}

/// Everything wrong with a policy, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyErrors {
    /// At most [`MAX_PROBLEMS`], never empty.
    pub problems: Vec<Problem>,
    /// Further problems that were only counted.
    pub left_out: usize,
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        if self.left_out > 0 {
            write!(f, "\nand {} more", self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}

/// Gathers problems of one document while it is read.
#[derive(Debug)]
pub(crate) struct Problems<'s> {
    text: &'s str,
    path: &'s Path,
    /// Byte offsets of the lines' first bytes.
    lines: Vec<usize>,
    found: Vec<(usize, Problem)>,
    left_out: usize,
}

impl<'s> Problems<'s> {
    pub(crate) fn new(text: &'s str, path: &'s Path) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            path,
            lines: std::iter::once(0).chain(ends).collect(),
            found: Vec::new(),
            left_out: 0,
        }
    }

    pub(crate) fn path(&self) -> &'s Path {
        self.path
    }

    /// Line of a byte offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset).max(1)
    }

    /// Notes a mistake at a span of bytes.
    pub(crate) fn at(&mut self, span: &Range<usize>, message: impl Into<String>) {
        let message = message.into();
        let again =
            |(at, problem): &(usize, Problem)| *at == span.start && problem.message == message;
        if self.found.iter().any(again) {
            return;
        }
        if self.found.len() >= MAX_PROBLEMS {
            self.left_out += 1;
            return;
        }
        let line = self.line(span.start);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let rest = self.text.get(start..).unwrap_or("");
        let source = rest.lines().next().unwrap_or("");
        let before = self.text.get(start..span.start).unwrap_or("");
        let column = before.chars().count().min(source.chars().count());
        let marked = self.text.get(span.clone()).unwrap_or("");
        let marked = marked.lines().next().unwrap_or("").chars().count();
        // A long line is cut so that the mistake is in the middle.
        let long = source.chars().count() > SHOWN;
        let skip = if long {
            column.saturating_sub(SHOWN / 2)
        } else {
            0
        };
        let shown: String = source.chars().skip(skip).take(SHOWN).collect();
        let room = shown.chars().count().saturating_sub(column - skip);
        self.found.push((
            span.start,
            Problem {
                file: self.path.to_path_buf(),
                line,
                column: column + 1,
                message,
                source: shown,
                offset: column - skip,
                width: marked.min(room).max(1),
            },
        ));
    }

    /// The end of reading: an error if anything was noted.
    pub(crate) fn finish(mut self) -> Result<(), PolicyErrors> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|(at, _)| *at);
        Err(PolicyErrors {
            problems: self.found.into_iter().map(|(_, problem)| problem).collect(),
            left_out: self.left_out,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_its_line_with_a_caret() {
        let text = "a = 1\n\tкласс = \"x\"\n";
        let mut problems = Problems::new(text, Path::new("p.toml"));
        let at = text.find('"').unwrap();
        problems.at(&(at..at + 3), "expected a number");
        let errors = problems.finish().unwrap_err();
        assert_eq!(
            errors.to_string(),
            "p.toml:2:10: expected a number\n 2 | \tкласс = \"x\"\n   | \t        ^^^"
        );
    }

    #[test]
    fn problems_are_bounded_and_in_the_order_of_the_file() {
        let text = "x".repeat(5000);
        let mut problems = Problems::new(&text, Path::new("p.toml"));
        for i in (0..MAX_PROBLEMS + 7).rev() {
            problems.at(&(i * 3..i * 3 + 1), "bad");
        }
        let errors = problems.finish().unwrap_err();
        assert_eq!(errors.problems.len(), MAX_PROBLEMS);
        assert_eq!(errors.left_out, 7);
        assert!(errors.problems.is_sorted_by_key(|p| p.column));
        assert!(errors.problems.iter().all(|p| p.source.len() <= SHOWN));
        assert!(errors.to_string().ends_with("and 7 more"));
    }

    #[test]
    fn a_span_past_the_text_does_no_harm() {
        let mut problems = Problems::new("ab", Path::new("p.toml"));
        problems.at(&(2..9), "expected more");
        problems.at(&(40..50), "expected more");
        assert_eq!(problems.finish().unwrap_err().problems.len(), 2);
    }
}
