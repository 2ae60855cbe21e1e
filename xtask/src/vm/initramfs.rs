//! Writes an initramfs: a cpio archive of the "newc" kind
//! (kernel: `Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// An archive in memory; files of a few hundred MiB at most.
#[derive(Default)]
pub(crate) struct Initramfs {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    entries: u32,
}

impl Initramfs {
    /// Adds a folder and those above it; `path` is absolute in the machine.
    pub(crate) fn folder(&mut self, path: &str) -> Result<()> {
        let path = path.trim_matches('/');
        if path.is_empty() || self.folders.contains(path) {
            return Ok(());
        }
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above)?;
        }
        self.folders.insert(path.to_owned());
        self.entry(path, 0o040_755, &[])
    }

    /// Adds a file with its folders.
    pub(crate) fn file(&mut self, path: &str, executable: bool, content: &[u8]) -> Result<()> {
        let path = path.trim_start_matches('/');
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above)?;
        }
        let mode = if executable { 0o100_755 } else { 0o100_644 };
        self.entry(path, mode, content)
    }

    /// Adds a file of this machine at `path`; symbolic links are followed.
    pub(crate) fn copy(&mut self, from: &Path, path: &str) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        let executable = fs::metadata(from)?.permissions().mode() & 0o111 != 0;
        self.file(path, executable, &content)
    }

    /// Ends the archive and writes it to `to`.
    pub(crate) fn write(mut self, to: &Path) -> Result<()> {
        self.entry("TRAILER!!!", 0, &[])?;
        fs::write(to, &self.bytes).with_context(|| format!("cannot write {}", to.display()))
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entries += 1;
        let size = u32::try_from(content.len()).context("a file is too long for an initramfs")?;
        let name = u32::try_from(path.len() + 1).context("a path is too long")?;
        // inode, mode, uid, gid, links, mtime, size, device ×4, name's length, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name, 0];
        self.bytes.write_all(b"070701")?;
        for field in fields {
            write!(self.bytes, "{field:08x}")?;
        }
        self.bytes.write_all(path.as_bytes())?;
        self.bytes.push(0);
        self.pad();
        self.bytes.write_all(content)?;
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        let full = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(full, 0);
    }
}
