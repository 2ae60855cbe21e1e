//! Runs commands and names the one that failed.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Runs `command` to its end; an error names the command line.
pub(crate) fn exec(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
