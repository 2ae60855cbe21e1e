//! `cargo xtask test`: everything, on this kernel and on Debian's.

use anyhow::Result;

use crate::suite::Suite;
use crate::{setup, vm};

pub(crate) fn run() -> Result<()> {
    setup::run()?;
    let suite = Suite::build()?;
    let mut tally = suite.run()?;
    match vm::tests(&suite, "") {
        Ok(ran) => tally.add(&ran),
        Err(error) => tally.fail("vm", &format!("{error:#}")),
    }
    tally.close()
}
