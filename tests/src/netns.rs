//! Hosts of the lab: network namespaces without names.
//!
//! A host lives as long as somebody holds it: the test program by open files,
//! the programs on it by running. When the test program ends, however it ends,
//! the kernel takes back the host with its links, addresses and pinned maps.
//! So nothing has to be swept up.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

/// A network namespace with its own view of `/sys`, of the BPF file system,
/// of `/run` and of `/var/lib`.
#[derive(Debug)]
pub struct Host {
    name: String,
    net: File,
    mounts: File,
}

impl Host {
    /// Makes a host with nothing but a loopback device.
    pub fn new(name: &str) -> Result<Self> {
        let (net, mounts) = thread::scope(|scope| scope.spawn(namespaces).join())
            .map_err(|_| anyhow::anyhow!("the thread that makes {name} panicked"))?
            .with_context(|| format!("cannot make the host {name} (root is needed)"))?;
        let host = Self {
            name: name.to_owned(),
            net,
            mounts,
        };
        // Nobody else has the lab's addresses: no second of waiting for that.
        host.sysctl("net/ipv6/conf/default/accept_dad", "0")?;
        host.sysctl("net/ipv6/conf/default/router_solicitations", "0")?;
        host.ip("link set lo up\n")?;
        Ok(host)
    }

    /// The name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The network namespace as a path that `ip … netns PATH` takes.
    pub fn path(&self) -> PathBuf {
        let process = std::process::id();
        PathBuf::from(format!("/proc/{process}/fd/{}", self.net.as_raw_fd()))
    }

    /// A command that will run on this host, and die with the thread that
    /// starts it. Its working directory is `/`.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let net = self.net.as_raw_fd();
        let mounts = self.mounts.as_raw_fd();
        let enter = move || {
            // SAFETY: the host's files are open while a command is started
            // from it, and a fork keeps them.
            let (net, mounts) = unsafe {
                (
                    std::os::fd::BorrowedFd::borrow_raw(net),
                    std::os::fd::BorrowedFd::borrow_raw(mounts),
                )
            };
            setns(net, CloneFlags::CLONE_NEWNET)?;
            setns(mounts, CloneFlags::CLONE_NEWNS)?;
            set_pdeathsig(Signal::SIGKILL)?;
            Ok(())
        };
        // SAFETY: only system calls between fork and exec.
        unsafe { command.pre_exec(enter) };
        command.stdin(Stdio::null());
        command
    }

    /// Runs `work` in a thread of its own on this host.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let inside = || {
            // A thread that shares its root with others may not change mounts.
            unshare(CloneFlags::CLONE_FS)?;
            setns(self.net.as_fd(), CloneFlags::CLONE_NEWNET)?;
            setns(self.mounts.as_fd(), CloneFlags::CLONE_NEWNS)?;
            work()
        };
        thread::scope(|scope| scope.spawn(inside).join())
            .map_err(|_| anyhow::anyhow!("work on {} panicked", self.name))?
    }

    /// Runs lines of `ip -batch`.
    pub fn ip(&self, lines: &str) -> Result<()> {
        let mut child = self
            .command("ip")
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start ip (package iproute2)")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(lines.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!(
                "on {}: ip -batch: {}\n{lines}",
                self.name,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }

    /// Runs a command to its end and returns its output; an error names it.
    pub fn output(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self
            .command(program)
            .args(arguments)
            .output()
            .with_context(|| format!("cannot start {program}"))?;
        ensure!(
            output.status.success(),
            "on {}: {program} {} ended with {}: {}",
            self.name,
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Adds lines to a file for this host alone; the machine's stays as it is.
    pub fn overlay(&self, path: &Path, more: &str) -> Result<()> {
        self.run(|| {
            let text = fs::read_to_string(path)? + more;
            let own = Path::new("/run").join(path.file_name().context("a file has a name")?);
            fs::write(&own, text)?;
            let none = None::<&str>;
            mount(Some(&own), path, none, MsFlags::MS_BIND, none)
                .with_context(|| format!("cannot cover {}", path.display()))
        })
    }

    /// Writes a network setting, such as `net/ipv4/ip_forward`.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        self.run(|| {
            let path = format!("/proc/sys/{name}");
            fs::write(&path, value).with_context(|| format!("cannot write {path}"))
        })
    }

    /// The number of one of this host's interfaces.
    pub fn index(&self, interface: &str) -> Result<u32> {
        self.run(|| {
            let path = format!("/sys/class/net/{interface}/ifindex");
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            Ok(text.trim().parse()?)
        })
    }

    /// Makes a veth pair between this host and another, both ends up, with
    /// everything off that makes packets which no wire carries: segments of
    /// 64 KiB, checksums left to a card, VLAN tags beside the frame.
    pub fn cable(&self, end: &str, other: &Host, far_end: &str, mtu: u32) -> Result<()> {
        self.ip(&format!(
            "link add {end} mtu {mtu} type veth peer name {far_end} mtu {mtu} netns {}\n\
             link set {end} up\n",
            other.path().display()
        ))?;
        other.ip(&format!("link set {far_end} up\n"))?;
        self.plain_frames(end)?;
        other.plain_frames(far_end)
    }

    fn plain_frames(&self, interface: &str) -> Result<()> {
        let mut arguments = vec!["-K", interface];
        for feature in [
            "tso",
            "gso",
            "gro",
            "tx",
            "txvlan",
            "rxvlan",
            "tx-vlan-stag-hw-insert",
            "rx-vlan-stag-hw-parse",
        ] {
            arguments.extend([feature, "off"]);
        }
        self.output("ethtool", &arguments).map(|_| ())
    }
}

/// Moves the calling thread into new namespaces and opens them.
fn namespaces() -> Result<(File, File)> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("cannot make the mounts private")?;
    for (kind, place) in [
        ("sysfs", "/sys"),
        ("bpf", "/sys/fs/bpf"),
        ("tmpfs", "/run"),
        ("tmpfs", "/var/lib"),
    ] {
        mount(Some(kind), place, Some(kind), MsFlags::empty(), none)
            .with_context(|| format!("cannot mount {kind} at {place}"))?;
    }
    Ok((
        File::open("/proc/thread-self/ns/net")?,
        File::open("/proc/thread-self/ns/mnt")?,
    ))
}
