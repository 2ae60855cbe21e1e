//! Builds the kernel half for `bpfel-unknown-none`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{exec::exec, paths, setup};

/// Builds the filter and the lab's switch; returns the filter's object.
pub(crate) fn build() -> Result<PathBuf> {
    object("lab-switch", "switch", &paths::switch_object())?;
    let filter = paths::bpf_object();
    object("filter-ebpf", "filter", &filter)?;
    Ok(filter)
}

/// Builds what the benchmark compares the filter with; returns its object.
pub(crate) fn peers() -> Result<PathBuf> {
    let peers = paths::target().join("bpf/peers.o");
    object("bench-peers", "peers", &peers)?;
    Ok(peers)
}

/// Builds one program of one package into the BPF object at `path`.
///
/// Debian's `rustc-web` carries a precompiled `core` for BPF, so no nightly
/// and no `build-std` is needed; `RUSTC_BOOTSTRAP` opens the unstable `asm!`
/// of the BPF target to the crates that use it.
fn object(package: &str, program: &str, path: &Path) -> Result<()> {
    let linker = setup::bpf_linker();
    ensure!(
        linker.exists(),
        "{} is missing: run `cargo xtask setup` as root first",
        linker.display()
    );
    let target_dir = paths::target().join("bpf");
    exec(
        Command::new("/usr/bin/cargo")
            .current_dir(paths::root())
            .args(["build", "--quiet", "--release", "--package", package])
            .args(["--bin", program, "--features", "kernel"])
            .args(["--target", "bpfel-unknown-none"])
            .arg("--target-dir")
            .arg(&target_dir)
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "aya_ebpf,filter_ebpf,filter,peers")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("CARGO_ENCODED_RUSTFLAGS", rustflags(&linker)),
    )?;
    let built = target_dir.join("bpfel-unknown-none/release").join(program);
    let bytes =
        std::fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    // An unchanged object keeps its time stamp, so the agent is not rebuilt.
    if std::fs::read(path).ok().as_deref() != Some(&bytes) {
        std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn rustflags(linker: &Path) -> String {
    [
        "-Cdebuginfo=2",
        "-Cpanic=abort",
        "-Clink-arg=--btf",
        // Else LLVM never expands memset and memmove to stores, and calls
        // loops over bytes instead: 100 ns a packet.
        "-Clink-arg=--disable-expand-memcpy-in-order",
        &format!("-Clinker={}", linker.display()),
    ]
    .join("\x1f")
}
