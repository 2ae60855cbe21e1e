//! Which kernel modules a test machine needs, in the order of loading.
//!
//! A Debian package carries no `modules.dep` (it is made when a kernel is
//! installed), so the order comes from what every module says of itself:
//! `depends=` in its `.modinfo` section.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// What the tests use and a cloud kernel does not have built in.
const WANTED: &[&str] = &[
    "veth",
    "8021q",
    "sch_ingress",
    "cls_bpf",
    "dummy",
    "ipv6",
    "virtio_rng",
    "sch_netem",
];

/// A module ready to load.
pub(crate) struct Module {
    pub(crate) name: String,
    /// The uncompressed ELF file.
    pub(crate) bytes: Vec<u8>,
}

/// Reads the wanted modules and what they depend on; those first. A wanted
/// module without a file is built into this kernel.
pub(crate) fn load(folder: &Path) -> Result<Vec<Module>> {
    let mut files = HashMap::new();
    index(folder, &mut files)?;
    ensure!(!files.is_empty(), "no modules below {}", folder.display());
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    for name in WANTED {
        visit(name, &files, &mut seen, &mut order)?;
    }
    Ok(order)
}

fn index(folder: &Path, files: &mut HashMap<String, PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            index(&entry.path(), files)?;
        } else if let Some((name, _)) = entry.file_name().to_string_lossy().split_once(".ko") {
            files.insert(name.replace('-', "_"), entry.path());
        }
    }
    Ok(())
}

fn visit(
    name: &str,
    files: &HashMap<String, PathBuf>,
    seen: &mut HashSet<String>,
    order: &mut Vec<Module>,
) -> Result<()> {
    if !seen.insert(name.to_owned()) {
        return Ok(());
    }
    let Some(path) = files.get(name) else {
        return Ok(());
    };
    let bytes = read(path)?;
    for needed in depends(&bytes) {
        visit(&needed.replace('-', "_"), files, seen, order)?;
    }
    order.push(Module {
        name: name.to_owned(),
        bytes,
    });
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_some_and(|extension| extension == "xz") {
        let output = Command::new("xz")
            .args(["--decompress", "--stdout"])
            .arg(path)
            .output()
            .context("cannot start xz")?;
        ensure!(output.status.success(), "xz cannot read {}", path.display());
        return Ok(output.stdout);
    }
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The names in a module's `depends=` line.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module.get(at + KEY.len()..).unwrap_or_default();
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(0);
    let value = value.get(..end).unwrap_or_default();
    String::from_utf8_lossy(value)
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_modinfo() {
        assert_eq!(
            depends(b"license=GPL\0depends=garp,mrp\0name=8021q\0"),
            ["garp", "mrp"]
        );
        assert!(depends(b"license=GPL\0depends=\0").is_empty());
        assert!(depends(b"license=GPL\0").is_empty());
    }
}
