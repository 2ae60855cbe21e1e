//! From one image to the next, hook by hook.

use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, OwnedFd};

use filter_ebpf::abi::Access;

use super::access::AccessMap;
use super::attach::{self, Attached, Hook, HookKind, Interface, Pinned};
use super::error::{KernelError, Result};
use super::filter::{Filter, Retired};
use super::generation::Generation;
use super::pins::{self, Pins};
use super::sys;

/// An image in the kernel that no hook runs yet; it goes when dropped.
pub struct Prepared {
    generation: Generation,
    access: AccessMap,
    /// A hook runs it.
    kept: bool,
}

impl Prepared {
    pub(super) fn new(generation: Generation, access: AccessMap) -> Self {
        Self {
            generation,
            access,
            kept: false,
        }
    }

    /// Writes its rooms' doors, as they are by now.
    ///
    /// # Errors
    /// When there are more doors than rooms, or one is not in order.
    pub fn write_doors(&mut self, doors: &[Access]) -> Result<()> {
        self.access.put((0..).zip(doors))
    }

    fn keep(mut self) -> Generation {
        self.kept = true;
        self.generation.clone()
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.kept {
            // A hook may have run it for a moment.
            sys::wait_for_running_programs();
            // What stays the next apply removes.
            let _ = self.generation.remove();
        }
    }
}

/// An image that is in force; the one before it is not gone yet.
#[derive(Debug)]
pub struct Swapped {
    pins: Pins,
    layout: String,
    /// Number of the image now in force.
    pub generation: u32,
    /// How each hook is attached; only hooks that were attached anew.
    pub attached: Vec<(Hook, Attached)>,
    /// The image before; no hook runs it any more.
    pub old: Option<Generation>,
    leftovers: Vec<KernelError>,
}

impl Swapped {
    /// Waits until no packet is in the old image any more (some tens of
    /// milliseconds), then reads its last counters.
    pub fn retire(&mut self) -> Option<Retired> {
        sys::wait_for_running_programs();
        let old = self.old.as_ref()?;
        match old.counters() {
            Ok(counters) => Some(Retired {
                generation: old.number(),
                counters,
            }),
            Err(error) => {
                self.leftovers.push(error);
                None
            }
        }
    }

    /// Removes every folder of another image or layout; tells what could not
    /// be removed. Only behind [`Self::retire`]: a packet in the old image
    /// needs its program array.
    pub fn clean(mut self) -> Vec<KernelError> {
        let removed = self.remove_others();
        self.leftovers.extend(removed.err());
        self.leftovers
    }

    fn remove_others(&self) -> Result<()> {
        for folder in self.pins.generations()? {
            if !(folder.ours && folder.number == self.generation) {
                pins::remove(&folder.path)?;
            }
        }
        for folder in self.pins.stale_shared(&self.layout)? {
            pins::remove(&folder)?;
        }
        Ok(())
    }
}

impl Filter {
    /// Replaces the program of each hook of `interfaces`, in one step each;
    /// interfaces that are no longer named are let go.
    ///
    /// # Errors
    /// The old image is in force, whole, and the new one is gone.
    pub fn swap(&mut self, prepared: Prepared, interfaces: &[Interface]) -> Result<Swapped> {
        self.check_number(prepared.generation.number())?;
        self.let_go_of_dead()?;
        let (next, attached) = Swap::run(self, prepared, interfaces)?;
        let mut leftovers = Vec::new();
        let wanted: BTreeSet<Hook> = interfaces.iter().flat_map(Hook::of).collect();
        let pinned = self.pinned_hooks().unwrap_or_else(|error| {
            leftovers.push(error);
            BTreeSet::new()
        });
        for hook in pinned.difference(&wanted) {
            leftovers.extend(take_off(*hook, &self.pins).err());
        }
        Ok(Swapped {
            pins: self.pins.clone(),
            layout: self.shared.layout().to_owned(),
            generation: next.number(),
            attached,
            old: self.current.replace(next),
            leftovers,
        })
    }
}

/// Lets go of a hook. A link goes with its pin; a tc filter by netlink.
pub(super) fn take_off(hook: Hook, pins: &Pins) -> Result<()> {
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
    fn run(
        filter: &Filter,
        prepared: Prepared,
        interfaces: &[Interface],
    ) -> Result<(Generation, Vec<(Hook, Attached)>)> {
        let mut swap = Swap {
            filter,
            next: &prepared.generation,
            done: Vec::new(),
            fresh: Vec::new(),
        };
        let hooks = interfaces
            .iter()
            .flat_map(|interface| Hook::of(interface).map(move |hook| (hook, interface)));
        for (hook, interface) in hooks {
            if let Err(error) = swap.hook(hook, interface) {
                if !swap.undo() {
                    // A hook still runs it, and needs its pins.
                    prepared.keep();
                }
                return Err(error);
            }
        }
        let attached = swap.fresh;
        Ok((prepared.keep(), attached))
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
            Pinned::Dead | Pinned::Nothing => {}
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
