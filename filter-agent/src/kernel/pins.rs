//! Where things lie below the bpf filesystem.
//!
//! `ROOT/shared-vVERSION-SHAPES/MAP` are the maps that outlive an image,
//! `ROOT/gen-NUMBER-vVERSION/{MAP,PROGRAM}` one image,
//! `ROOT/links/HOOK-IFINDEX` the attachments; VERSION is the contract's. A name on a bpf filesystem must not hold a dot, so interfaces
//! go by their index.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use filter_ebpf::abi;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::error::{KernelError, Result};

/// Where the filter pins itself unless told otherwise.
pub const DEFAULT_ROOT: &str = "/sys/fs/bpf/school-filter";

/// A generation's folder as its name tells.
pub(crate) struct GenerationFolder {
    pub number: u32,
    /// It speaks this agent's version of the contract.
    pub ours: bool,
    pub path: PathBuf,
}

/// Held by the one agent that serves the filter below a root. It goes with
/// its process, however that ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] Flock<File>);

impl Lock {
    /// Takes the lock of a root, which is made where there is none.
    ///
    /// # Errors
    /// When another agent has it, or the bpf filesystem cannot be read.
    pub fn take(root: &Path) -> Result<Self> {
        make(root)?;
        let folder =
            File::open(root).map_err(KernelError::io(format!("cannot open {}", root.display())))?;
        match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self(lock)),
            Err((_, Errno::EWOULDBLOCK)) => Err(KernelError::Served(root.to_owned())),
            Err((_, error)) => Err(KernelError::io(format!("cannot lock {}", root.display()))(
                error.into(),
            )),
        }
    }
}

/// Paths below one root.
#[derive(Clone, Debug)]
pub(crate) struct Pins {
    root: PathBuf,
}

impl Pins {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(crate) fn shared(&self, layout: &str) -> PathBuf {
        self.root.join(format!("shared-{layout}"))
    }

    pub(crate) fn generation(&self, number: u32) -> PathBuf {
        self.root.join(format!("gen-{number}-v{}", abi::VERSION))
    }

    pub(crate) fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    /// Generations that have a folder, ascending by number.
    pub(crate) fn generations(&self) -> Result<Vec<GenerationFolder>> {
        let mut folders: Vec<GenerationFolder> = names(&self.root)?
            .iter()
            .filter_map(|name| {
                let (number, version) = name.strip_prefix("gen-")?.split_once("-v")?;
                Some(GenerationFolder {
                    number: number.parse().ok()?,
                    ours: version.parse() == Ok(abi::VERSION),
                    path: self.root.join(name),
                })
            })
            .collect();
        folders.sort_unstable_by_key(|folder| folder.number);
        Ok(folders)
    }

    /// Folders of shared maps other than `layout`'s.
    pub(crate) fn stale_shared(&self, layout: &str) -> Result<Vec<PathBuf>> {
        let current = format!("shared-{layout}");
        Ok(names(&self.root)?
            .into_iter()
            .filter(|name| name.starts_with("shared-") && *name != current)
            .map(|name| self.root.join(name))
            .collect())
    }
}

/// Names in a folder; none when the folder does not exist.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let what = || format!("cannot read {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(KernelError::io(what())(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(KernelError::io(what()))?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes a folder and those above it.
pub(crate) fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(KernelError::io(format!(
        "cannot make {} (is a bpf filesystem mounted there?)",
        folder.display()
    )))
}

/// Removes a folder with its pins; it may be gone already.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(KernelError::io(format!(
            "cannot remove {}",
            folder.display()
        ))(error)),
    }
}
