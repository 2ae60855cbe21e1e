//! Counts what test programs say.

use anyhow::{Result, ensure};

/// Marks a test that found at run time that it cannot run here; the harness
/// writes it past libtest's capture. libtest counts such a test as passed.
const SKIP: &str = "SKIP ";

/// Sums over any number of test programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
    runs: usize,
    /// Skips of the program that runs, until it tells its result.
    pending: usize,
    /// What failed or was skipped, and why, for the end of a long run.
    notes: Vec<String>,
}

impl Tally {
    /// Takes in one line of a libtest program's output.
    pub(crate) fn line(&mut self, line: &str) {
        // libtest may have begun a line "test name ... " on the same terminal.
        if let Some((_, skip)) = line.split_once(SKIP)
            && skip.contains(": ")
        {
            self.pending += 1;
            self.notes.push(format!("skipped: {skip}"));
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.runs += 1;
            self.passed += count(result, "passed").saturating_sub(self.pending);
            self.failed += count(result, "failed");
            self.skipped += count(result, "ignored") + self.pending;
            self.pending = 0;
        } else if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|line| line.strip_suffix(" ... FAILED"))
        {
            self.notes.push(format!("failed: {name}"));
        } else if let Some((name, reason)) = line
            .strip_prefix("test ")
            .and_then(|line| line.split_once(" ... ignored"))
        {
            let reason = reason.trim_start_matches(", ");
            self.notes.push(format!("skipped: {name}: {reason}"));
        }
    }

    /// Counts a test program that never told its result as one failure.
    pub(crate) fn fail(&mut self, name: &str, why: &str) {
        self.failed += 1;
        self.notes.push(format!("failed: {name}: {why}"));
    }

    /// Counts something that cannot run here.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        self.notes.push(format!("skipped: {name}: {why}"));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.runs += other.runs;
        self.notes.extend(other.notes.iter().cloned());
    }

    pub(crate) fn failed_any(&self) -> bool {
        self.failed > 0
    }

    /// Test programs that told a result.
    pub(crate) fn runs(&self) -> usize {
        self.runs
    }

    /// Prints the notes and the closing line; an error when anything failed
    /// or nothing ran.
    pub(crate) fn close(self) -> Result<()> {
        for note in &self.notes {
            println!("{note}");
        }
        println!(
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        );
        ensure!(self.failed == 0, "{} tests failed", self.failed);
        ensure!(self.passed > 0, "not one test ran");
        Ok(())
    }
}

/// The number before `word` in "ok. 3 passed; 0 failed; 1 ignored; …".
fn count(result: &str, word: &str) -> usize {
    let Some((before, _)) = result.split_once(word) else {
        return 0;
    };
    before
        .split_whitespace()
        .last()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for line in lines {
            tally.line(line);
        }
        tally
    }

    #[test]
    fn results_add_up_and_a_skip_is_no_pass() {
        let tally = tally(&[
            "test one ... ok",
            "test two ... ignored, takes an hour",
            "test three ... SKIP three: no chromium here",
            "test four ... FAILED",
            "test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
        ]);
        assert_eq!((tally.passed, tally.failed, tally.skipped), (8, 1, 2));
        assert_eq!(tally.runs(), 2);
        assert_eq!(
            tally.notes,
            [
                "skipped: two: takes an hour",
                "skipped: three: no chromium here",
                "failed: four"
            ]
        );
    }

    #[test]
    fn nothing_run_is_a_failure() {
        assert!(Tally::default().close().is_err());
    }
}
