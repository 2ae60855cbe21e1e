//! Counters that go on across images.

use std::collections::{BTreeMap, BTreeSet};

use filter_ebpf::abi::{Count, Reason, Verdict};

use crate::kernel::Counters;

/// Frames that belong to no room.
const NO_ROOM: &str = "(none)";
/// Rooms and categories that are counted apart; further ones of policies long
/// gone are counted together.
const MAX_NAMES: usize = 2048;
/// Where those are counted.
const OTHERS: &str = "(former)";

/// Sums by name, so that a room keeps its count when its number changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    rooms: BTreeMap<(String, u8, u8), Count>,
    categories: BTreeMap<(String, u8), Count>,
    names: BTreeSet<String>,
}

impl Totals {
    /// Adds what one image counted, its numbers being positions in `rooms`
    /// and `categories`.
    pub fn add_image(&mut self, counters: &Counters, rooms: &[String], categories: &[String]) {
        for (room, verdict, reason, count) in counters.iter() {
            let name = rooms.get(room as usize).map_or(NO_ROOM, String::as_str);
            self.add(name, verdict, reason, count);
        }
        for (category, verdict, count) in counters.iter_categories() {
            if let Some(name) = categories.get(usize::from(category)) {
                self.add_category(name, verdict, count);
            }
        }
    }

    /// Adds to a room.
    pub fn add(&mut self, room: &str, verdict: Verdict, reason: Reason, count: Count) {
        let key = (self.name(room), verdict as u8, reason as u8);
        plus(self.rooms.entry(key).or_default(), count);
    }

    /// Adds to a category.
    pub fn add_category(&mut self, category: &str, verdict: Verdict, count: Count) {
        let key = (self.name(category), verdict as u8);
        plus(self.categories.entry(key).or_default(), count);
    }

    /// Packets of a room that passed, and that did not.
    pub fn of_room(&self, room: &str) -> (u64, u64) {
        self.sum(|name| name == room)
    }

    /// Packets that passed, and that did not.
    pub fn all(&self) -> (u64, u64) {
        self.sum(|_| true)
    }

    /// Every room's counts.
    pub fn rooms(&self) -> impl Iterator<Item = (&str, Verdict, Reason, Count)> {
        self.rooms.iter().map(|((name, verdict, reason), count)| {
            let verdict = Verdict::from_u8(*verdict);
            (name.as_str(), verdict, Reason::from_u8(*reason), *count)
        })
    }

    /// Every category's counts.
    pub fn categories(&self) -> impl Iterator<Item = (&str, Verdict, Count)> {
        self.categories
            .iter()
            .map(|((name, verdict), count)| (name.as_str(), Verdict::from_u8(*verdict), *count))
    }

    fn sum(&self, of: impl Fn(&str) -> bool) -> (u64, u64) {
        let mut sums = (0, 0);
        for (name, verdict, _, count) in self.rooms() {
            if of(name) {
                match verdict {
                    Verdict::Pass => sums.0 += count.packets,
                    Verdict::Drop | Verdict::Reject => sums.1 += count.packets,
                }
            }
        }
        sums
    }

    fn name(&mut self, name: &str) -> String {
        if !self.names.contains(name) {
            if self.names.len() >= MAX_NAMES {
                return OTHERS.to_owned();
            }
            self.names.insert(name.to_owned());
        }
        name.to_owned()
    }
}

fn plus(sum: &mut Count, count: Count) {
    sum.packets = sum.packets.wrapping_add(count.packets);
    sum.bytes = sum.bytes.wrapping_add(count.bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_nothing_is_lost() {
        let mut totals = Totals::default();
        let count = Count {
            packets: 1,
            bytes: 60,
        };
        for room in 0..MAX_NAMES + 10 {
            totals.add(&room.to_string(), Verdict::Pass, Reason::Handshake, count);
            totals.add("0", Verdict::Drop, Reason::RoomClosed, count);
        }
        let all = MAX_NAMES as u64 + 10;
        assert_eq!(totals.rooms().count(), MAX_NAMES + 2);
        assert_eq!(totals.of_room(OTHERS), (10, 0));
        assert_eq!(totals.of_room("0"), (1, all));
        assert_eq!(totals.all(), (all, all));
    }
}
