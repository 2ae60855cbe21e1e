//! Brings a bare Debian to the point where everything builds and tests run.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{exec::exec, paths};

const BPF_LINKER: &str = "0.13.0";

/// The linker for BPF objects, built by [`run`] into `target/tools`.
pub(crate) fn bpf_linker() -> PathBuf {
    paths::target().join("tools/bin/bpf-linker")
}

/// Installs what is missing; takes seconds where nothing is.
pub(crate) fn run() -> Result<()> {
    if !bpf_linker().exists() {
        exec(
            Command::new("cargo")
                .args(["install", "--locked", "bpf-linker", "--version", BPF_LINKER])
                .args(["--no-default-features", "--features", "llvm-22", "--root"])
                .arg(paths::target().join("tools"))
                .env("LLVM_PREFIX", "/usr/lib/llvm-22"),
        )?;
    }
    Ok(())
}
