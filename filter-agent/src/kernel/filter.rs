//! The filter in the kernel: what is in force, and putting another image in
//! its place.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd as _;
use std::path::Path;

use aya::programs::ProgramInfo;
use filter_ebpf::abi;

use super::access::AccessMap;
use super::attach::{self, Attached, Hook, HookKind, Interface, Pinned, Side};
use super::contents::Contents;
use super::counters::Counters;
use super::error::{KernelError, Result};
use super::generation::Generation;
use super::load;
use super::pins::{self, Pins};
use super::preflight::netlink::xdp_program;
use super::shared::Shared;
use super::swap::{Prepared, take_off};
use super::{object, sys};

/// The filter below one root of the bpf filesystem.
///
/// Dropping it changes nothing in the kernel: the filter stays until
/// [`Filter::detach`].
#[derive(Debug)]
pub struct Filter {
    pub(super) pins: Pins,
    pub(super) shared: Shared,
    pub(super) current: Option<Generation>,
    pub(super) tcx: bool,
}

/// What an [`Filter::apply`] did.
#[derive(Debug)]
pub struct Applied {
    /// Number of the image now in force.
    pub generation: u32,
    /// How each hook is attached; only hooks that were attached anew.
    pub attached: Vec<(Hook, Attached)>,
    /// The image that went, with its last counters.
    pub retired: Option<Retired>,
    /// What could not be cleaned up behind it; the next apply tries again.
    pub leftovers: Vec<KernelError>,
}

/// An image that was in force.
#[derive(Debug)]
pub struct Retired {
    pub generation: u32,
    pub counters: Counters,
}

impl Filter {
    /// Opens what is below `root`, made by this agent or the one before it,
    /// or prepares an empty root. Attaches nothing.
    ///
    /// # Errors
    /// When the bpf filesystem cannot be written or holds something else.
    pub fn open(root: &Path) -> Result<Self> {
        Self::open_with(root, attach::has_tcx())
    }

    /// As [`Self::open`], with or without TCX links, whatever the kernel has:
    /// kernels before 6.6 go by a tc filter, and tests check both.
    #[doc(hidden)]
    pub fn open_with(root: &Path, tcx: bool) -> Result<Self> {
        let pins = Pins::new(root);
        pins::make(root)?;
        pins::make(&pins.links())?;
        let object = load::parse(object())?;
        load::check_object(&object)?;
        let shared = Shared::open(&pins, &object)?;
        let mut filter = Self {
            pins,
            shared,
            current: None,
            tcx,
        };
        filter.current = filter.find_current()?;
        Ok(filter)
    }

    /// The image in force, if any.
    pub fn current(&self) -> Option<&Generation> {
        self.current.as_ref()
    }

    /// The maps that outlive an image.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Access entries of the image in force, for writing.
    ///
    /// # Errors
    /// When nothing is loaded or the pins are gone.
    pub fn access(&self) -> Result<AccessMap> {
        let current = self.current.as_ref().ok_or(KernelError::NotLoaded)?;
        AccessMap::open(current, &self.shared)
    }

    /// Counters of the image in force.
    ///
    /// # Errors
    /// When nothing is loaded or the pins are gone.
    pub fn counters(&self) -> Result<Counters> {
        self.current
            .as_ref()
            .ok_or(KernelError::NotLoaded)?
            .counters()
    }

    /// Keys of the box's hashes.
    pub fn secret(&self) -> abi::Secret {
        self.shared.secret()
    }

    /// A number for the next image, above every one that flows may know.
    ///
    /// # Errors
    /// When the root cannot be read.
    pub fn next_generation(&self) -> Result<u32> {
        let last = self
            .pins
            .generations()?
            .last()
            .map_or(0, |last| last.number);
        Ok(last.max(self.current.as_ref().map_or(0, Generation::number)) + 1)
    }

    /// Hooks that are attached and alive, by their pins.
    ///
    /// # Errors
    /// When the pins cannot be read.
    pub fn hooks(&self) -> Result<Vec<Hook>> {
        let links = self.pins.links();
        let mut alive = Vec::new();
        for hook in self.pinned_hooks()? {
            if matches!(attach::pinned(hook, &links)?, Pinned::Live { .. }) {
                alive.push(hook);
            }
        }
        Ok(alive)
    }

    /// How the XDP program of an interface hangs there, as the kernel tells;
    /// `None` when it does not.
    pub fn hangs_on(&self, ifindex: u32, side: Side) -> Option<Attached> {
        let kind = HookKind::ingress(side);
        let hook = Hook { kind, ifindex };
        let ours = match attach::pinned(hook, &self.pins.links()) {
            Ok(Pinned::Live { program_id, .. }) => Some(program_id),
            Ok(Pinned::Dead | Pinned::Nothing) => return None,
            // A filesystem that cannot be read takes no program off.
            Err(_) => None,
        };
        let program = xdp_program(ifindex).ok().flatten()?;
        let ours = ours.is_none_or(|ours| ours == program.id);
        ours.then_some(if program.generic {
            Attached::Generic
        } else {
            Attached::Native
        })
    }

    /// Hangs the image in force on interfaces that have none yet: those that
    /// came behind it. It does not know their numbers, so what comes from a
    /// LAN side is dropped until the next image.
    ///
    /// # Errors
    /// When nothing is loaded, or an interface takes no program; the others
    /// have theirs.
    pub fn hang(&self, interfaces: &[Interface]) -> Result<()> {
        let current = self.current.as_ref().ok_or(KernelError::NotLoaded)?;
        let links = self.pins.links();
        // Somebody may have removed it with all pins.
        pins::make(&links)?;
        self.let_go_of_dead()?;
        let mut done = Ok(());
        for interface in interfaces {
            let ifindex = interface.ifindex;
            let kind = HookKind::ingress(interface.side);
            let hook = Hook { kind, ifindex };
            if matches!(attach::pinned(hook, &links)?, Pinned::Live { .. }) {
                continue;
            }
            let hung = current
                .open(kind.program())
                .and_then(|program| attach::attach_xdp(hook, interface, program.as_fd(), &links));
            done = done.and(hung.map(drop));
        }
        done
    }

    /// Makes an image beside the present one: maps, verified programs, pins.
    /// Nothing that is in force changes, and dropping the result undoes it.
    ///
    /// # Errors
    /// When the number is not above the one in force, or the kernel refuses
    /// a map or program.
    pub fn prepare(&self, contents: &Contents<'_>) -> Result<Prepared> {
        self.prepare_from(object(), contents)
    }

    /// As [`Self::prepare`], from another object than the embedded one: tests
    /// try broken ones.
    #[doc(hidden)]
    pub fn prepare_from(&self, object: &[u8], contents: &Contents<'_>) -> Result<Prepared> {
        let number = contents.config.generation;
        self.check_number(number)?;
        // What an apply cut short left behind.
        pins::remove(&self.pins.generation(number))?;
        let ebpf = load::load(object, &contents.config, &contents.maps, Some(&self.shared))?;
        let generation = Generation::pin(&self.pins, number, &ebpf)?;
        let access = AccessMap::open(&generation, &self.shared)?;
        Ok(Prepared::new(generation, access))
    }

    /// Puts an image in force on `interfaces`: all steps at once.
    ///
    /// # Errors
    /// The old image is in force, whole, and the new one is gone.
    pub fn apply(&mut self, contents: &Contents<'_>, interfaces: &[Interface]) -> Result<Applied> {
        let prepared = self.prepare(contents)?;
        let mut swapped = self.swap(prepared, interfaces)?;
        let retired = swapped.retire();
        Ok(Applied {
            generation: swapped.generation,
            attached: std::mem::take(&mut swapped.attached),
            retired,
            leftovers: swapped.clean(),
        })
    }

    pub(super) fn check_number(&self, number: u32) -> Result<()> {
        if self.current.as_ref().is_some_and(|c| c.number() >= number) || number == 0 {
            return Err(KernelError::Contents(format!(
                "generation {number} is not above the one in force"
            )));
        }
        Ok(())
    }

    /// Takes the filter off: the only thing that does.
    ///
    /// # Errors
    /// When pins cannot be removed; some hooks may be off already.
    pub fn detach(root: &Path) -> Result<()> {
        let pins = Pins::new(root);
        for name in pins::names(&pins.links())? {
            if let Some(hook) = Hook::from_pin_name(&name) {
                take_off(hook, &pins)?;
            }
        }
        sys::wait_for_running_programs();
        pins::remove(root)
    }

    /// The newest generation that a hook runs.
    fn find_current(&self) -> Result<Option<Generation>> {
        let links = self.pins.links();
        let mut running = BTreeSet::new();
        for hook in self.pinned_hooks()? {
            if let Pinned::Live { program_id, .. } = attach::pinned(hook, &links)? {
                running.insert(program_id);
            }
        }
        for folder in self.pins.generations()?.iter().rev().filter(|f| f.ours) {
            let Some(generation) = Generation::find(&self.pins, folder.number) else {
                continue;
            };
            let ids = program_ids(&generation)?;
            if ids.values().any(|id| running.contains(id)) {
                return Ok(Some(generation));
            }
        }
        Ok(None)
    }

    /// Lets go of hooks whose interface is gone. One that came back under
    /// another number (from another network namespace) has its hook on it
    /// still, and takes no second one.
    pub(super) fn let_go_of_dead(&self) -> Result<()> {
        let links = self.pins.links();
        for hook in self.pinned_hooks()? {
            if matches!(attach::pinned(hook, &links)?, Pinned::Dead) {
                take_off(hook, &self.pins)?;
            }
        }
        Ok(())
    }

    pub(super) fn pinned_hooks(&self) -> Result<BTreeSet<Hook>> {
        Ok(pins::names(&self.pins.links())?
            .iter()
            .filter_map(|name| Hook::from_pin_name(name))
            .collect())
    }
}

/// Kernel's numbers of a generation's programs.
fn program_ids(generation: &Generation) -> Result<BTreeMap<&'static str, u32>> {
    load::ENTRIES
        .iter()
        .map(|name| {
            let info = ProgramInfo::from_pin(generation.path(name))
                .map_err(|error| KernelError::Contents(format!("program {name}: {error}")))?;
            Ok((*name, info.id()))
        })
        .collect()
}
