//! The peers' BPF object, loaded with the tables of an image.

use std::os::fd::{AsFd as _, BorrowedFd};

use anyhow::{Context as _, Result, bail, ensure};
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, Map, ProgramArray};
use aya::programs::{ProgramFd, TestRun as _, TestRunAttrs, TestRunOptions, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use filter_agent::image::Image;
use filter_ebpf::tables::Table;

use crate::{mmap, workload::Prefixes};

/// Bytes of a frame of a play with several.
const FRAME: usize = 1536;
pub(crate) const XDP_DROP: u32 = 1;
pub(crate) const XDP_PASS: u32 = 2;

/// Frames that a program is called with.
#[derive(Clone, Copy)]
pub(crate) struct Play<'a> {
    /// All of them for one client, then for the next; tagged IPv4 frames
    /// without options.
    pub(crate) frames: &'a [Vec<u8>],
    /// Clients, and the number of the first one.
    pub(crate) flows: u32,
    pub(crate) first: u32,
    /// How often all clients have their turn.
    pub(crate) times: u32,
    /// Whether the destinations are random listed ones.
    pub(crate) targets: bool,
    /// The interface they come from; else loopback.
    pub(crate) ifindex: Option<u32>,
}

/// The peers in the kernel, each program loaded.
pub(crate) struct Peers(Ebpf);

/// Tables that the peers read.
const TABLES: [Table; 7] = [
    Table::Names,
    Table::Ranges4Root,
    Table::Ranges4,
    Table::Ranges4Kinds,
    Table::Ranges6Tree,
    Table::Ranges6Values,
    Table::Ranges6Lower,
];

impl Peers {
    /// Loads the peers with the image's tables and, in the tries, the same
    /// prefixes.
    pub(crate) fn load(image: &Image, prefixes: &Prefixes) -> Result<Self> {
        Self::with(Some(image), prefixes, prefixes)
    }

    /// Loads the peers that need no tables.
    pub(crate) fn bare() -> Result<Self> {
        Self::aiming(&Prefixes::default())
    }

    /// Loads the peers with random addresses of these prefixes to send to.
    pub(crate) fn aiming(prefixes: &Prefixes) -> Result<Self> {
        Self::with(None, prefixes, &Prefixes::default())
    }

    fn with(image: Option<&Image>, targets: &Prefixes, tries: &Prefixes) -> Result<Self> {
        let path = filter_tests::target().join("bpf/peers.o");
        let bytes = std::fs::read(&path)
            .with_context(|| format!("cannot read {}: run `cargo xtask bench`", path.display()))?;
        let mut loader = EbpfLoader::new();
        loader.btf(None);
        let count = targets.v4.len() as u32;
        let step = bench_peers::step(count);
        let lines = |table| image.map_or(1, |image| image.table(table).len() as u32);
        let name_lines = lines(Table::Names);
        loader.override_global("NAME_LINES", &name_lines, true);
        loader.override_global("TARGETS", &count, true);
        loader.override_global("TARGETS_STEP", &step, true);
        for (table, image) in TABLES.iter().zip(image.iter().cycle()) {
            loader.map_max_entries(table.name(), image.table(*table).len() as u32);
        }
        loader.map_max_entries("LPM4", tries.v4.len().max(1) as u32);
        loader.map_max_entries("LPM6", tries.v6.len().max(1) as u32);
        let mut ebpf = loader.load(&bytes).context("cannot make the peers' maps")?;
        for (table, image) in TABLES.iter().zip(image.iter().cycle()) {
            mmap::copy(
                array(&ebpf, table.name())?,
                image.table(*table).as_flattened(),
            )?;
        }
        fill(&mut ebpf, tries)?;
        for (name, program) in ebpf.programs_mut() {
            let program: &mut Xdp = program.try_into()?;
            program
                .load()
                .with_context(|| format!("the kernel refuses the peer {name}"))?;
        }
        Ok(Self(ebpf))
    }

    /// Nanoseconds per run of a program, over `runs` runs.
    pub(crate) fn time(&self, name: &str, runs: u32) -> Result<f64> {
        let frame = [0u8; 64];
        let result = self.program(name)?.test_run(TestRunOptions {
            data_in: Some(&frame),
            repeat: runs,
            ..TestRunOptions::new()
        })?;
        ensure!(result.return_value == XDP_DROP, "{name} did not drop");
        Ok(result.duration.as_nanos() as f64)
    }

    /// Hangs a program on an interface, natively, for as long as this lives.
    pub(crate) fn attach(&mut self, name: &str, ifindex: u32) -> Result<()> {
        let program: &mut Xdp = self
            .0
            .program_mut(name)
            .with_context(|| format!("the peer {name} is missing"))?
            .try_into()?;
        program
            .attach_to_if_index(ifindex, XdpMode::Driver)
            .with_context(|| format!("cannot attach the peer {name}"))?;
        Ok(())
    }

    /// Sends `count` frames out of an interface, made by a program of ours
    /// from `frame`.
    pub(crate) fn send(&self, program: &str, ifindex: u32, frame: &[u8], count: u32) -> Result<()> {
        let context = context(frame.len(), ifindex);
        self.program(program)?.test_run(TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(&context),
            repeat: count,
            attrs: TestRunAttrs::new().xdp_live_frames(64),
            ..TestRunOptions::new()
        })?;
        Ok(())
    }

    /// Nanoseconds per frame that `program` takes for the play, the player
    /// included; its last frame's action must be `last`, if that is said.
    pub(crate) fn play(
        &mut self,
        program: &ProgramFd,
        play: &Play<'_>,
        last: Option<u32>,
    ) -> Result<f64> {
        let [frame, ..] = play.frames else {
            bail!("a play without frames");
        };
        self.plan(play)?;
        let mut under_test =
            ProgramArray::try_from(self.0.map_mut("UNDER_TEST").context("UNDER_TEST")?)?;
        under_test.set(0, program, 0)?;
        let mut data = frame.clone();
        if play.frames.len() > 1 {
            data.resize(FRAME, 0);
        }
        let context = play.ifindex.map(|ifindex| context(data.len(), ifindex));
        let result = self.program("drive")?.test_run(TestRunOptions {
            data_in: Some(&data),
            ctx_in: context.as_deref(),
            repeat: play.flows * play.frames.len() as u32 * play.times,
            ..TestRunOptions::new()
        })?;
        ensure!(
            last.is_none_or(|last| result.return_value == last),
            "the last frame's action was {}, not {last:?}",
            result.return_value
        );
        Ok(result.duration.as_nanos() as f64)
    }

    /// The player's own time for the play.
    pub(crate) fn play_to_nobody(&mut self, play: &Play<'_>) -> Result<f64> {
        let nobody = self.program("nothing")?.fd()?.try_clone()?;
        self.play(&nobody, play, Some(XDP_PASS))
    }

    /// Tells the programs that play what to play.
    pub(crate) fn plan(&mut self, play: &Play<'_>) -> Result<()> {
        let mut frames: Array<_, [u8; FRAME]> =
            Array::try_from(self.0.map_mut("FRAMES").context("FRAMES")?)?;
        for (number, frame) in play.frames.iter().enumerate() {
            let mut bytes = [0; FRAME];
            bytes
                .get_mut(..frame.len())
                .context("a frame is too long")?
                .copy_from_slice(frame);
            frames.set(number as u32, bytes, 0)?;
        }
        let mut plan: Array<_, [u32; 6]> =
            Array::try_from(self.0.map_mut("PLAN").context("PLAN")?)?;
        let targets = u32::from(play.targets);
        let count = play.frames.len() as u32;
        plan.set(0, [count, play.flows, play.first, 0, 0, targets], 0)?;
        Ok(())
    }

    fn program(&self, name: &str) -> Result<&Xdp> {
        Ok(self
            .0
            .program(name)
            .with_context(|| format!("the peer {name} is missing"))?
            .try_into()?)
    }
}

/// A frame's `struct xdp_md`: data, data_end, data_meta, ingress_ifindex,
/// queue, egress_ifindex.
fn context(len: usize, ifindex: u32) -> Vec<u8> {
    let words = [0, len as u32, 0, ifindex, 0, 0];
    words.into_iter().flat_map(u32::to_ne_bytes).collect()
}

fn array<'a>(ebpf: &'a Ebpf, name: &str) -> Result<BorrowedFd<'a>> {
    match ebpf.map(name) {
        Some(Map::Array(data)) => Ok(data.fd().as_fd()),
        _ => bail!("the peers have no array {name}"),
    }
}

fn fill(ebpf: &mut Ebpf, prefixes: &Prefixes) -> Result<()> {
    let mut v4: LpmTrie<_, [u8; 4], u32> =
        LpmTrie::try_from(ebpf.map_mut("LPM4").context("LPM4 is missing")?)?;
    for &(address, bits) in &prefixes.v4 {
        v4.insert(&Key::new(u32::from(bits), address.to_be_bytes()), 1, 0)?;
    }
    let mut v6: LpmTrie<_, [u8; 16], u32> =
        LpmTrie::try_from(ebpf.map_mut("LPM6").context("LPM6 is missing")?)?;
    for &(address, bits) in &prefixes.v6 {
        v6.insert(&Key::new(u32::from(bits), address.to_be_bytes()), 1, 0)?;
    }
    Ok(())
}
