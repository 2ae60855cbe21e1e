//! What the machine itself must have.

use std::fs;
use std::path::Path;

use aya::util::KernelVersion;
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::Finding;

/// Where bpf filesystems are mounted by custom.
const BPFFS: &str = "/sys/fs/bpf";

/// Version of the running kernel.
pub(super) fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

pub(super) fn check(root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !nix::unistd::geteuid().is_root() {
        findings.push(Finding::fatal(
            "loading programs needs root",
            "run the agent by systemd, or with sudo",
        ));
    }
    if KernelVersion::current().is_ok_and(|version| version < KernelVersion::new(6, 1, 0)) {
        findings.push(Finding::fatal(
            format!("Linux {} is too old, 6.1 is the least", kernel()),
            "apt install linux-image-amd64 (Debian 12 or newer), then reboot",
        ));
    }
    if fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").is_ok_and(|v| v.trim() == "0") {
        findings.push(Finding::note(
            "the BPF compiler is off, the filter is several times slower; \
             switch it on: sysctl -w net.core.bpf_jit_enable=1",
        ));
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        findings.push(Finding::note(
            "this kernel has no type information (BTF); the filter does not need it, bpftool does",
        ));
    }
    findings.extend(bpffs(root));
    findings
}

/// Makes sure that pins below `root` lie on a bpf filesystem.
fn bpffs(root: &Path) -> Option<Finding> {
    if on_bpffs(root) {
        return None;
    }
    let command = format!("mount -t bpf bpf {BPFFS}");
    if !root.starts_with(BPFFS) {
        return Some(Finding::fatal(
            format!("{} is not on a bpf filesystem", root.display()),
            format!("{command}, and pin below it"),
        ));
    }
    let none: Option<&str> = None;
    match mount(Some("bpf"), BPFFS, Some("bpf"), MsFlags::empty(), none) {
        Ok(()) => Some(Finding::changed(format!(
            "mounted a bpf filesystem: {command}"
        ))),
        Err(error) => Some(Finding::fatal(
            format!("no bpf filesystem at {BPFFS}, and it cannot be mounted: {error}"),
            command,
        )),
    }
}

/// Looks at the nearest folder above `path` that exists.
fn on_bpffs(path: &Path) -> bool {
    path.ancestors()
        .find(|path| path.exists())
        .and_then(|path| statfs(path).ok())
        .is_some_and(|stat| stat.filesystem_type() == BPF_FS_MAGIC)
}
