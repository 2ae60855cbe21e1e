//! One image in the kernel, pinned as a whole.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use aya::Ebpf;
use aya::maps::{Array, Map, MapData};
use filter_ebpf::abi::Pod;

use super::counters::Counters;
use super::error::{KernelError, Result};
use super::load::{self, ENTRIES};
use super::pins::{self, Pins};
use super::shared::broken;
use super::sys;
use super::wire::Wire;

/// Maps of an image that user space needs later. The others live as long as
/// the programs that use them; the program array does not, it loses its
/// entries with its last user in user space.
const MAPS: &[&str] = &["TAIL", "ACCESS", "COUNTERS", "CATEGORY_COUNTERS"];

/// A generation as it lies below its folder.
#[derive(Clone, Debug)]
pub struct Generation {
    number: u32,
    folder: PathBuf,
}

impl Generation {
    /// Pins what was loaded.
    ///
    /// # Errors
    /// When a pin cannot be made; the folder is removed again.
    pub(crate) fn pin(pins: &Pins, number: u32, ebpf: &Ebpf) -> Result<Self> {
        let generation = Self {
            number,
            folder: pins.generation(number),
        };
        let pinned = generation.pin_all(ebpf);
        if pinned.is_err() {
            // The first error tells more than one of the cleaning.
            let _ = generation.remove();
        }
        pinned.map(|()| generation)
    }

    fn pin_all(&self, ebpf: &Ebpf) -> Result<()> {
        pins::make(&self.folder)?;
        let pin = |name: &str, fd| {
            let path = self.folder.join(name);
            sys::pin(fd, &path).map_err(KernelError::io(format!("cannot pin {}", path.display())))
        };
        for name in MAPS {
            let map = ebpf
                .map(name)
                .and_then(load::data)
                .ok_or_else(|| KernelError::Object(format!("map {name} is missing")))?;
            pin(name, map.fd().as_fd())?;
        }
        for name in ENTRIES {
            pin(name, load::program_fd(ebpf, name)?)?;
        }
        Ok(())
    }

    /// A generation found below the root; `None` when it is not whole.
    pub(crate) fn find(pins: &Pins, number: u32) -> Option<Self> {
        let generation = Self {
            number,
            folder: pins.generation(number),
        };
        let whole = MAPS
            .iter()
            .chain(ENTRIES)
            .all(|name| generation.folder.join(name).exists());
        whole.then_some(generation)
    }

    /// Number of the image, as in its configuration.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Counters of all CPUs, summed.
    ///
    /// # Errors
    /// When the pins are gone.
    pub fn counters(&self) -> Result<Counters> {
        Counters::read(
            self.open("COUNTERS")?.as_fd(),
            self.open("CATEGORY_COUNTERS")?.as_fd(),
        )
    }

    /// Opens a pinned program or map.
    pub(crate) fn open(&self, name: &str) -> Result<OwnedFd> {
        let path = self.folder.join(name);
        sys::open_pin(&path).map_err(KernelError::io(format!("cannot open {}", path.display())))
    }

    /// Opens a pinned array.
    pub(crate) fn array<V: Pod>(&self, name: &str) -> Result<Array<MapData, Wire<V>>> {
        let map = MapData::from_pin(self.folder.join(name)).map_err(broken(name))?;
        Array::try_from(Map::Array(map)).map_err(broken(name))
    }

    /// Path of a pin.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Removes the pins; what no link runs any more then goes.
    pub(crate) fn remove(&self) -> Result<()> {
        pins::remove(&self.folder)
    }
}
