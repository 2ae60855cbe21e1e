//! Putting a policy in force.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Instant;

use filter_ebpf::abi::MAX_LINKS;
use jiff::{SignedDuration, Timestamp};

use super::build::{self, Built, Place};
use super::interfaces::{self, Occasion, look_first};
use super::shadow::Shadow;
use super::{Core, Daemon, InForce, Options, clock, doors, kernel, page, state_folder};
use crate::control::api::{Applied, ApplyPolicy, List};
use crate::control::server::Serve;
use crate::control::{Code, Failure, Peer};
use crate::kernel::{self as k, Contents, Filter, Lock, Overrides, Prepared, Swapped};
use crate::metrics::Totals;
use crate::policy::{LoadError, MAX_BYTES, Policy};
use crate::store::{Change, Store, Who, generations};
use crate::words::Message;

/// A policy, read and checked, that is not in force yet.
pub(super) struct Read {
    pub(super) policy: Policy,
    pub(super) text: String,
}

impl Read {
    /// Reads a policy's file.
    pub(super) fn file(path: &Path) -> Result<Self, Failure> {
        let io = |source| {
            wrong(&LoadError::Io {
                path: path.to_owned(),
                source,
            })
        };
        let bytes = std::fs::metadata(path).map_err(io)?.len();
        if bytes > MAX_BYTES {
            return Err(wrong(&LoadError::TooLong {
                path: path.to_owned(),
                bytes,
            }));
        }
        let text = String::from_utf8(std::fs::read(path).map_err(io)?).map_err(|error| {
            wrong(&LoadError::NotUtf8 {
                path: path.to_owned(),
                at: error.utf8_error().valid_up_to(),
            })
        })?;
        Self::text(text, path)
    }

    /// Reads a policy's text; `path` names it and is the base of its lists.
    pub(super) fn text(text: String, path: &Path) -> Result<Self, Failure> {
        let policy = Policy::parse(&text, path).map_err(|error| wrong(&LoadError::from(error)))?;
        Ok(Self { policy, text })
    }
}

fn wrong(error: &LoadError) -> Failure {
    Failure::new(Code::PolicyError, error.to_string())
}

/// Loads the first image of this run: over an empty interface, or in place of
/// what an agent before left there.
pub(super) fn start(options: &Options, read: Read, store: &mut Store) -> Result<Core, Failure> {
    let begun = Instant::now();
    look_first(options, &read.policy, Occasion::Start)?;
    let lock = Lock::take(&options.pins).map_err(|error| kernel(&error))?;
    let mut filter = Filter::open(&options.pins).map_err(|error| kernel(&error))?;
    let who = Who::agent();
    let holds = doors::Holds::at(store, Timestamp::now())?;
    let ready = Ready::make(options, read, &filter, &holds, Occasion::Start)?;
    // After an upgrade the maps of overrides may be new ones: blocks must be
    // in them before the first packet meets the new image. Grants go by the
    // numbers of rooms.
    let last = store.read(generations::latest)?;
    let last = last.and_then(|(last, text)| Policy::parse(&text, last.file.as_ref()).ok());
    let moved = last.is_none_or(|last| moves(&last, &ready.read.policy));
    let early = if moved {
        holds.blocks_only()
    } else {
        holds.clone()
    };
    let (names, ranges) =
        doors::overrides(&ready.read.policy, &filter.secret(), &early, &[], clock());
    let mut overrides = Overrides::open(&filter).map_err(|error| kernel(&error))?;
    overrides
        .replace(&names, &ranges)
        .map_err(|error| kernel(&error))?;
    let (in_force, mut swapped) = ready.swap(&mut filter, &who.name, begun)?;
    swapped.retire();
    complain(swapped);
    note(store, &in_force, &who)?;
    let mut core = Core {
        access: filter.access().map_err(|error| kernel(&error))?,
        overrides,
        filter,
        now: Arc::new(in_force),
        before: None,
        leaving: None,
        blocking: Vec::new(),
        totals: Totals::default(),
        _lock: lock,
    };
    core.replace_overrides(&holds)?;
    // The comparison went with the agent that made it.
    core.overrides
        .set_trial(0)
        .map_err(|error| kernel(&error))?;
    Ok(core)
}

impl Daemon {
    /// Puts a policy in force in place of the present one, which goes on
    /// whole when anything fails.
    pub(super) fn put_in_force(
        &self,
        read: Read,
        who: &Who,
        occasion: Occasion,
    ) -> Result<Applied, Failure> {
        let done = self.try_put_in_force(read, who, occasion);
        if done.is_err() {
            self.counts.apply_failures.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    /// Reading, compiling and verifying take their time and hold no lock but
    /// `applying`: rooms are closed and hosts blocked meanwhile. What was
    /// changed since is read again behind the locks, before the first packet
    /// meets the new image.
    fn try_put_in_force(
        &self,
        read: Read,
        who: &Who,
        occasion: Occasion,
    ) -> Result<Applied, Failure> {
        let begun = Instant::now();
        let _alone = alone(&self.applying)?;
        if self.off.load(Ordering::Relaxed) {
            return Err(Failure::new(Code::Refused, "the filter was taken off"));
        }
        look_first(&self.options, &read.policy, occasion)?;
        let before = self.in_force();
        let changes = changes(&before.policy, &read.policy);
        let holds = doors::Holds::at(&mut self.store(), Timestamp::now())?;
        let filter = Filter::open(&self.options.pins).map_err(|error| kernel(&error))?;
        let mut ready = Ready::make(&self.options, read, &filter, &holds, occasion)?;
        let warnings = warnings(&ready.lists);

        let mut store = self.store();
        let holds = doors::Holds::at(&mut store, Timestamp::now())?;
        let mut core = self.core();
        ready.write_doors(&holds)?;
        if moves(&before.policy, &ready.read.policy) {
            // Grants go by a room's number in the image: none may hold for
            // another room between the swap and their being written anew.
            core.replace_overrides(&holds.blocks_only())?;
        }
        let swapped = ready.swap(&mut core.filter, &who.name, begun);
        let (in_force, mut swapped) = match swapped {
            Ok(done) => done,
            Err(failure) => {
                core.replace_overrides(&holds)?;
                return Err(failure);
            }
        };
        core.access = core.filter.access().map_err(|error| kernel(&error))?;
        core.leaving = swapped.old.clone();
        core.before = Some(Arc::clone(&before));
        core.now = Arc::new(in_force);
        core.replace_overrides(&holds)?;
        let in_force = Arc::clone(&core.now);
        drop(core);
        drop(store);

        let retired = swapped.retire();
        let mut core = self.core();
        core.leaving = None;
        if let Some(retired) = retired {
            core.totals.add_image(
                &retired.counters,
                &before.room_names(),
                &before.category_names(),
            );
        }
        drop(core);
        complain(swapped);
        note(&mut self.store(), &in_force, who)?;
        self.wake.notify_one();
        Ok(Applied {
            in_force: true,
            generation: in_force.generation,
            changes,
            warnings,
            load_ms: in_force.load.as_millis() as u64,
        })
    }

    /// Compiles a policy without enforcing it, and judges by it beside the
    /// one in force for as long as `shadow` says.
    fn try_out(
        &self,
        read: Read,
        shadow: Option<SignedDuration>,
        who: &Who,
    ) -> Result<Applied, Failure> {
        let begun = Instant::now();
        let before = self.in_force();
        // Nobody needs them here; what is missing is to be told.
        interfaces::present(&read.policy, Occasion::Asked)?;
        let filter = Filter::open(&self.options.pins).map_err(|error| kernel(&error))?;
        let built = compile(&self.options, &read.policy, &filter, Occasion::Asked)?;
        let applied = Applied {
            in_force: false,
            generation: before.generation,
            changes: changes(&before.policy, &read.policy),
            warnings: warnings(&built.lists),
            load_ms: begun.elapsed().as_millis() as u64,
        };
        if let Some(span) = shadow {
            let now = Timestamp::now();
            let until = now
                .checked_add(span)
                .map_err(|error| Failure::bad_request(error.to_string()))?;
            let file = read.policy.path.display().to_string();
            self.store().change(who, now, |_| {
                Ok(Change::new("policy.shadow", file.clone(), ()).after(&until))
            })?;
            let shadow = Shadow::new(read.policy, built.image, filter.secret(), until);
            *self.shadow.lock().unwrap_or_else(PoisonError::into_inner) = Some(shadow);
            self.write_doors()?;
            let trial = self.core().overrides.set_trial(clock().monotonic(until));
            trial.map_err(|error| kernel(&error))?;
        }
        Ok(applied)
    }
}

impl Serve<ApplyPolicy> for Daemon {
    fn serve(&self, peer: &Peer, request: ApplyPolicy) -> Result<Applied, Failure> {
        let path = match &request.file {
            Some(file) => file.into(),
            None => self.in_force().policy.path.clone(),
        };
        let read = Read::file(&path).inspect_err(|_| {
            self.counts.apply_failures.fetch_add(1, Ordering::Relaxed);
        })?;
        if request.dry_run || request.shadow.is_some() {
            self.try_out(read, request.shadow, &peer.who())
        } else {
            self.put_in_force(read, &peer.who(), Occasion::Asked)
        }
    }
}

fn alone(applying: &Mutex<()>) -> Result<std::sync::MutexGuard<'_, ()>, Failure> {
    match applying.try_lock() {
        Ok(guard) => Ok(guard),
        Err(TryLockError::Poisoned(guard)) => Ok(PoisonError::into_inner(guard)),
        Err(TryLockError::WouldBlock) => Err(Failure::new(Code::Busy, Message::ApplyBusy)),
    }
}

fn compile(
    options: &Options,
    policy: &Policy,
    filter: &Filter,
    occasion: Occasion,
) -> Result<Built, Failure> {
    let copies = build::copies(&state_folder(options, policy))?;
    let place = Place {
        generation: filter.next_generation().map_err(|error| kernel(&error))?,
        links: interfaces::links(policy),
        secret: &filter.secret(),
        copies: &copies,
    };
    build::build(policy, place, Timestamp::now(), occasion == Occasion::Start)
}

/// A policy whose image is in the kernel and not in force.
struct Ready {
    read: Read,
    prepared: Prepared,
    interfaces: Vec<k::Interface>,
    /// Group in each room, as the image has it.
    groups: Vec<u16>,
    links: [u32; MAX_LINKS],
    lists: Vec<List>,
}

impl Ready {
    fn make(
        options: &Options,
        read: Read,
        filter: &Filter,
        holds: &doors::Holds,
        occasion: Occasion,
    ) -> Result<Self, Failure> {
        let interfaces = interfaces::present(&read.policy, occasion)?;
        let built = compile(options, &read.policy, filter, occasion)?;
        let groups: Vec<u16> = built.image.rooms.iter().map(|room| room.group).collect();
        let doors = doors::doors(&read.policy, &groups, holds, clock());
        let page = page::page(read.policy.settings.contact.as_deref());
        let prepared = Contents::new(&built.image, &doors, &page)
            .and_then(|contents| filter.prepare(&contents))
            .map_err(|error| kernel(&error))?;
        Ok(Self {
            read,
            prepared,
            interfaces,
            groups,
            links: built.image.config.links,
            lists: built.lists,
        })
    }

    /// Writes who is open by now.
    fn write_doors(&mut self, holds: &doors::Holds) -> Result<(), Failure> {
        let doors = doors::doors(&self.read.policy, &self.groups, holds, clock());
        self.prepared
            .write_doors(&doors)
            .map_err(|error| kernel(&error))
    }

    fn swap(
        self,
        filter: &mut Filter,
        by: &str,
        begun: Instant,
    ) -> Result<(InForce, Swapped), Failure> {
        let swapped = filter
            .swap(self.prepared, &self.interfaces)
            .map_err(|error| kernel(&error))?;
        let in_force = InForce {
            policy: self.read.policy,
            text: self.read.text,
            generation: swapped.generation,
            groups: self.groups,
            links: self.links,
            applied: Timestamp::now(),
            by: by.to_owned(),
            load: begun.elapsed(),
            lists: self.lists,
        };
        Ok((in_force, swapped))
    }
}

/// Lets go of the image before; what cannot be removed is no reason to fail,
/// the next apply tries again.
fn complain(swapped: Swapped) {
    for leftover in swapped.clean() {
        eprintln!("filter-agent: {leftover}");
    }
}

fn note(store: &mut Store, in_force: &InForce, who: &Who) -> Result<(), Failure> {
    let file = in_force.policy.path.display().to_string();
    store
        .change(who, in_force.applied, |connection| {
            generations::applied(
                connection,
                in_force.generation,
                &file,
                &in_force.text,
                who,
                in_force.applied,
            )
        })
        .map(drop)
        .map_err(Failure::from)
}

fn warnings(lists: &[List]) -> Vec<String> {
    let of = |list: &List| {
        list.problem
            .as_ref()
            .map(|problem| format!("category {}, {}: {problem}", list.category, list.source))
    };
    lists.iter().filter_map(of).collect()
}

/// Whether rooms or groups have other numbers than before.
fn moves(before: &Policy, after: &Policy) -> bool {
    let rooms = |policy: &Policy| -> Vec<String> {
        policy.rooms.iter().map(|room| room.name.clone()).collect()
    };
    let groups = |policy: &Policy| -> Vec<String> {
        policy
            .groups
            .iter()
            .map(|group| group.name.clone())
            .collect()
    };
    rooms(before) != rooms(after) || groups(before) != groups(after)
}

/// What a policy changes, a line each.
fn changes(before: &Policy, after: &Policy) -> Vec<String> {
    let mut changes = Vec::new();
    compare(
        "room",
        &before.rooms,
        &after.rooms,
        |room| &room.name,
        &mut changes,
    );
    compare(
        "group",
        &before.groups,
        &after.groups,
        |group| &group.name,
        &mut changes,
    );
    compare(
        "category",
        &before.categories,
        &after.categories,
        |category| &category.name,
        &mut changes,
    );
    compare(
        "bells",
        &before.bells,
        &after.bells,
        |bells| &bells.name,
        &mut changes,
    );
    compare(
        "timetable",
        &before.timetables,
        &after.timetables,
        |timetable| &timetable.name,
        &mut changes,
    );
    let parts = [
        ("network", before.network != after.network),
        ("settings", before.settings != after.settings),
        ("roles", before.roles != after.roles),
        ("persons", before.persons != after.persons),
        ("calendar", before.calendar != after.calendar),
        ("time zone", before.timezone != after.timezone),
    ];
    for (part, _) in parts.iter().filter(|(_, differs)| *differs) {
        changes.push(format!("~ {part}"));
    }
    changes
}

fn compare<T: PartialEq>(
    kind: &str,
    before: &[T],
    after: &[T],
    name: impl Fn(&T) -> &String,
    changes: &mut Vec<String>,
) {
    for old in before {
        match after.iter().find(|new| name(new) == name(old)) {
            None => changes.push(format!("- {kind} {}", name(old))),
            Some(new) if new != old => changes.push(format!("~ {kind} {}", name(old))),
            Some(_) => {}
        }
    }
    for new in after {
        if !before.iter().any(|old| name(old) == name(new)) {
            changes.push(format!("+ {kind} {}", name(new)));
        }
    }
}
