//! Brings a bare Debian to the point where everything builds and tests run.
//!
//! Idempotent: what is there is not fetched again. Nothing outside the
//! project's folder is touched but by the package manager, and the mount of
//! the BPF file system, which every boot of a systemd machine makes anyway.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::exec::{exec, output, step};
use crate::{paths, vm};

const BPF_LINKER: &str = "0.13.0";

/// Debian packages, by what they are for.
type Packages = [(&'static str, &'static [&'static str])];

/// What building needs.
const BUILD: &Packages = &[
    (
        "the kernel half",
        &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"],
    ),
    (
        "bpf-linker",
        &[
            "llvm-22-dev",
            "libzstd-dev",
            "zlib1g-dev",
            "libxml2-dev",
            "build-essential",
            "pkg-config",
        ],
    ),
];

/// What testing needs besides.
const TEST: &Packages = &[
    (
        "the lab",
        &[
            "iproute2",
            "ethtool",
            "curl",
            "openssl",
            "chromium",
            "firefox-esr",
            "prometheus",
            "python3-venv",
        ],
    ),
    (
        "virtual machines",
        &["qemu-system-x86", "busybox-static", "xz-utils", "binutils"],
    ),
    (
        "the benchmark's peers",
        &["nftables", "iptables", "ipset", "bpftool"],
    ),
];

/// Python packages of the lab's HTTP/3 server and of its browser-like clients.
const WHEELS: &[&str] = &["aioquic==1.7.2", "curl_cffi==0.16.3", "tls-client==2.0.0"];

/// The linker for BPF objects, built by [`run`] into `target/tools`.
pub(crate) fn bpf_linker() -> PathBuf {
    paths::target().join("tools/bin/bpf-linker")
}

/// Installs what is missing; takes seconds where nothing is.
pub(crate) fn run() -> Result<()> {
    fit_machine()?;
    packages(&[BUILD, TEST])?;
    linker()?;
    wheels()?;
    bpffs()?;
    vm::kernels()?;
    println!("==> set-up is complete");
    Ok(())
}

/// Installs what building needs and no more: a school's box wants no browsers.
/// Who has it all needs neither root nor Debian.
pub(crate) fn builder() -> Result<()> {
    if !(is_debian() && is_root()) && bpf_linker().exists() {
        return Ok(());
    }
    fit_machine()?;
    packages(&[BUILD])?;
    linker()
}

fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// One message for whoever cannot be helped by this command.
fn fit_machine() -> Result<()> {
    let debian = is_debian();
    if debian && is_root() {
        return Ok(());
    }
    let why = if debian {
        "this command needs root: it installs packages, loads programs into the kernel \
         and makes network namespaces"
    } else {
        "this command knows Debian's package manager only"
    };
    let mut list = String::new();
    for (purpose, names) in BUILD.iter().chain(TEST) {
        list.push_str(&format!("\n  for {purpose}: {}", names.join(" ")));
    }
    bail!(
        "{why}.\nRun it as root on Debian 12 or newer, or install by hand, by Debian's names:{list}\n\
         then: LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --locked --version {BPF_LINKER} \
         --no-default-features --features llvm-22 --root {}",
        paths::target().join("tools").display()
    );
}

fn packages(sets: &[&Packages]) -> Result<()> {
    let wanted: Vec<&str> = sets
        .iter()
        .flat_map(|set| set.iter())
        .flat_map(|(_, names)| *names)
        .copied()
        .collect();
    let missing = missing(&wanted)?;
    if missing.is_empty() {
        println!("==> Debian packages: all {} are there", wanted.len());
        return Ok(());
    }
    step(&format!("Debian packages: {}", missing.join(" ")), || {
        exec(Command::new("apt-get").args(["update", "--quiet"]))?;
        exec(
            Command::new("apt-get")
                .args(["install", "--yes", "--no-install-recommends"])
                .args(&missing)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    })
}

fn missing<'a>(wanted: &[&'a str]) -> Result<Vec<&'a str>> {
    // Unknown packages make dpkg-query fail, and it lists the others all the same.
    let listed = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\n"])
        .args(wanted)
        .output()
        .context("cannot start dpkg-query")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let there = |name: &str| {
        listed
            .lines()
            .any(|line| line.split_once(' ') == Some((name, "installed")))
    };
    Ok(wanted.iter().copied().filter(|name| !there(name)).collect())
}

fn linker() -> Result<()> {
    let linker = bpf_linker();
    let version = output(Command::new(&linker).arg("--version")).unwrap_or_default();
    if version.trim().ends_with(BPF_LINKER) {
        println!("==> bpf-linker {BPF_LINKER}: is there");
        return Ok(());
    }
    step(
        &format!("bpf-linker {BPF_LINKER}: building (some minutes, once)"),
        || {
            exec(
                Command::new("cargo")
                    .args(["install", "--locked", "--force"])
                    .args(["bpf-linker", "--version", BPF_LINKER])
                    .args(["--no-default-features", "--features", "llvm-22", "--root"])
                    .arg(paths::target().join("tools"))
                    .env("LLVM_PREFIX", "/usr/lib/llvm-22"),
            )
        },
    )
}

fn wheels() -> Result<()> {
    let venv = paths::target().join("venv");
    let stamp = venv.join("installed");
    let want = WHEELS.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == want) {
        println!("==> Python packages for the lab: are there");
        return Ok(());
    }
    step(
        &format!("Python packages for the lab: {}", WHEELS.join(" ")),
        || {
            exec(
                Command::new("/usr/bin/python3")
                    .args(["-m", "venv", "--clear"])
                    .arg(&venv),
            )?;
            exec(
                // Not bin/pip: that names the folder which it was made in, which
                // may be another one in a copied tree.
                Command::new(venv.join("bin/python"))
                    .args(["-m", "pip", "install", "--quiet"])
                    .arg("--disable-pip-version-check")
                    .args(WHEELS),
            )?;
            fs::write(&stamp, want).with_context(|| format!("cannot write {}", stamp.display()))
        },
    )
}

fn bpffs() -> Result<()> {
    let mounts = fs::read_to_string("/proc/mounts").context("cannot read /proc/mounts")?;
    if mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == Some("/sys/fs/bpf"))
    {
        println!("==> BPF file system: is mounted");
        return Ok(());
    }
    step("BPF file system: mounting at /sys/fs/bpf", || {
        exec(Command::new("mount").args(["-t", "bpf", "bpf", "/sys/fs/bpf"]))
    })
}
