//! Opening and closing rooms of the image in force.

use aya::maps::{Array, MapData};
use filter_ebpf::abi::{self, Access, OverrideHeader};

use super::error::{KernelError, Result};
use super::generation::Generation;
use super::shared::{Shared, broken};
use super::wire::Wire;

/// Access entries of one image, by room.
pub struct AccessMap {
    entries: Array<MapData, Wire<Access>>,
    header: Array<MapData, Wire<OverrideHeader>>,
}

impl AccessMap {
    pub(crate) fn open(generation: &Generation, shared: &Shared) -> Result<Self> {
        Ok(Self {
            entries: generation.array("ACCESS")?,
            header: shared.array("OVERRIDE_HEADER")?,
        })
    }

    /// Rooms of the image.
    pub fn rooms(&self) -> u32 {
        self.entries.len()
    }

    /// What the kernel goes by for a room.
    ///
    /// # Errors
    /// When the image has no such room.
    pub fn read(&self, room: u32) -> Result<Access> {
        let Wire(access) = self.entries.get(&room, 0).map_err(broken("ACCESS"))?;
        Ok(access)
    }

    /// Writes rooms, then has every flow judged again (in 10 ms or less:
    /// the kernel sees the new epoch with its next packet).
    ///
    /// # Errors
    /// When a room does not exist or its spans are not sorted and disjoint;
    /// nothing is written then.
    pub fn write<'a>(
        &mut self,
        rooms: impl IntoIterator<Item = (u32, &'a Access)> + Clone,
    ) -> Result<()> {
        self.put(rooms)?;
        raise_epoch(&mut self.header, |_| {})
    }

    /// As [`Self::write`], for an image that no hook runs yet.
    pub(super) fn put<'a>(
        &mut self,
        rooms: impl IntoIterator<Item = (u32, &'a Access)> + Clone,
    ) -> Result<()> {
        let count = self.rooms();
        for (room, access) in rooms.clone() {
            if room >= count {
                return Err(KernelError::Contents(format!(
                    "room {room} does not exist, the image has {count}"
                )));
            }
            check(access).map_err(|problem| {
                KernelError::Contents(format!("access of room {room}: {problem}"))
            })?;
        }
        for (room, access) in rooms {
            self.entries
                .set(room, Wire(*access), 0)
                .map_err(broken("ACCESS"))?;
        }
        Ok(())
    }
}

/// Changes the header of the overrides and raises its epoch, in one write:
/// flows judged under another epoch are judged again.
pub(crate) fn raise_epoch(
    map: &mut Array<MapData, Wire<OverrideHeader>>,
    change: impl FnOnce(&mut OverrideHeader),
) -> Result<()> {
    let Wire(mut header) = map.get(&0, 0).map_err(broken("OVERRIDE_HEADER"))?;
    change(&mut header);
    header.epoch = header.epoch.wrapping_add(1);
    map.set(0, Wire(header), 0)
        .map_err(broken("OVERRIDE_HEADER"))
}

/// The kernel searches the spans by bisection, so they must be in order.
pub(crate) fn check(access: &Access) -> Result<(), &'static str> {
    let Some(spans) = access.spans.get(..access.spans_len as usize) else {
        return Err("more spans than it holds");
    };
    if spans.iter().any(|span| span.start >= span.end) {
        return Err("a span ends before it starts");
    }
    if spans.windows(2).any(|pair| pair[0].end > pair[1].start) {
        return Err("spans overlap or are out of order");
    }
    if access.mode > abi::Mode::Closed as u32 {
        return Err("an unknown mode");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use filter_ebpf::abi::Span;

    #[test]
    fn only_sorted_disjoint_spans_are_written() {
        let mut access = Access::UNKNOWN;
        access.spans_len = 2;
        access.spans[0] = Span { start: 10, end: 20 };
        access.spans[1] = Span { start: 20, end: 30 };
        assert_eq!(check(&access), Ok(()));
        access.spans[1].start = 19;
        assert!(check(&access).is_err());
        access.spans[1] = Span { start: 25, end: 25 };
        assert!(check(&access).is_err());
        access.spans_len = 193;
        assert!(check(&access).is_err());
    }
}
