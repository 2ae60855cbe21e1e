//! The filter in the kernel: what is in force, and putting another image in
//! its place.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use aya::programs::ProgramInfo;
use filter_ebpf::abi;

use super::access::AccessMap;
use super::attach::{self, Attached, Hook, HookKind, Interface, Pinned};
use super::contents::Contents;
use super::counters::Counters;
use super::error::{KernelError, Result};
use super::generation::Generation;
use super::load;
use super::pins::{self, Pins};
use super::shared::Shared;
use super::{object, sys};

/// The filter below one root of the bpf filesystem.
///
/// Dropping it changes nothing in the kernel: the filter stays until
/// [`Filter::detach`].
#[derive(Debug)]
pub struct Filter {
    pins: Pins,
    shared: Shared,
    current: Option<Generation>,
    tcx: bool,
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

    /// Puts an image in force on `interfaces`: builds it beside the present
    /// one, verifies and pins it, then replaces the program of each hook in
    /// one step. Interfaces that are no longer named are let go.
    ///
    /// # Errors
    /// The old image is in force, whole, and the new one is gone.
    pub fn apply(&mut self, contents: &Contents<'_>, interfaces: &[Interface]) -> Result<Applied> {
        let number = contents.config.generation;
        if self.current.as_ref().is_some_and(|c| c.number() >= number) || number == 0 {
            return Err(KernelError::Contents(format!(
                "generation {number} is not above the one in force"
            )));
        }
        // What an apply cut short left behind.
        pins::remove(&self.pins.generation(number))?;
        let ebpf = load::load(
            object(),
            &contents.config,
            &contents.maps,
            Some(&self.shared),
        )?;
        let next = Generation::pin(&self.pins, number, &ebpf)?;
        drop(ebpf);
        let mut swap = Swap {
            filter: self,
            next: &next,
            done: Vec::new(),
            fresh: Vec::new(),
        };
        match swap.run(interfaces) {
            Ok(()) => {
                let attached = std::mem::take(&mut swap.fresh);
                Ok(self.finish(next, interfaces, attached))
            }
            Err(error) => {
                if swap.undo() {
                    sys::wait_for_running_programs();
                    // The first error tells more than one of the cleaning.
                    let _ = next.remove();
                }
                Err(error)
            }
        }
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

    /// After every hook runs the new image: let go of what is not needed.
    fn finish(
        &mut self,
        next: Generation,
        interfaces: &[Interface],
        attached: Vec<(Hook, Attached)>,
    ) -> Applied {
        let generation = next.number();
        let old = self.current.replace(next);
        let mut leftovers = Vec::new();
        let wanted: BTreeSet<Hook> = interfaces.iter().flat_map(Hook::of).collect();
        let pinned = self.pinned_hooks().unwrap_or_else(|error| {
            leftovers.push(error);
            BTreeSet::new()
        });
        for hook in pinned.difference(&wanted) {
            leftovers.extend(take_off(*hook, &self.pins).err());
        }
        // The old image may be in the middle of a packet; its program array
        // and its last counts are needed until it is through.
        sys::wait_for_running_programs();
        let retired = old.and_then(|old| match old.counters() {
            Ok(counters) => Some(Retired {
                generation: old.number(),
                counters,
            }),
            Err(error) => {
                leftovers.push(error);
                None
            }
        });
        leftovers.extend(self.remove_others(generation).err());
        Applied {
            generation,
            attached,
            retired,
            leftovers,
        }
    }

    /// Removes every folder of another image or layout.
    fn remove_others(&self, generation: u32) -> Result<()> {
        for folder in self.pins.generations()? {
            if !(folder.ours && folder.number == generation) {
                pins::remove(&folder.path)?;
            }
        }
        for folder in self.pins.stale_shared(self.shared.layout())? {
            pins::remove(&folder)?;
        }
        Ok(())
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

    fn pinned_hooks(&self) -> Result<BTreeSet<Hook>> {
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

/// Lets go of a hook. A link goes with its pin; a tc filter by netlink.
fn take_off(hook: Hook, pins: &Pins) -> Result<()> {
    if hook.kind == HookKind::LanIngress
        && let Some(name) = interface_name(hook.ifindex)
    {
        attach::remove_tc_filter(&name)?;
    }
    let path = hook.pin_path(&pins.links());
    std::fs::remove_file(&path)
        .map_err(KernelError::io(format!("cannot remove {}", path.display())))
}

fn interface_name(ifindex: u32) -> Option<String> {
    nix::net::if_::if_indextoname(ifindex)
        .ok()?
        .into_string()
        .ok()
}

/// Hook by hook from the old programs to the new ones, or back.
struct Swap<'a> {
    filter: &'a Filter,
    next: &'a Generation,
    done: Vec<Done>,
    fresh: Vec<(Hook, Attached)>,
}

/// A step that can be taken back.
enum Done {
    /// The link of this hook ran program number `old` before.
    Replaced { link: OwnedFd, old: u32 },
    /// This hook was empty before.
    Attached(Hook),
    /// The tc filter of this interface ran the old generation before.
    Filter(Interface),
}

impl Swap<'_> {
    fn run(&mut self, interfaces: &[Interface]) -> Result<()> {
        for interface in interfaces {
            for hook in Hook::of(interface) {
                self.hook(hook, interface)?;
            }
        }
        Ok(())
    }

    fn hook(&mut self, hook: Hook, interface: &Interface) -> Result<()> {
        let program = self.next.open(hook.kind.program())?;
        if hook.kind == HookKind::LanEgress && !self.filter.tcx {
            let attached =
                attach::attach_tc_filter(interface, &self.next.path(hook.kind.program()))?;
            self.done.push(Done::Filter(interface.clone()));
            self.fresh.push((hook, attached));
            return Ok(());
        }
        let links = self.filter.pins.links();
        match attach::pinned(hook, &links)? {
            Pinned::Live { link, program_id } => {
                sys::link_update(link.as_fd(), program.as_fd()).map_err(|error| {
                    KernelError::Attach {
                        interface: interface.name.clone(),
                        problem: format!("cannot replace {}: {error}", hook.kind.program()),
                    }
                })?;
                self.done.push(Done::Replaced {
                    link,
                    old: program_id,
                });
                return Ok(());
            }
            Pinned::Dead => take_off(hook, &self.filter.pins)?,
            Pinned::Nothing => {}
        }
        let attached = if hook.kind == HookKind::LanEgress {
            attach::attach_tcx(hook, interface, program.as_fd(), &links)?
        } else {
            attach::attach_xdp(hook, interface, program.as_fd(), &links)?
        };
        self.done.push(Done::Attached(hook));
        self.fresh.push((hook, attached));
        Ok(())
    }

    /// Takes every step back, the last one first, and tells whether all of
    /// them were. A hook of which the step cannot be taken back goes on with
    /// the new image, which is whole too.
    fn undo(&mut self) -> bool {
        let mut all = true;
        while let Some(done) = self.done.pop() {
            all &= match done {
                Done::Replaced { link, old } => sys::program_by_id(old)
                    .and_then(|old| sys::link_update(link.as_fd(), old.as_fd()))
                    .is_ok(),
                Done::Attached(hook) => take_off(hook, &self.filter.pins).is_ok(),
                Done::Filter(interface) => match &self.filter.current {
                    Some(old) => attach::attach_tc_filter(
                        &interface,
                        &old.path(HookKind::LanEgress.program()),
                    )
                    .is_ok(),
                    None => attach::remove_tc_filter(&interface.name).is_ok(),
                },
            };
        }
        all
    }
}
