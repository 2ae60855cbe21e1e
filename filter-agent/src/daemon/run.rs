//! The agent's life: start, serve, keep time, leave.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::apply::{self, Read};
use super::doors::Holds;
use super::interfaces::{self, Occasion};
use super::{Counts, Daemon, Options, build, notify, state_folder, store_file, watch};
use crate::control::api::{
    AddBlock, AddGrant, ApplyPolicy, AuditQuery, BlocksQuery, CloseIncident, CouncilDecision,
    Detach, Explain, GenerationsQuery, GrantsQuery, IncidentQuery, IncidentsQuery, LiftBlock,
    ListsQuery, OpenIdentity, ReleaseLease, ReportHost, RevokeGrant, RoomsQuery, SetRoom,
    StatusQuery, TakeLease, UpdateLists,
};
use crate::control::server::{self, Routes};
use crate::control::{Code, Failure};
use crate::kernel::Events;
use crate::lists::update::{self, Subscription, next_update};
use crate::policy::ListFrom;
use crate::store::retention::{self, Retention};
use crate::store::{Change, Store, Who, generations};

/// The windows are written anew at least so often.
const REWRITE: SignedDuration = SignedDuration::from_hours(6);
/// Retention, the store's health, lists that are due.
const CHORES: Duration = Duration::from_secs(30);
/// When the metrics' address was taken.
const METRICS_AGAIN: Duration = Duration::from_secs(10);

/// Runs the agent until it is told to stop. The filter stays.
///
/// # Errors
/// When the filter cannot be put in force, or the socket is taken.
pub fn run(options: Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| internal(&error))?;
    let done = runtime.block_on(live(options));
    // Requests under way have nobody to answer any more.
    runtime.shutdown_timeout(Duration::from_secs(2));
    done
}

async fn live(options: Options) -> Result<(), Failure> {
    if !nix::unistd::geteuid().is_root() {
        let text = "loading programs needs root; start the agent by systemd, or with sudo";
        return Err(Failure::new(Code::Refused, text));
    }
    let (read, mut store) = first(&options)?;
    let socket = options
        .socket
        .clone()
        .unwrap_or_else(|| read.policy.settings.socket.clone());
    let metrics = read.policy.settings.metrics;
    // The socket is a lock too: two agents must not serve one filter.
    let listener = server::bind(&socket, options.socket_group.as_deref())
        .map_err(|error| Failure::new(Code::Refused, format!("{}: {error}", socket.display())))?;
    let core = apply::start(&options, read, &mut store)?;
    let mut events = Events::open(&core.filter).map_err(|error| super::kernel(&error))?;
    let daemon = Arc::new(Daemon {
        options,
        started: Timestamp::now(),
        applying: Mutex::default(),
        store: Mutex::new(store),
        core: Mutex::new(core),
        watch: Mutex::new(watch::Watch::default()),
        shadow: Mutex::default(),
        salts: Mutex::new(HashMap::new()),
        followers: Mutex::default(),
        refused: Mutex::default(),
        notifier: notify::Notifier::start().map_err(|error| internal(&error))?,
        counts: Counts::default(),
        fill: Mutex::default(),
        trouble: Mutex::default(),
        no_metrics: Mutex::default(),
        wake: Notify::new(),
        stop: Notify::new(),
        off: AtomicBool::new(false),
    });
    tokio::spawn(server::run(listener, routes(&daemon)));
    if let Some(address) = metrics {
        tokio::spawn(serve_metrics(Arc::clone(&daemon), address));
    }
    let taker = Arc::clone(&daemon);
    tokio::spawn(async move {
        while let Ok(event) = events.next().await {
            taker.event(&event);
            // The ring may hold thousands; others want their turn too.
            tokio::task::yield_now().await;
        }
    });
    tokio::spawn(Arc::clone(&daemon).keep_time());
    tokio::spawn(Arc::clone(&daemon).chores());
    watch_clock(Arc::clone(&daemon)).map_err(|error| internal(&error))?;
    interfaces::watch(Arc::clone(&daemon)).map_err(|error| internal(&error))?;
    announce("READY=1");
    eprintln!(
        "filter-agent: generation {} of {} is in force; commands at {}",
        daemon.in_force().generation,
        daemon.in_force().policy.path.display(),
        socket.display()
    );
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| internal(&error))?;
    let mut reload = signal(SignalKind::hangup()).map_err(|error| internal(&error))?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
            () = daemon.stop.notified() => {
                // Whoever took the filter off is still to be answered.
                tokio::time::sleep(Duration::from_millis(300)).await;
                break;
            }
            _ = reload.recv() => {
                let daemon = Arc::clone(&daemon);
                tokio::task::spawn_blocking(move || daemon.reload());
            }
        }
    }
    announce("STOPPING=1");
    // Whoever comes next finds no stale socket.
    let _ = std::fs::remove_file(&socket);
    let left = match daemon.off.load(Ordering::Relaxed) {
        true => "the filter is off: nothing is filtered now",
        false => "what is in the kernel still filters",
    };
    eprintln!("filter-agent: leaving; {left}");
    Ok(())
}

/// Serves the metrics. An address that is taken is no reason not to filter.
async fn serve_metrics(daemon: Arc<Daemon>, address: SocketAddr) {
    let note = |why: Option<String>| {
        let known = daemon.no_metrics.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = why.as_ref().filter(|why| known.as_ref() != Some(*why)) {
            eprintln!("filter-agent: no metrics: {why}; filtering goes on without them");
        }
        *known = why;
    };
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) => note(Some(format!("[metrics] listen = \"{address}\": {error}"))),
        }
        tokio::time::sleep(METRICS_AGAIN).await;
    };
    note(None);
    let page = Arc::clone(&daemon);
    crate::metrics::serve(listener, move || page.metrics()).await;
}

/// The policy to start with: the file, or the last one that was in force when
/// the file has an error.
fn first(options: &Options) -> Result<(Read, Store), Failure> {
    let now = Timestamp::now();
    let open = |state: &std::path::Path| {
        // A store without its folder goes on in memory and says so.
        let _ = std::fs::create_dir_all(state);
        Store::open(&store_file(state), now)
    };
    match Read::file(&options.policy) {
        Ok(read) => {
            let store = open(&state_folder(options, &read.policy));
            Ok((read, store))
        }
        Err(failure) => {
            // Without a policy only the option tells where the state lies.
            let Some(state) = &options.state else {
                return Err(failure);
            };
            let mut store = open(state);
            let Some((last, text)) = store.read(generations::latest)? else {
                return Err(failure);
            };
            eprintln!(
                "filter-agent: {failure}\nfilter-agent: starting with the policy of {} instead",
                last.applied
            );
            let read = Read::text(text, last.file.as_ref())?;
            Ok((read, store))
        }
    }
}

fn routes(daemon: &Arc<Daemon>) -> axum::Router {
    Routes::new(Arc::clone(daemon))
        .command::<StatusQuery>()
        .command::<RoomsQuery>()
        .command::<SetRoom>()
        .command::<TakeLease>()
        .command::<ReleaseLease>()
        .command::<GrantsQuery>()
        .command::<AddGrant>()
        .command::<RevokeGrant>()
        .command::<BlocksQuery>()
        .command::<AddBlock>()
        .command::<LiftBlock>()
        .command::<ReportHost>()
        .command::<CouncilDecision>()
        .command::<Explain>()
        .command::<ApplyPolicy>()
        .command::<GenerationsQuery>()
        .command::<IncidentsQuery>()
        .command::<IncidentQuery>()
        .command::<CloseIncident>()
        .command::<OpenIdentity>()
        .command::<AuditQuery>()
        .command::<ListsQuery>()
        .command::<UpdateLists>()
        .command::<Detach>()
        .router()
}

impl Daemon {
    /// Writes the doors anew when something ends, and the image when the
    /// policy says something else from then on.
    async fn keep_time(self: Arc<Self>) {
        let mut steps = 0;
        // The image is not what the policy says now.
        let mut stale = false;
        loop {
            // After a step of the clock decisions may have ended, and lessons
            // of other groups begun, in the time left out.
            let stepped = self.counts.clock_steps.load(Ordering::Relaxed);
            stale |= stepped != steps;
            steps = stepped;
            let now = Timestamp::now();
            let ends = Holds::at(&mut self.store(), now)
                .ok()
                .and_then(|holds| holds.next_end());
            let compile = self.in_force().policy.next_compile(now);
            let rewrite = now.checked_add(REWRITE).unwrap_or(now);
            let next = [ends, compile, Some(rewrite)].into_iter().flatten().min();
            if !stale {
                let wait = next.unwrap_or(rewrite).duration_since(now);
                let wait = Duration::try_from(wait).unwrap_or_default();
                tokio::select! {
                    () = sleep_until(Instant::now() + wait + Duration::from_millis(20)) => {}
                    // A new policy or grant may end before.
                    () = self.wake.notified() => continue,
                }
                stale = compile.is_some_and(|compile| compile <= Timestamp::now());
            }
            let daemon = Arc::clone(&self);
            let written = tokio::task::spawn_blocking(move || {
                if stale {
                    daemon.compile_again()
                } else {
                    daemon.write_doors()
                }
            });
            match written.await {
                Ok(Ok(())) => stale = false,
                Ok(Err(failure)) => {
                    eprintln!("filter-agent: {failure}");
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
                Err(_) => tokio::time::sleep(Duration::from_secs(5)).await,
            }
        }
    }

    async fn chores(self: Arc<Self>) {
        let mut failures = HashMap::new();
        // What ran out while the box was off goes at once.
        let daemon = Arc::clone(&self);
        let first = tokio::task::spawn_blocking(move || daemon.look_after_store());
        if let Err(error) = first.await {
            eprintln!("filter-agent: retention: {error}");
        }
        loop {
            tokio::time::sleep(CHORES).await;
            let daemon = Arc::clone(&self);
            let done = tokio::task::spawn_blocking(move || {
                daemon.flush_incidents();
                daemon.look_after_store();
                daemon.due_lists(&mut failures);
                failures
            });
            match done.await {
                Ok(back) => failures = back,
                Err(_) => failures = HashMap::new(),
            }
        }
    }

    fn look_after_store(&self) {
        let now = Timestamp::now();
        let in_force = self.in_force();
        let settings = &in_force.policy.settings;
        let age = |age: Duration| SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        let limits = Retention {
            identities: age(settings.retention),
            incidents: age(settings.retention),
            records: age(settings.audit_retention),
            audit: age(settings.audit_retention),
            ..Retention::default()
        };
        let mut store = self.store();
        store.heal(now);
        let done = store.write(|connection| retention::enforce(connection, &limits, now));
        if let Err(error) = done {
            eprintln!("filter-agent: retention: {error}");
        }
        let before = now.checked_sub(limits.identities).unwrap_or(Timestamp::MIN);
        if let Err(error) = store.forget_set_aside(before) {
            eprintln!("filter-agent: a corrupt file that was set aside stays: {error}");
        }
        drop(store);
        self.forget_salts(now);
    }

    /// Fetches lists whose time has come; a new copy is put in force.
    fn due_lists(&self, failures: &mut HashMap<String, (u64, u32)>) {
        let in_force = self.in_force();
        let policy = &in_force.policy;
        let Ok(copies) = build::copies(&state_folder(&self.options, policy)) else {
            return;
        };
        let now = Timestamp::now().as_second().max(0) as u64;
        let mut news = false;
        for source in policy
            .categories
            .iter()
            .flat_map(|category| &category.lists)
        {
            if !matches!(source.from, ListFrom::Url(_)) {
                continue;
            }
            let subscription = build::subscription(policy, source);
            let name = subscription.name.clone();
            let checked = copies
                .meta(&name)
                .ok()
                .flatten()
                .map(|meta| meta.checked_at);
            let failed = failures.get(&name).copied();
            let seed = u64::from_str_radix(name.get(..8).unwrap_or("0"), 16).unwrap_or(0);
            let due = next_update(
                checked,
                failed.map(|(at, _)| at),
                failed.map_or(0, |(_, times)| times),
                now,
                policy.settings.lists_every,
                seed,
            );
            if now < due {
                continue;
            }
            match self.fetch(&copies, &subscription, false) {
                Ok(new) => {
                    failures.remove(&name);
                    news |= new;
                }
                Err(problem) => {
                    eprintln!("filter-agent: {problem}");
                    let times = failed.map_or(0, |(_, times)| times) + 1;
                    failures.insert(name, (now, times));
                }
            }
        }
        if news && let Err(failure) = self.compile_again() {
            eprintln!("filter-agent: {failure}");
        }
    }

    /// Fetches every list now.
    pub(super) fn update_lists(&self, who: &Who, force: bool) -> Result<(), Failure> {
        let in_force = self.in_force();
        let policy = &in_force.policy;
        let copies = build::copies(&state_folder(&self.options, policy))?;
        let mut problems = Vec::new();
        for source in policy
            .categories
            .iter()
            .flat_map(|category| &category.lists)
        {
            if build::direct(policy, source).is_none() {
                let subscription = build::subscription(policy, source);
                let fetched = self.fetch(&copies, &subscription, force);
                problems.extend(fetched.err());
            }
        }
        self.store().change(who, Timestamp::now(), |_| {
            Ok(Change::new("lists.update", "lists".to_owned(), ()))
        })?;
        // The policy is the same; its image is the agent's own work.
        self.compile_again()?;
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Failure::new(Code::PolicyError, problems.join("\n")))
        }
    }

    /// As [`build::fetch`]; what went wrong stands beside the list until a
    /// fetch goes well.
    fn fetch(
        &self,
        copies: &update::Store,
        subscription: &Subscription,
        force: bool,
    ) -> Result<bool, String> {
        let fetched = build::fetch(copies, subscription, force);
        let location = subscription.location.clone();
        let in_force = self.in_force();
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|known, _| in_force.lists.iter().any(|list| list.source == *known));
        match &fetched {
            Ok(_) => refused.remove(&location),
            Err(problem) => refused.insert(location, problem.clone()),
        };
        fetched
    }

    /// Builds the image of the same policy anew.
    pub(super) fn compile_again(&self) -> Result<(), Failure> {
        let in_force = self.in_force();
        let read = Read::text(in_force.text.clone(), &in_force.policy.path)?;
        self.put_in_force(read, &Who::agent(), Occasion::Again)
            .map(drop)
    }

    /// Writes the doors, which is quick, and leaves the image to the
    /// clockwork, so that the next step finds somebody who listens.
    fn clock_was_set(&self) {
        let written = self.write_doors().and_then(|()| self.write_overrides());
        if let Err(failure) = written {
            eprintln!("filter-agent: {failure}");
        }
        self.counts.clock_steps.fetch_add(1, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// SIGHUP: the file again.
    fn reload(&self) {
        let path = self.in_force().policy.path.clone();
        let done = Read::file(&path)
            .and_then(|read| self.put_in_force(read, &Who::agent(), Occasion::Asked));
        match done {
            Ok(applied) => eprintln!(
                "filter-agent: generation {} is in force",
                applied.generation
            ),
            Err(failure) => eprintln!("filter-agent: {failure}"),
        }
    }
}

/// A thread that waits for somebody to set the clock (timerfd_create(2),
/// TFD_TIMER_CANCEL_ON_SET).
fn watch_clock(daemon: Arc<Daemon>) -> io::Result<()> {
    let timer = TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_CLOEXEC)?;
    std::thread::Builder::new()
        .name("clock".into())
        .spawn(move || {
            loop {
                // Far ahead: only a step of the clock ends the wait.
                let far = TimeSpec::new(i64::from(u32::MAX) * 2, 0);
                let set = timer.set(
                    Expiration::OneShot(far),
                    TimerSetTimeFlags::TFD_TIMER_ABSTIME
                        | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET,
                );
                let stepped = match set {
                    // `wait` tells a step as success: it ends for that too.
                    Ok(()) => matches!(timer.wait(), Ok(()) | Err(Errno::ECANCELED)),
                    // Set again since the last wait (kernel: fs/timerfd.c,
                    // timerfd_setup); the timer runs all the same.
                    Err(Errno::ECANCELED) => true,
                    Err(error) => {
                        eprintln!("filter-agent: steps of the clock go unnoticed: {error}");
                        return;
                    }
                };
                if stepped {
                    eprintln!("filter-agent: the clock was set; writing the windows anew");
                    daemon.clock_was_set();
                }
            }
        })?;
    Ok(())
}

/// Tells systemd (sd_notify(3)), where it asked to be told.
fn announce(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let Ok(socket) = UnixDatagram::unbound() else {
        return;
    };
    let name = path.to_string_lossy();
    // Nobody but systemd would miss it.
    let _ = match name.strip_prefix('@') {
        Some(name) => {
            use std::os::linux::net::SocketAddrExt as _;
            std::os::unix::net::SocketAddr::from_abstract_name(name)
                .and_then(|address| socket.send_to_addr(state.as_bytes(), &address))
        }
        None => socket.send_to(state.as_bytes(), &*name),
    };
}

fn internal(error: &io::Error) -> Failure {
    Failure::new(Code::Internal, error.to_string())
}
