//! Debian's kernels: downloaded and unpacked below `target/vm`, never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::exec::{exec, output, step};
use crate::paths;

/// The series every test runs on, beside the local kernel: the floor, and
/// what Debian 13 ships.
const SERIES: &[&str] = &["6.1", "6.12"];

/// An unpacked kernel package.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// The series, such as `6.1`.
    pub(crate) series: &'static str,
    /// What `uname -r` says there.
    pub(crate) release: String,
    /// The folder with `boot` and `lib/modules`.
    pub(crate) root: PathBuf,
}

impl Kernel {
    /// The bootable image.
    pub(crate) fn image(&self) -> PathBuf {
        self.root.join("boot/vmlinuz-".to_owned() + &self.release)
    }

    /// The folder with the modules.
    pub(crate) fn modules(&self) -> PathBuf {
        self.root.join("usr/lib/modules").join(&self.release)
    }
}

/// Every kernel of [`SERIES`] that is there or that Debian offers; a series
/// that Debian does not offer is named and left out.
pub(crate) fn kernels() -> Result<Vec<Kernel>> {
    let mut found = Vec::new();
    for series in SERIES {
        match unpacked(series)? {
            Some(kernel) => {
                println!("==> kernel {}: is there", kernel.release);
                found.push(kernel);
            }
            None => match fetch(series)? {
                Some(kernel) => found.push(kernel),
                None => println!("==> kernel {series}: not offered by this Debian release"),
            },
        }
    }
    Ok(found)
}

/// The series that [`kernels`] looks for.
pub(crate) fn series() -> &'static [&'static str] {
    SERIES
}

fn folder(series: &str) -> PathBuf {
    paths::target().join("vm").join(series)
}

fn unpacked(series: &'static str) -> Result<Option<Kernel>> {
    let root = folder(series);
    if !root.join("complete").exists() {
        return Ok(None);
    }
    let boot = root.join("boot");
    for entry in fs::read_dir(&boot).with_context(|| format!("cannot read {}", boot.display()))? {
        let name = entry?.file_name();
        if let Some(release) = name.to_str().and_then(|name| name.strip_prefix("vmlinuz-")) {
            let release = release.to_owned();
            return Ok(Some(Kernel {
                series,
                release,
                root,
            }));
        }
    }
    Ok(None)
}

fn fetch(series: &'static str) -> Result<Option<Kernel>> {
    let Some(package) = newest(series)? else {
        return Ok(None);
    };
    step(&format!("kernel {series}: fetching {package}"), || {
        let root = folder(series);
        if root.exists() {
            fs::remove_dir_all(&root)
                .with_context(|| format!("cannot clear {}", root.display()))?;
        }
        fs::create_dir_all(&root)?;
        exec(
            Command::new("apt-get")
                .current_dir(&root)
                // Root's folders are closed to apt's own user.
                .args(["--quiet", "-o", "APT::Sandbox::User=root", "download"])
                .arg(&package),
        )?;
        let archive = archive(&root)?;
        exec(
            Command::new("dpkg-deb")
                .arg("--extract")
                .arg(&archive)
                .arg(&root),
        )?;
        fs::remove_file(&archive)?;
        // Debian 12 keeps modules below /lib, newer ones below /usr/lib.
        if root.join("lib/modules").exists() {
            fs::create_dir_all(root.join("usr"))?;
            fs::rename(root.join("lib"), root.join("usr/lib"))?;
        }
        fs::write(root.join("complete"), "")?;
        let kernel = unpacked(series)?;
        ensure!(kernel.is_some(), "{package} holds no boot/vmlinuz-*");
        Ok(kernel)
    })
}

fn archive(folder: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            return Ok(path);
        }
    }
    anyhow::bail!("apt-get download left no package in {}", folder.display())
}

/// The newest signed cloud kernel of a series; `None` when there is none.
fn newest(series: &str) -> Result<Option<String>> {
    let pattern = format!(
        r"^linux-image-{}\..*-cloud-amd64$",
        series.replace('.', r"\.")
    );
    let found = output(Command::new("apt-cache").args(["search", "--names-only", &pattern]))?;
    Ok(found
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .max_by_key(|name| numbers(name))
        .map(str::to_owned))
}

/// The numbers in a name, so that 6.1.0-9 comes before 6.1.0-10.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_sort_by_number() {
        assert!(
            numbers("linux-image-6.1.0-9-cloud-amd64")
                < numbers("linux-image-6.1.0-10-cloud-amd64")
        );
        assert!(
            numbers("linux-image-6.12.9+deb12-cloud-amd64")
                < numbers("linux-image-6.12.107+deb12-cloud-amd64")
        );
    }
}
