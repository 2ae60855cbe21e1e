//! The peers' BPF object, loaded with the tables of an image.

use std::os::fd::{AsFd as _, BorrowedFd};

use anyhow::{Context as _, Result, bail, ensure};
use aya::maps::Map;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use filter_agent::image::Image;
use filter_ebpf::tables::Table;

use crate::{mmap, workload::Prefixes};

/// The peers in the kernel, each program loaded.
pub(crate) struct Peers(Ebpf);

/// Tables that the peers read.
const TABLES: [Table; 6] = [
    Table::Names,
    Table::Ranges4Root,
    Table::Ranges4,
    Table::Ranges6Tree,
    Table::Ranges6Values,
    Table::Ranges6Lower,
];

impl Peers {
    /// Loads the peers with the image's tables and, in the tries, the same
    /// prefixes.
    pub(crate) fn load(image: &Image, prefixes: &Prefixes) -> Result<Self> {
        let path = std::env::var("BENCH_PEERS")
            .context("BENCH_PEERS is not set: run `cargo xtask bench`")?;
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {path}"))?;
        let name_lines = image.table(Table::Names).len() as u32;
        let mut loader = EbpfLoader::new();
        loader.btf(None);
        let targets = prefixes.targets();
        let targets_len = targets.len() as u32;
        loader.override_global("NAME_LINES", &name_lines, true);
        loader.override_global("TARGETS_LEN", &targets_len, true);
        loader.map_max_entries("TARGETS", targets_len);
        for table in TABLES {
            loader.map_max_entries(table.name(), image.table(table).len() as u32);
        }
        loader.map_max_entries("LPM4", prefixes.v4.len().max(1) as u32);
        loader.map_max_entries("LPM6", prefixes.v6.len().max(1) as u32);
        let mut ebpf = loader.load(&bytes).context("cannot make the peers' maps")?;
        for table in TABLES {
            mmap::copy(
                array(&ebpf, table.name())?,
                image.table(table).as_flattened(),
            )?;
        }
        mmap::copy(array(&ebpf, "TARGETS")?, &targets)?;
        fill(&mut ebpf, prefixes)?;
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
        ensure!(result.return_value == 1, "{name} did not drop");
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

    /// Sends `count` frames out of an interface, each to a random target.
    pub(crate) fn send(&self, ifindex: u32, frame: &[u8], count: u32) -> Result<()> {
        let context = context(frame.len(), ifindex);
        self.program("send")?.test_run(TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(&context),
            repeat: count,
            attrs: TestRunAttrs::new().xdp_live_frames(64),
            ..TestRunOptions::new()
        })?;
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
pub(crate) fn context(len: usize, ifindex: u32) -> Vec<u8> {
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
