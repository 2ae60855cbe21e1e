//! `cargo xtask vm`: the kernel tests on Debian's kernels, under QEMU.

mod initramfs;
mod kernels;
mod machine;
mod modules;

use std::path::PathBuf;
use std::thread;

use anyhow::{Result, bail};

use crate::exec::step;
use crate::suite::{Suite, Target};
use crate::tally::Tally;

pub(crate) use kernels::kernels;

/// Builds the tests and runs them on every kernel but the local one.
pub(crate) fn run(only: &str) -> Result<()> {
    crate::setup::run()?;
    let suite = Suite::build()?;
    let tally = tests(&suite, only)?;
    tally.close()
}

/// Runs the test binaries that are fit for a machine, once per kernel; of them
/// the tests whose name contains `only`.
pub(crate) fn tests(suite: &Suite, only: &str) -> Result<Tally> {
    let mut tally = Tally::default();
    let kernels = kernels()?;
    for series in kernels::series() {
        if !kernels.iter().any(|kernel| kernel.series == *series) {
            tally.skip(
                &format!("vm {series}"),
                "this Debian release offers no cloud kernel of that series",
            );
        }
    }
    let targets: Vec<&Target> = suite
        .targets()
        .filter(|target| target.in_machine())
        .collect();
    let files = suite.files();
    // A machine keeps one core busy: side by side they take as long as one.
    let ran = thread::scope(|scope| {
        let machines: Vec<_> = kernels
            .iter()
            .map(|kernel| {
                scope.spawn(|| {
                    step(&format!("kernel {}: tests", kernel.release), || {
                        machine::run(kernel, &targets, &files, only)
                    })
                })
            })
            .collect();
        machines
            .into_iter()
            .map(|machine| machine.join())
            .collect::<Vec<_>>()
    });
    for ran in ran {
        match ran {
            Ok(ran) => tally.add(&ran?),
            Err(_) => bail!("a machine's thread panicked"),
        }
    }
    Ok(tally)
}

/// Programs of this machine that tests in a virtual one call.
pub(crate) fn tools() -> Vec<PathBuf> {
    ["ip", "tc", "ethtool", "curl", "openssl"]
        .iter()
        .filter_map(|name| {
            ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
                .iter()
                .map(|folder| PathBuf::from(folder).join(name))
                .find(|path| path.exists())
        })
        .collect()
}
