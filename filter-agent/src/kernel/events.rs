//! Events as they come out of the kernel.

use aya::maps::{Map, MapData, RingBuf};
use filter_ebpf::abi::{self, Pod as _};
use tokio::io::unix::AsyncFd;

use super::error::{KernelError, Result};
use super::filter::Filter;
use super::shared::broken;

/// The reading end of the ring buffer; there must be one only.
pub struct Events {
    ring: AsyncFd<RingBuf<MapData>>,
    /// Records of another size than this agent's events.
    foreign: u64,
}

impl Events {
    /// Opens the ring buffer inside a tokio runtime with I/O.
    ///
    /// # Errors
    /// When the pin is gone.
    pub fn open(filter: &Filter) -> Result<Self> {
        let map = Map::RingBuf(filter.shared().map("EVENTS")?);
        let ring = RingBuf::try_from(map).map_err(broken("EVENTS"))?;
        // SAFETY: the ring owns its descriptor and closes it when dropped,
        // with the registration.
        let ring = unsafe { AsyncFd::register(ring) }.map_err(broken("EVENTS"))?;
        Ok(Self { ring, foreign: 0 })
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// When the ring cannot be waited for.
    pub async fn next(&mut self) -> Result<abi::Event> {
        loop {
            let mut guard = self
                .ring
                .readable_mut()
                .await
                .map_err(KernelError::io("cannot wait for events"))?;
            while let Some(record) = guard.get_inner_mut().next() {
                if record.len() == size_of::<abi::Event>()
                    && let Some(event) = abi::Event::from_bytes(&record)
                {
                    return Ok(event);
                }
                self.foreign += 1;
            }
            guard.clear_ready();
        }
    }

    /// Records that were skipped because they are no events of this version.
    pub fn foreign(&self) -> u64 {
        self.foreign
    }
}
