//! What an apply does with what it finds: images of another agent, objects
//! that the kernel refuses, and events that nobody reads.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use filter_agent::kernel::{Contents, Events, Filter, KernelError, object};
use filter_ebpf::abi::{Reason, Verdict};
use filter_tests::small_school::room;
use filter_tests::wire::Wire;

use super::hooks::{Lab, ROOT, apply, denied, image};

/// Frames of the denied flow that this image has refused.
fn refused(filter: &Filter) -> Result<u64> {
    let counters = filter.counters()?;
    let of = |verdict| {
        counters
            .of(room::OPEN, verdict, Reason::RangeDenied)
            .packets
    };
    Ok(of(Verdict::Drop) + of(Verdict::Reject))
}

fn folders() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(ROOT)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// An agent of another contract: what it pinned goes by another version.
fn rename_to_another_version() -> Result<()> {
    let ours = format!("-v{}", filter_ebpf::abi::VERSION);
    for name in folders()? {
        let (head, tail) = match name.split_once(&ours) {
            Some(parts) => parts,
            None => continue,
        };
        let old = Path::new(ROOT).join(&name);
        fs::rename(old, Path::new(ROOT).join(format!("{head}-v0{tail}")))?;
    }
    Ok(())
}

#[test]
fn an_image_of_another_contract_stays_until_the_new_one_is_in() -> Result<()> {
    let lab = Lab::new()?;
    let (interface, client) = (&lab.interface, &lab.client);
    let send = || client.run(|| Ok(Wire::open("eth0")?.send(&denied(40_000))));
    lab.router.run(|| {
        let mut old = Filter::open(Path::new(ROOT))?;
        apply(&mut old, interface)?;
        // 6.1 has no links for tc: there only the XDP hook is pinned.
        let before = old.hooks()?;
        ensure!(!before.is_empty(), "nothing is pinned");
        rename_to_another_version()?;
        let mut new = Filter::open(Path::new(ROOT))?;
        ensure!(new.current().is_none(), "the old image is not this agent's");
        ensure!(
            new.hooks()? == before,
            "and still in force: {:?}, not {before:?}",
            new.hooks()?
        );
        ensure!(new.next_generation()? == 2, "its number is taken");
        ensure!(send()?);
        let applied = apply(&mut new, interface)?;
        ensure!(
            !applied
                .attached
                .iter()
                .any(|(hook, _)| before.contains(hook)),
            "replaced in place, never off: {:?}",
            applied.attached
        );
        ensure!(applied.leftovers.is_empty(), "{:?}", applied.leftovers);
        ensure!(send()?);
        std::thread::sleep(Duration::from_millis(50));
        ensure!(
            refused(&new)? == 1,
            "the new image judges: {}",
            refused(&new)?
        );
        let left = folders()?;
        ensure!(
            left.len() == 3 && left.iter().all(|name| !name.contains("-v0")),
            "{left:?}"
        );
        Filter::detach(Path::new(ROOT))?;
        Ok(())
    })
}

/// The object with every return of its programs replaced by a jump to the next
/// instruction: a program then runs past its end.
fn without_returns() -> Result<Vec<u8>> {
    let mut bytes = object().to_vec();
    for code in programs(&bytes)? {
        let code = bytes.get_mut(code).context("a section past the end")?;
        for instruction in code.as_chunks_mut::<8>().0 {
            if *instruction == [0x95, 0, 0, 0, 0, 0, 0, 0] {
                *instruction = [0x05, 0, 0, 0, 0, 0, 0, 0];
            }
        }
    }
    Ok(bytes)
}

/// Where the instructions lie in an ELF file of 64 bits, little end first
/// (System V ABI, "Sections"). The same bytes elsewhere mean something else.
fn programs(elf: &[u8]) -> Result<Vec<Range<usize>>> {
    const EXECUTABLE: usize = 4;
    let number = |at: usize, bytes: usize| -> Result<usize> {
        let mut wide = [0; 8];
        let field = elf.get(at..at + bytes).context("the object ends early")?;
        wide.get_mut(..bytes)
            .context("too wide")?
            .copy_from_slice(field);
        Ok(usize::try_from(u64::from_le_bytes(wide))?)
    };
    let (headers, size, count) = (number(0x28, 8)?, number(0x3a, 2)?, number(0x3c, 2)?);
    let mut found = Vec::new();
    for header in (0..count).map(|section| headers + section * size) {
        if number(header + 8, 8)? & EXECUTABLE != 0 {
            let start = number(header + 0x18, 8)?;
            found.push(start..start + number(header + 0x20, 8)?);
        }
    }
    Ok(found)
}

#[test]
fn a_broken_image_keeps_the_old_one_in_force() -> Result<()> {
    let lab = Lab::new()?;
    let (interface, client) = (&lab.interface, &lab.client);
    lab.router.run(|| {
        let mut filter = Filter::open(Path::new(ROOT))?;
        apply(&mut filter, interface)?;
        let before = folders()?;
        let (image, doors) = image(&filter, interface)?;
        let contents = Contents::new(&image, &doors, b"")?;
        let broken = without_returns()?;
        ensure!(broken != object(), "no return was found");
        match filter.prepare_from(&broken, &contents) {
            Err(KernelError::Verifier { program, reason }) => {
                ensure!(
                    !program.is_empty() && !reason.is_empty(),
                    "{program}: {reason}"
                );
            }
            Err(other) => anyhow::bail!("{other}"),
            Ok(_) => anyhow::bail!("the kernel took a program without an end"),
        }
        for cut in [0, 100, object().len() / 2, object().len() - 64] {
            let cut = object().get(..cut).context("the object is longer")?;
            let error = filter.prepare_from(cut, &contents).err();
            let error = error.context("a cut object was taken")?;
            ensure!(!error.to_string().is_empty());
        }
        // One door too few: nothing reaches the kernel.
        ensure!(Contents::new(&image, doors.get(1..).unwrap_or(&[]), b"").is_err());
        ensure!(folders()? == before, "{:?} were {before:?}", folders()?);
        ensure!(filter.current().map(|image| image.number()) == Some(1));
        ensure!(client.run(|| Ok(Wire::open("eth0")?.send(&denied(40_000))))?);
        std::thread::sleep(Duration::from_millis(50));
        ensure!(refused(&filter)? == 1, "the old image judges");
        // And nothing of the failures is in the way of the next one.
        let applied = apply(&mut filter, interface)?;
        ensure!(applied.leftovers.is_empty(), "{:?}", applied.leftovers);
        Filter::detach(Path::new(ROOT))?;
        Ok(())
    })
}

#[test]
fn events_that_nobody_reads_are_counted() -> Result<()> {
    /// Flows of a burst: more than two cores may report in a second.
    const BURST: u16 = 4_500;
    let lab = Lab::new()?;
    let (interface, client) = (&lab.interface, &lab.client);
    lab.router.run(|| {
        let mut filter = Filter::open(Path::new(ROOT))?;
        apply(&mut filter, interface)?;
        client.run(|| {
            let wire = Wire::open("eth0")?;
            for burst in 0..2 {
                for flow in 0..BURST {
                    ensure!(wire.send(&denied(10_000 + burst * BURST + flow)));
                }
                std::thread::sleep(Duration::from_millis(1_200));
            }
            Ok(())
        })?;
        let lost = filter.shared().lost_events()?;
        ensure!(
            lost.over > 0,
            "the second's share was not reached: {lost:?}"
        );
        ensure!(lost.full > 0, "a ring of 1 MiB holds them all: {lost:?}");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let read = runtime.block_on(async {
            let mut events = Events::open(&filter)?;
            let mut read = 0;
            let wait = Duration::from_millis(300);
            while let Ok(event) = tokio::time::timeout(wait, events.next()).await {
                event?;
                read += 1;
            }
            Ok::<u64, anyhow::Error>(read)
        })?;
        let all = u64::from(BURST) * 2;
        ensure!(refused(&filter)? == all, "{} of {all}", refused(&filter)?);
        ensure!(read + lost.full + lost.over == all, "{read} read, {lost:?}");
        // Counts and flows outlive the image.
        apply(&mut filter, interface)?;
        ensure!(filter.shared().lost_events()? == lost);
        let fill = filter.shared().fill()?;
        let reported = fill.iter().find(|(map, _)| *map == "reported");
        ensure!(reported.is_some_and(|(_, fill)| *fill > 0.1), "{fill:?}");
        ensure!(fill.iter().all(|(_, fill)| *fill <= 1.0), "{fill:?}");
        Filter::detach(Path::new(ROOT))?;
        Ok(())
    })
}
