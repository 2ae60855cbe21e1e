//! The agent: what is in force, and everything that changes it.

mod apply;
mod build;
mod change;
mod doors;
mod events;
mod explain;
mod inspect;
mod interfaces;
mod notify;
mod page;
mod rehearse;
mod run;
mod shadow;
mod watch;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use filter_ebpf::abi::MAX_LINKS;
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};

use crate::calendar::access::Clock;
use crate::control::api::List;
use crate::control::{Code, Failure};
use crate::kernel::{
    AccessMap, Counters, Filter, Generation, KernelError, Lock, Overrides, monotonic_now,
};
use crate::metrics::Totals;
use crate::policy::{Door, HostError, Policy};
use crate::store::{Salt, Store};
use crate::words::{Message, Said};

pub(crate) use rehearse::rehearse;
pub use run::run;

/// How the agent is started.
#[derive(Clone, Debug)]
pub struct Options {
    pub policy: PathBuf,
    /// Where the filter is pinned.
    pub pins: PathBuf,
    /// Unix group that may open the socket.
    pub socket_group: Option<String>,
    /// Instead of the policy's.
    pub socket: Option<PathBuf>,
    /// Instead of the policy's.
    pub state: Option<PathBuf>,
}

/// Locks are taken in the order of the fields, and none is held while
/// waiting for a person or a network.
#[derive(Debug)]
pub(crate) struct Daemon {
    options: Options,
    started: Timestamp,
    /// Held by whoever puts another image in force.
    applying: Mutex<()>,
    store: Mutex<Store>,
    core: Mutex<Core>,
    watch: Mutex<watch::Watch>,
    shadow: Mutex<Option<shadow::Shadow>>,
    salts: Mutex<HashMap<String, Salt>>,
    followers: Mutex<Vec<mpsc::Sender<Bytes>>>,
    notifier: notify::Notifier,
    counts: Counts,
    fill: Mutex<Option<Fill>>,
    /// Why the filter does not hang on an interface that is there.
    trouble: Mutex<Option<String>>,
    /// Why there are no metrics.
    no_metrics: Mutex<Option<String>>,
    /// Why the last fetch of a list brought nothing, by the list's location.
    refused: Mutex<HashMap<String, String>>,
    /// Something changed that the clockwork must look at.
    wake: Notify,
    /// The filter was taken off: the agent ends, and puts nothing on again.
    stop: Notify,
    off: AtomicBool,
}

/// When the shares of maps in use were counted, and the shares.
type Fill = (Instant, Vec<(&'static str, f64)>);

#[derive(Debug, Default)]
struct Counts {
    apply_failures: AtomicU64,
    events: AtomicU64,
    events_lost: AtomicU64,
    incidents: AtomicU64,
    clock_steps: AtomicU64,
}

/// What is in force, with the handles to change it.
struct Core {
    filter: Filter,
    access: AccessMap,
    overrides: Overrides,
    now: Arc<InForce>,
    /// The policy before, for events that are still under way.
    before: Option<Arc<InForce>>,
    /// Its image, while packets may still be in it.
    leaving: Option<Generation>,
    /// Hosts and ranges that are blocked in the kernel and not yet in the
    /// store.
    blocking: Vec<String>,
    /// Counters of images that are gone.
    totals: Totals,
    /// Two agents must not serve one filter.
    _lock: Lock,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// A policy and the image that was made of it.
#[derive(Debug)]
struct InForce {
    policy: Policy,
    text: String,
    generation: u32,
    /// Group in each room, as the image has it.
    groups: Vec<u16>,
    /// Interfaces that the image knows rooms behind.
    links: [u32; MAX_LINKS],
    applied: Timestamp,
    by: String,
    load: Duration,
    lists: Vec<List>,
}

impl InForce {
    fn room_names(&self) -> Vec<String> {
        self.policy
            .rooms
            .iter()
            .map(|room| room.name.clone())
            .collect()
    }

    fn category_names(&self) -> Vec<String> {
        self.policy
            .categories
            .iter()
            .map(|category| category.name.clone())
            .collect()
    }

    /// Index of a room.
    fn room(&self, name: &str) -> Result<usize, Failure> {
        self.policy.room(name).ok_or_else(|| {
            Failure::not_found(
                Said::new(Message::NoSuchRoom)
                    .with("room", name)
                    .with("rooms", self.policy.rooms_as_typed()),
            )
        })
    }

    fn group_in(&self, room: usize) -> usize {
        let own = self.policy.rooms.get(room).map_or(0, |room| room.group);
        self.groups
            .get(room)
            .map_or(own, |group| usize::from(*group))
    }
}

impl Daemon {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.core().now)
    }

    /// Writes who is open when anew: after a change, a step of the clock, or
    /// a while.
    fn write_doors(&self) -> Result<(), Failure> {
        let now = Timestamp::now();
        let mut store = self.store();
        let holds = doors::Holds::at(&mut store, now)?;
        if let Some(shadow) = &mut *self.shadow.lock().unwrap_or_else(PoisonError::into_inner) {
            shadow.write_doors(&holds, clock());
        }
        let mut core = self.core();
        let Core { access, now, .. } = &mut *core;
        let doors = doors::doors(&now.policy, &now.groups, &holds, clock());
        access
            .write((0_u32..).zip(&doors))
            .map_err(|error| kernel(&error))
    }

    /// Writes blocks and grants of hosts anew.
    fn write_overrides(&self) -> Result<(), Failure> {
        let now = Timestamp::now();
        let mut store = self.store();
        let holds = doors::Holds::at(&mut store, now)?;
        self.core().replace_overrides(&holds)
    }

    /// Counters across all images, of a moment.
    fn totals(&self) -> Totals {
        let core = self.core();
        let mut totals = core.totals.clone();
        let mut add = |counters: Result<Counters, KernelError>, policy: &InForce| {
            if let Ok(counters) = counters {
                totals.add_image(&counters, &policy.room_names(), &policy.category_names());
            }
        };
        add(core.filter.counters(), &core.now);
        if let (Some(leaving), Some(before)) = (&core.leaving, &core.before) {
            add(leaving.counters(), before);
        }
        totals
    }
}

impl Core {
    /// Up to when the kernel knows every timetable, by what it was told; 0
    /// when it cannot be asked. Rooms without a timetable need none.
    ///
    /// CLOCK_MONOTONIC in nanoseconds; `None` when no room has a timetable.
    fn known_until(&self) -> Option<u64> {
        let rooms = (0_u32..).zip(&self.now.policy.rooms);
        rooms
            .filter(|(_, room)| room.door != Door::Always)
            .map(|(at, _)| self.access.read(at).map_or(0, |access| access.known_until))
            .min()
    }

    fn replace_overrides(&mut self, holds: &doors::Holds) -> Result<(), Failure> {
        let secret = self.filter.secret();
        let blocking = &self.blocking;
        let (names, ranges) = doors::overrides(&self.now.policy, &secret, holds, blocking, clock());
        self.overrides
            .replace(&names, &ranges)
            .map_err(|error| kernel(&error))
    }
}

/// Both clocks now.
fn clock() -> Clock {
    Clock {
        wall: Timestamp::now(),
        monotonic: monotonic_now(),
    }
}

fn kernel(error: &KernelError) -> Failure {
    Failure::new(Code::Kernel, error.to_string())
}

fn host_wrong(text: &str, why: &HostError) -> Failure {
    let said = Said::new(Message::HostWrong).with("text", text);
    Failure::bad_request(said.with("why", why))
}

/// Where state lies: leases, audit, good copies of lists.
fn state_folder(options: &Options, policy: &Policy) -> PathBuf {
    options
        .state
        .clone()
        .unwrap_or_else(|| policy.settings.state.clone())
}

fn store_file(state: &Path) -> PathBuf {
    state.join("state.db")
}
