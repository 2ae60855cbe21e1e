#![doc = "Harness of the kernel and lab tests."]

use std::path::{Path, PathBuf};

pub mod agent;
pub mod clients;
pub mod differential;
pub mod frames;
pub mod lab;
pub mod netns;
pub mod probe;
pub mod process;
pub mod reach;
pub mod school;
pub mod scratch;
pub mod servers;
pub mod skip;
pub mod small_school;
pub mod stream;
pub mod switch;
pub mod wire;

/// Everything built lies here.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}

/// The Python that has the lab's packages (`cargo xtask setup`).
fn python() -> PathBuf {
    target().join("venv/bin/python")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("scripts")
        .join(name)
}
