//! The test programs of the workspace: building, listing, running them here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::exec::{exec, follow, output, step};
use crate::tally::Tally;
use crate::{ebpf, paths};

/// Past this a test program hangs.
const LIMIT: Duration = Duration::from_secs(900);

/// Programs that touch this machine's network or clock: one test at a time,
/// and every line of theirs is shown.
const ALONE: &[&str] = &["evasions", "kernel", "vlan", "agent", "lab", "quick"];
/// Those that also run on other kernels. They need no tools but those of
/// [`crate::vm::tools`].
const IN_MACHINES: &[&str] = &["evasions", "kernel", "vlan"];

/// One test program.
#[derive(Debug)]
pub(crate) struct Target {
    name: String,
    /// The package's folder, where its tests run.
    folder: PathBuf,
    executable: PathBuf,
}

impl Target {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn executable(&self) -> &Path {
        &self.executable
    }

    pub(crate) fn in_machine(&self) -> bool {
        IN_MACHINES.contains(&self.name.as_str())
    }

    fn alone(&self) -> bool {
        ALONE.contains(&self.name.as_str())
    }

    /// Where the program stands in a run: quick ones first.
    fn rank(&self) -> usize {
        ALONE
            .iter()
            .position(|name| *name == self.name)
            .map_or(0, |position| position + 1)
    }

    fn run(&self) -> Result<Tally> {
        let mut command = Command::new(&self.executable);
        command
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder);
        if self.alone() {
            command.arg("--test-threads=1");
        }
        run(&self.name, command, self.alone())
    }
}

/// Everything built that tests need.
pub(crate) struct Suite {
    targets: Vec<Target>,
}

impl Suite {
    /// Builds the kernel half, the agent and all tests.
    pub(crate) fn build() -> Result<Self> {
        step("building the kernel half", ebpf::build)?;
        step("building the benchmark's peers", ebpf::peers)?;
        // One call for programs and tests: two would build what both depend
        // on twice, once for each set of features.
        step("building the agent and the tests", || {
            let built = output(
                Command::new("cargo")
                    .current_dir(paths::root())
                    .args(["build", "--workspace", "--bins", "--tests"])
                    .arg("--message-format=json-render-diagnostics")
                    .stderr(Stdio::inherit()),
            )?;
            let mut targets: Vec<Target> = built.lines().filter_map(target).collect();
            targets.sort_by(|a, b| (a.rank(), &a.name).cmp(&(b.rank(), &b.name)));
            Ok(Self { targets })
        })
    }

    pub(crate) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter()
    }

    /// What tests read at run time: the agent, the BPF objects, the cases.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        vec![
            paths::target().join("debug/filter-agent"),
            paths::bpf_object(),
            paths::switch_object(),
            paths::root().join("tests"),
        ]
    }

    /// Runs every program on this kernel, then the examples in the docs.
    pub(crate) fn run(&self) -> Result<Tally> {
        let mut tally = Tally::default();
        for target in &self.targets {
            tally.add(&target.run()?);
        }
        let mut examples = Command::new("cargo");
        examples
            .current_dir(paths::root())
            .args(["test", "--workspace", "--doc", "--quiet"]);
        tally.add(&run("examples in the docs", examples, false)?);
        Ok(tally)
    }
}

/// Builds the programs that tests and the demo start.
pub(crate) fn programs() -> Result<()> {
    exec(
        Command::new("cargo")
            .current_dir(paths::root())
            .args([
                "build",
                "--package",
                "filter-agent",
                "--package",
                "filter-tests",
            ])
            .arg("--bins"),
    )
}

/// Reads one line of cargo's messages.
fn target(line: &str) -> Option<Target> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message.get("profile")?.get("test")?.as_bool() != Some(true) {
        return None;
    }
    let executable = message.get("executable")?.as_str()?;
    let manifest = Path::new(message.get("manifest_path")?.as_str()?);
    Some(Target {
        name: message.get("target")?.get("name")?.as_str()?.to_owned(),
        folder: manifest.parent()?.to_owned(),
        executable: executable.into(),
    })
}

fn run(name: &str, mut command: Command, show: bool) -> Result<Tally> {
    println!("==> tests: {name}");
    let (lines, writer) = std::io::pipe().context("cannot make a pipe")?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    // The command holds the pipe's writing ends, which must close.
    drop(command);
    let mut tally = Tally::default();
    let followed = follow(lines, LIMIT, |line| {
        tally.line(line);
        let quiet = line.is_empty() || line.ends_with(" ... ok") || line.starts_with("running ");
        if show || !quiet {
            println!("    {line}");
        }
    });
    if let Err(error) = followed {
        // It may have ended this very moment.
        let _ = child.kill();
        tally.fail(name, &error.to_string());
    }
    let status = child.wait().context("cannot wait for a test program")?;
    if !status.success() && !tally.failed_any() {
        tally.fail(name, &format!("ended with {status}"));
    }
    Ok(tally)
}
