//! Hands the kernel half, built before by `cargo xtask build`, to the agent.

use std::path::{Path, PathBuf};
use std::process::exit;
use std::{env, fs};

/// Names the object instead of `target/bpf/filter.o`.
const OVERRIDE: &str = "FILTER_BPF_OBJECT";

fn main() {
    let object = object();
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    println!("cargo::rerun-if-changed={}", object.display());
    match fs::read(&object) {
        Ok(bytes) if bytes.starts_with(b"\x7fELF") => {
            println!(
                "cargo::rustc-env=FILTER_BPF_OBJECT_PATH={}",
                object.display()
            );
        }
        Ok(_) => fail(&object, "is no ELF object"),
        Err(error) => fail(&object, &error.to_string()),
    }
}

fn object() -> PathBuf {
    if let Some(path) = env::var_os(OVERRIDE) {
        return PathBuf::from(path);
    }
    let crate_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    crate_dir
        .parent()
        .unwrap_or(Path::new("."))
        .join("target/bpf/filter.o")
}

fn fail(object: &Path, why: &str) -> ! {
    println!(
        "cargo::error=the kernel half {} {why}: run `cargo xtask build`",
        object.display()
    );
    exit(1)
}
