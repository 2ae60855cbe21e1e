//! How full the maps are that outlive an image, and what they lost.

use std::os::fd::AsFd as _;

use filter_ebpf::abi::EventBudget;

use super::error::{KernelError, Result};
use super::shared::Shared;
use super::sys;

/// Hash maps whose entries are counted one by one (0.3 µs each).
const HASHES: [(&str, &str); 2] = [("quic_hellos", "QUIC_HELLOS"), ("reported", "REPORTED")];

/// Arrays of words that are 0 where nothing is kept.
const ARRAYS: [(&str, &str); 3] = [
    ("flows", "FLOW_TAGS"),
    ("hellos", "HELLO_TAGS"),
    ("starts", "STARTS"),
];

/// Events that the kernel did not send, since the filter came up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostEvents {
    /// The ring was full: the agent did not read in time.
    pub full: u64,
    /// Refused packets past a core's share of events in a second.
    pub over: u64,
}

impl Shared {
    /// Events that did not come through.
    ///
    /// # Errors
    /// When the pin is gone.
    pub fn lost_events(&self) -> Result<LostEvents> {
        let map = self.open_map("REPORT_BUDGET")?;
        let add = |sum: &mut LostEvents, one: EventBudget| {
            sum.full = sum.full.wrapping_add(one.full);
            sum.over = sum.over.wrapping_add(one.over);
        };
        let sums = sys::sum_per_cpu(map.as_fd(), LostEvents::default(), add)
            .map_err(KernelError::io("cannot read REPORT_BUDGET"))?;
        Ok(sums.first().copied().unwrap_or_default())
    }

    /// Share of each map in use, by its name for metrics. Takes some tens of
    /// milliseconds when the maps are full.
    ///
    /// The kept hellos (`CONTENTS`) are a ring that is always full; the
    /// overrides are counted where they are written.
    ///
    /// # Errors
    /// When a pin is gone.
    pub fn fill(&self) -> Result<Vec<(&'static str, f64)>> {
        let mut fill = Vec::new();
        let failed = |name| KernelError::io(format!("cannot count map {name}"));
        for (shown, name) in HASHES {
            let map = self.open_map(name)?;
            fill.push((shown, sys::hash_fill(map.as_fd()).map_err(failed(name))?));
        }
        for (shown, name) in ARRAYS {
            let map = self.open_map(name)?;
            fill.push((shown, sys::array_fill(map.as_fd()).map_err(failed(name))?));
        }
        Ok(fill)
    }
}
