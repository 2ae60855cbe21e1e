//! The policy's interfaces, and the filter's way back onto those that come
//! and go: a hook vanishes with its interface (a card that is plugged in
//! anew, a driver that starts again), and without the agent nobody would hang
//! the filter on the new one.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use nix::net::if_::if_nametoindex;

use super::{Core, Daemon, InForce, Options, kernel};
use crate::control::api::Interface;
use crate::control::{Code, Failure};
use crate::kernel::preflight::{self, Level};
use crate::kernel::{self as k, Attached, LinkWatch, Mode, Side};
use crate::policy::Policy;
use crate::words::{Message, Said};

/// In `links` of an image: an interface that is not there.
const NOBODY: u32 = u32::MAX;
/// [`Interface::mode`] of one on which the filter does not hang.
pub(super) const LOOSE: &str = "none";

/// What may be missing when an image is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Somebody asks for it: nothing, so that mistakes are told.
    Asked,
    /// The agent does it by itself: interfaces. A timetable goes on although
    /// a card is gone.
    Again,
    /// The agent starts: lists, and interfaces as long as one to the rooms is
    /// there. A filter without the rest is better than none.
    Start,
}

/// The policy's interfaces, each with its side.
pub(super) fn sides(policy: &Policy) -> impl Iterator<Item = (&str, Side)> {
    let lan = policy.network.lan.iter().map(|name| (&**name, Side::Lan));
    lan.chain(policy.network.wan.iter().map(|name| (&**name, Side::Wan)))
}

/// Interface indices of the LAN side, in the policy's order: rooms name them
/// by their place.
pub(super) fn links(policy: &Policy) -> Vec<u32> {
    let names = policy.network.lan.iter();
    names
        .map(|name| if_nametoindex(&**name).unwrap_or(NOBODY))
        .collect()
}

/// The interfaces that are there.
///
/// # Errors
/// One is missing that must not be.
pub(super) fn present(policy: &Policy, occasion: Occasion) -> Result<Vec<k::Interface>, Failure> {
    let mut present = Vec::new();
    let mut missing = None;
    for (name, side) in sides(policy) {
        match if_nametoindex(name) {
            Ok(ifindex) => present.push(k::Interface {
                name: name.to_owned(),
                ifindex,
                side,
                mode: attach_mode(policy),
            }),
            Err(_) => missing = missing.or(Some(name)),
        }
    }
    let enough = match occasion {
        Occasion::Asked => missing.is_none(),
        Occasion::Again => true,
        Occasion::Start => present.iter().any(|interface| interface.side == Side::Lan),
    };
    match missing {
        Some(name) if !enough => Err(Failure::new(
            Code::PolicyError,
            format!(
                "{}: [network] names the interface {name}, which this machine does not have; \
                 `ip link` shows those it has",
                policy.path.display()
            ),
        )),
        _ => Ok(present),
    }
}

fn attach_mode(policy: &Policy) -> Mode {
    if policy.network.generic {
        Mode::NativeOrGeneric
    } else {
        Mode::Native
    }
}

/// Refuses to filter blind, and tells what was changed; at the start also
/// what is good to know.
pub(super) fn look_first(
    options: &Options,
    policy: &Policy,
    occasion: Occasion,
) -> Result<(), Failure> {
    let present = present(policy, occasion)?;
    let named = present.iter().map(|i| (&*i.name, i.side));
    let found = preflight::check(&options.pins, named, attach_mode(policy));
    if let Some(refusal) = found.refusal() {
        return Err(Failure::new(Code::Kernel, refusal));
    }
    for (interface, finding) in found.findings() {
        if occasion != Occasion::Start && finding.level == Level::Note {
            continue;
        }
        let place = interface
            .map(|name| format!("{name}: "))
            .unwrap_or_default();
        eprintln!("filter-agent: {place}{}", finding.text);
    }
    Ok(())
}

/// The policy's interfaces, and how the filter hangs on each by now.
pub(super) fn shown(policy: &Policy, filter: &k::Filter) -> Vec<Interface> {
    sides(policy)
        .map(|(name, side)| Interface {
            name: name.to_owned(),
            side: match side {
                Side::Lan => "lan".to_owned(),
                Side::Wan => "wan".to_owned(),
            },
            mode: if_nametoindex(name)
                .ok()
                .and_then(|ifindex| filter.hangs_on(ifindex, side))
                .map_or(LOOSE, Attached::name)
                .to_owned(),
        })
        .collect()
}

impl Core {
    /// Interfaces on which the filter does not hang, present or not, or
    /// which the image does not know.
    fn loose(&self) -> BTreeSet<String> {
        let InForce { policy, links, .. } = &*self.now;
        let bare = shown(policy, &self.filter).into_iter();
        let bare = bare.filter(|interface| interface.mode == LOOSE);
        let strange =
            policy.network.lan.iter().filter(|name| {
                if_nametoindex(&***name).is_ok_and(|ifindex| !links.contains(&ifindex))
            });
        let strange = strange.cloned();
        bare.map(|interface| interface.name)
            .chain(strange)
            .collect()
    }
}

impl Daemon {
    /// Every interface of the policy in force, as it is by now.
    pub(super) fn interfaces(&self, in_force: &InForce) -> Vec<Interface> {
        shown(&in_force.policy, &self.core().filter)
    }

    /// What to say about interfaces without the filter.
    pub(super) fn loose_warnings(&self, interfaces: &[Interface]) -> Vec<Said> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let why = trouble.clone().unwrap_or_default();
        let loose = self.core().loose();
        let named = interfaces.iter().filter(|i| loose.contains(&i.name));
        named
            .map(|interface| {
                let said = if if_nametoindex(&*interface.name).is_err() {
                    Said::new(Message::InterfaceGone)
                } else if interface.mode == LOOSE {
                    Said::new(Message::InterfaceLoose).with("why", &why)
                } else {
                    Said::new(Message::InterfaceShut).with("why", &why)
                };
                said.with("interface", &interface.name)
            })
            .collect()
    }

    /// Hangs the filter on interfaces that are back. `known` are those that
    /// were without it before; what changes is told once.
    fn look_after_interfaces(&self, known: &mut BTreeSet<String>) {
        if self.off.load(Ordering::Relaxed) {
            return;
        }
        let loose = self.core().loose();
        for name in loose.difference(known) {
            let what = match if_nametoindex(&**name) {
                Ok(_) => "has come",
                Err(_) => "is gone; the filter goes up on it as soon as it is back",
            };
            eprintln!("filter-agent: the interface {name} {what}");
        }
        let done = match loose.iter().any(|name| if_nametoindex(&**name).is_ok()) {
            true => self.hang_again(),
            // Somebody may have switched on what hides frames. Whoever puts an
            // image in force looks, too, and changes what is looked at.
            false => match self.applying.try_lock() {
                Ok(_alone) => look_first(&self.options, &self.in_force().policy, Occasion::Again),
                Err(_) => Ok(()),
            },
        };
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let now = done.err().map(|failure| failure.to_string());
        if let Some(problem) = now.as_ref().filter(|now| trouble.as_ref() != Some(*now)) {
            eprintln!("filter-agent: {problem}");
        }
        *trouble = now;
        drop(trouble);
        *known = self.core().loose();
        for name in loose.difference(known) {
            let number = if_nametoindex(&**name).unwrap_or(0);
            eprintln!("filter-agent: the filter hangs on {name}, number {number}");
        }
    }

    /// The image in force knows a new interface by no number, and drops all
    /// that comes from it: so it goes up first, and an image that knows the
    /// interface follows.
    fn hang_again(&self) -> Result<(), Failure> {
        let in_force = self.in_force();
        let present = present(&in_force.policy, Occasion::Again)?;
        let hung = self.core().filter.hang(&present);
        look_first(&self.options, &in_force.policy, Occasion::Again)?;
        hung.map_err(|error| kernel(&error))?;
        self.compile_again()
    }
}

/// A thread that waits for interfaces to come and go.
pub(super) fn watch(daemon: Arc<Daemon>) -> io::Result<()> {
    let links = LinkWatch::open()?;
    std::thread::Builder::new()
        .name("interfaces".into())
        .spawn(move || {
            let mut known = BTreeSet::new();
            loop {
                daemon.look_after_interfaces(&mut known);
                if let Err(error) = links.wait() {
                    eprintln!("filter-agent: interfaces that come back go unnoticed: {error}");
                    return;
                }
            }
        })?;
    Ok(())
}
