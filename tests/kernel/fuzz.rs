//! The fuzzers' inputs beside the host's inspectors; `cargo xtask fuzz
//! --kernel` runs more of them.

use anyhow::{Context as _, Result};
use filter_fuzz::{Random, Target, files, regressions};
use filter_tests::differential::{Differential, Inputs};

/// Of each target: seconds for all of them, here.
const INPUTS: u64 = 3_000;
/// On an emulated machine, which is slow: its verifier and its compiler are
/// what differs there, not the inputs.
const EMULATED: u64 = 600;
const BATCH: u64 = 300;

#[test]
fn kernel_and_host_agree_on_mutated_inputs() -> Result<()> {
    let all = match std::env::var_os("FILTER_TESTS_MACHINE") {
        Some(_) => EMULATED,
        None => INPUTS,
    };
    for target in Target::ALL {
        let inputs = Inputs::new(target, 3)?;
        let mut differential = Differential::new()?;
        for first in (0..all).step_by(BATCH as usize) {
            let batch: Vec<_> = (first..first + BATCH).map(|at| inputs.input(at)).collect();
            let differences = differential.compare(target, &batch)?;
            assert!(differences.is_empty(), "{first}: {differences:#?}");
        }
        // A run that reaches nothing would agree about everything.
        let compared = differential.compared;
        assert_eq!(compared.inputs, all, "{target:?}");
        assert!(compared.refused > all / 10, "{target:?} {compared:?}");
        assert!(compared.named > all / 20, "{target:?} {compared:?}");
        assert!(
            compared.frames > compared.refused,
            "{target:?} {compared:?}"
        );
    }
    Ok(())
}

#[test]
fn kernel_and_host_agree_on_every_difference_found() -> Result<()> {
    for target in Target::ALL {
        let mut inputs = Vec::new();
        for path in files(&regressions(target), "bin")? {
            let input = std::fs::read(&path).with_context(|| path.display().to_string())?;
            // Many ways of cutting it.
            inputs.extend((0..40).map(|index| (input.clone(), Random::new(1, index))));
        }
        assert!(!inputs.is_empty(), "{target:?}");
        let differences = Differential::new()?.compare(target, &inputs)?;
        assert!(differences.is_empty(), "{target:?}: {differences:#?}");
    }
    Ok(())
}
