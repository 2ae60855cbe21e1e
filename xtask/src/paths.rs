//! Where things lie in the checkout.

use std::path::{Path, PathBuf};

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// Everything built or fetched lies below this folder.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// The linked BPF object that the agent embeds.
pub(crate) fn bpf_object() -> PathBuf {
    target().join("bpf/filter.o")
}

/// The BPF programs of the lab's switch.
pub(crate) fn switch_object() -> PathBuf {
    target().join("bpf/switch.o")
}
