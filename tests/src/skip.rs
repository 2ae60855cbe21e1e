//! Tests that find at run time that they cannot run.

use std::io::Write as _;

/// Says, past the test runner's capture, that the test `name` does not run
/// and why; `cargo xtask test` counts it as skipped. Return right after it.
pub fn skip(name: &str, reason: &str) {
    // The runner may have begun a line. Where stderr is gone nobody counts.
    let _ = writeln!(std::io::stderr(), "\nSKIP {name}: {reason}");
}
