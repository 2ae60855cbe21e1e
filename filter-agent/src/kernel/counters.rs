//! What the kernel counted, summed over all CPUs.

use std::io;
use std::os::fd::BorrowedFd;

use filter_ebpf::abi::{Count, Reason, Verdict, counter_index};

use super::error::{KernelError, Result};
use super::sys;

/// Counters of one generation at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    rooms: u32,
    by_reason: Vec<Count>,
    by_category: Vec<Count>,
}

impl Counters {
    /// Reads both counter maps.
    pub(crate) fn read(reasons: BorrowedFd<'_>, categories: BorrowedFd<'_>) -> Result<Self> {
        let sum = |map| -> io::Result<Vec<Count>> {
            sys::sum_per_cpu(map, Count::default(), |sum: &mut Count, one: Count| {
                sum.packets = sum.packets.wrapping_add(one.packets);
                sum.bytes = sum.bytes.wrapping_add(one.bytes);
            })
        };
        let by_reason = sum(reasons).map_err(KernelError::io("cannot read COUNTERS"))?;
        Ok(Self {
            rooms: (by_reason.len() as u32 / entries(0)).saturating_sub(1),
            by_reason,
            by_category: sum(categories)
                .map_err(KernelError::io("cannot read CATEGORY_COUNTERS"))?,
        })
    }

    /// Rooms counted for; index `rooms` holds frames of no room.
    pub fn rooms(&self) -> u32 {
        self.rooms
    }

    /// Packets and bytes of a room (or, one past the last, of no room).
    pub fn of(&self, room: u32, verdict: Verdict, reason: Reason) -> Count {
        self.by_reason
            .get(counter_index(room, verdict, reason) as usize)
            .copied()
            .unwrap_or_default()
    }

    /// Packets and bytes that a category decided.
    pub fn of_category(&self, category: u8, verdict: Verdict) -> Count {
        self.by_category
            .get(usize::from(category) * 3 + verdict as usize)
            .copied()
            .unwrap_or_default()
    }

    /// Every counter that is not zero: room, verdict, reason, count.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Verdict, Reason, Count)> + '_ {
        (0..=self.rooms).flat_map(move |room| {
            Verdict::ALL.into_iter().flat_map(move |verdict| {
                Reason::ALL.iter().filter_map(move |reason| {
                    let count = self.of(room, verdict, *reason);
                    (count.packets > 0).then_some((room, verdict, *reason, count))
                })
            })
        })
    }

    /// Every category counter that is not zero.
    pub fn iter_categories(&self) -> impl Iterator<Item = (u8, Verdict, Count)> + '_ {
        (0..=(self.by_category.len() / 3).min(255) as u8).flat_map(move |category| {
            Verdict::ALL.into_iter().filter_map(move |verdict| {
                let count = self.of_category(category, verdict);
                (count.packets > 0).then_some((category, verdict, count))
            })
        })
    }
}

/// Entries of `COUNTERS` for a number of rooms.
pub(crate) fn entries(rooms: u32) -> u32 {
    counter_index(rooms + 1, Verdict::Pass, Reason::Unknown)
}
