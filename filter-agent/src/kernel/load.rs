//! From contents to maps and verified programs in the kernel.

use std::num::NonZero;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Mutex, PoisonError};

use aya::maps::{Map, MapData, ProgramArray};
use aya::programs::{Program, ProgramError};
use aya::{Ebpf, EbpfLoader};
use aya_obj::Object;
use filter_ebpf::abi::{self, Pod as _, Tail};

use super::contents::{MapContent, Pairs};
use super::error::{KernelError, Result};
use super::shared::Shared;
use super::sys;

/// The programs that hang on a hook; the others are behind tail calls.
pub(crate) const LAN_INGRESS: &str = "lan_ingress";
pub(crate) const WAN_INGRESS: &str = "wan_ingress";
pub(crate) const LAN_EGRESS: &str = "lan_egress";
pub(crate) const ENTRIES: &[&str] = &[LAN_INGRESS, WAN_INGRESS, LAN_EGRESS];

/// Programs that take the verifier longest, the longest first.
const HEAVIEST: &[&str] = &[
    "judge_dns",
    "lan_egress",
    "conclude",
    "judge",
    "inspect_dns",
];
/// Threads that load programs: two of the programs take half of all time.
const MAX_THREADS: usize = 4;

/// Lines of a verifier's log that are kept: its verdict stands at the end.
const LOG_LINES: usize = 12;

/// Reads the object's maps and programs.
pub(crate) fn parse(bytes: &[u8]) -> Result<Object> {
    Object::parse(bytes).map_err(|error| KernelError::Object(error.to_string()))
}

/// Makes the maps, fills them, loads every program and links the tail calls.
///
/// Nothing is attached or pinned: dropping the result undoes it. Maps that
/// outlive an image are those of `shared`, or private ones without it.
///
/// # Errors
/// When the object and the contents do not fit each other, or the kernel
/// refuses a map or program.
pub(crate) fn load(
    bytes: &[u8],
    config: &abi::Config,
    contents: &[MapContent<'_>],
    shared: Option<&Shared>,
) -> Result<Ebpf> {
    lift_memlock();
    let mut loader = EbpfLoader::new();
    // Nothing is relocated against the running kernel's types, and reading
    // them takes longer than all the rest.
    loader.btf(None);
    // A constant: the verifier drops branches that this image does not need.
    loader.override_global("CONFIG", config.as_bytes(), true);
    for content in contents {
        loader.map_max_entries(content.name, content.entries.max(1));
    }
    for (name, path) in shared.into_iter().flat_map(Shared::paths) {
        loader.map_pin_path(name, path);
    }
    let mut ebpf = loader
        .load(bytes)
        .map_err(|error| KernelError::Contents(format!("cannot make the maps: {error}")))?;
    for content in contents {
        fill(&mut ebpf, content)?;
    }
    verify(&mut ebpf)?;
    link_tail_calls(&mut ebpf)?;
    Ok(ebpf)
}

/// Loads every program. The verifier takes most of an apply's time and runs
/// on the caller's core, so several threads load programs side by side.
fn verify(ebpf: &mut Ebpf) -> Result<()> {
    let mut programs: Vec<_> = ebpf.programs_mut().collect();
    // The longest first, or the last thread finishes late.
    programs.sort_by_key(|(name, _)| {
        let heavy = HEAVIEST.iter().position(|heavy| heavy == name);
        heavy.unwrap_or(HEAVIEST.len())
    });
    let queue = Mutex::new(programs.into_iter());
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.next()
    };
    let work = || -> Result<()> {
        while let Some((name, program)) = next() {
            verify_one(name, program)?;
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(MAX_THREADS))
            .map(|_| scope.spawn(work))
            .collect();
        let mut done = work();
        for other in others {
            let other = other
                .join()
                .unwrap_or_else(|_| Err(KernelError::Object("a loading thread died".into())));
            done = done.and(other);
        }
        done
    })
}

fn verify_one(name: &str, program: &mut Program) -> Result<()> {
    let loaded = match program {
        Program::Xdp(program) => program.load(),
        Program::SchedClassifier(program) => program.load(),
        _ => {
            return Err(KernelError::Object(format!(
                "program {name} has no hook here"
            )));
        }
    };
    loaded.map_err(|error| verifier_error(name, error))
}

fn fill(ebpf: &mut Ebpf, content: &MapContent<'_>) -> Result<()> {
    let name = content.name;
    let map = ebpf
        .map_mut(name)
        .ok_or_else(|| KernelError::Object(format!("map {name} is missing")))?;
    let failed = |error: std::io::Error| KernelError::io(format!("cannot fill map {name}"))(error);
    match &content.pairs {
        Some(Pairs::Narrow(pairs)) => return insert(name, map, pairs),
        Some(Pairs::Wide(pairs)) => return insert(name, map, pairs),
        None => {}
    }
    let fd = data(map)
        .ok_or_else(|| KernelError::Object(format!("map {name} is of an unknown kind")))?
        .fd();
    sys::fill_array(fd.as_fd(), &content.bytes).map_err(failed)
}

fn insert<K: aya::Pod>(name: &str, map: &mut Map, pairs: &[(K, u32)]) -> Result<()> {
    let mut map = aya::maps::HashMap::<_, K, u32>::try_from(map)
        .map_err(|error| KernelError::Object(format!("map {name}: {error}")))?;
    for (key, value) in pairs {
        map.insert(key, value, 0)
            .map_err(|error| KernelError::Contents(format!("map {name}: {error}")))?;
    }
    Ok(())
}

/// The handle inside aya's enum, for the kinds of maps the object has.
pub(crate) fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::PerCpuArray(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuHashMap(data)
        | Map::LpmTrie(data)
        | Map::ProgramArray(data)
        | Map::RingBuf(data) => Some(data),
        _ => None,
    }
}

/// Fills the program array; its slots live as long as a pin or an open
/// descriptor of it (kernel/bpf/arraymap.c, `prog_array_map_clear`).
fn link_tail_calls(ebpf: &mut Ebpf) -> Result<()> {
    let mut programs = Vec::with_capacity(Tail::ALL.len());
    for (slot, name) in Tail::ALL {
        let fd = ebpf
            .program(name)
            .ok_or_else(|| KernelError::Object(format!("program {name} is missing")))?
            .fd()
            .map_err(|error| KernelError::Object(format!("program {name}: {error}")))?
            .try_clone()
            .map_err(KernelError::io(format!("program {name}")))?;
        programs.push((*slot as u32, fd));
    }
    let map = ebpf
        .map_mut("TAIL")
        .ok_or_else(|| KernelError::Object("map TAIL is missing".into()))?;
    let mut tail = ProgramArray::try_from(map)
        .map_err(|error| KernelError::Object(format!("map TAIL: {error}")))?;
    for (slot, fd) in programs {
        tail.set(slot, &fd, 0)
            .map_err(|error| KernelError::Contents(format!("tail call {slot}: {error}")))?;
    }
    Ok(())
}

/// A refused program with the end of the verifier's log.
fn verifier_error(program: &str, error: ProgramError) -> KernelError {
    let reason = match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            let lines: Vec<&str> = log.lines().filter(|line| !line.is_empty()).collect();
            let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
            format!("{io_error}\n{}", tail.join("\n"))
        }
        other => other.to_string(),
    };
    KernelError::Verifier {
        program: program.to_owned(),
        reason,
    }
}

/// Lets the maps be as large as they are where memory is still accounted
/// as locked; it is no error where the limit cannot be raised.
fn lift_memlock() {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: reads one structure.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
}

/// Descriptor of a loaded program.
pub(crate) fn program_fd<'a>(ebpf: &'a Ebpf, name: &str) -> Result<BorrowedFd<'a>> {
    let program = ebpf
        .program(name)
        .ok_or_else(|| KernelError::Object(format!("program {name} is missing")))?;
    Ok(program
        .fd()
        .map_err(|error| KernelError::Object(format!("program {name}: {error}")))?
        .as_fd())
}

/// Checks that the object speaks this agent's ABI.
pub(crate) fn check_object(object: &Object) -> Result<()> {
    for name in ENTRIES {
        if !object.programs.contains_key(*name) {
            return Err(KernelError::Object(format!("program {name} is missing")));
        }
    }
    for (name, size) in [
        ("ACCESS", size_of::<abi::Access>()),
        ("COUNTERS", size_of::<abi::Count>()),
    ] {
        let map = object
            .maps
            .get(name)
            .ok_or_else(|| KernelError::Object(format!("map {name} is missing")))?;
        if map.value_size() as usize != size {
            return Err(KernelError::Object(format!(
                "map {name} has values of {} bytes, this agent writes {size}",
                map.value_size()
            )));
        }
    }
    Ok(())
}
