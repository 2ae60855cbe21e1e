//! `veth.*`: live frames with random listed destinations into a veth pair,
//! whose other end drops them.
//!
//! The sender is `BPF_PROG_TEST_RUN` with live frames (Linux 5.18): its
//! program gives each frame a destination and returns XDP_TX, and the pair's
//! other end is polled on the same core. So a figure holds sender and
//! receiver, the same sender in all rows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use aya_obj::programs::XdpAttachType;
use filter_agent::image::{Image, Input, Names, Place, Room, Tags};
use filter_agent::kernel::{Contents, Filter, Interface, Mode, Side};
use filter_ebpf::abi::{self, Access, Group, GroupFlags, Secret, Verdict};

use crate::peers::{Peers, context};
use crate::rows::Rows;
use crate::workload::Prefixes;

const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// How long each sample sends.
const SPAN: Duration = Duration::from_millis(300);
const BURST: u32 = 64_000;
const VLAN: u16 = 10;
const ROOT: &str = "/sys/fs/bpf/school-filter-bench";

pub(crate) fn measure(rows: &mut Rows, rounds: u32) -> Result<()> {
    // The pairs vanish with this process, however it ends.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).context("no network namespace")?;
    ip(&["link", "set", "lo", "up"])?;
    for size in SIZES {
        eprintln!("veth: {size} ranges");
        let prefixes = Prefixes::random(size);
        let secret = Secret {
            name: [1; 4],
            content: [1; 4],
        };
        let image = crate::workload::image(&prefixes, 0, &secret)?;
        let mut peers = Peers::load(&image, &prefixes)?;
        let drop = Pair::new("drop", &mut peers, Some("drop"))?;
        let lpm = Pair::new("lpm", &mut peers, Some("lpm4_drop"))?;
        let ours = Pair::new("ours", &mut peers, None)?;
        let filter = Attached::new(&ours, &prefixes)?;
        let row = |name: &str| format!("veth.{name}.{size}");
        let program = format!("prog.drop-by-range.{size}");
        for _ in 0..rounds {
            rows.add(&program, "ns", filter.time(&ours, &prefixes)?);
            for pair in [&drop, &lpm, &ours] {
                rows.add(&row(pair.name), "packets/s", pair.rate(&peers)?);
            }
        }
        rows.ratio(&row("ours-against-drop"), &row("ours"), &row("drop"));
        rows.ratio(&row("ours-against-lpm"), &row("ours"), &row("lpm"));
        rows.ratio(&row("lpm-against-drop"), &row("lpm"), &row("drop"));
    }
    Ok(())
}

/// A veth pair: frames go in at one end and are dropped at the other.
struct Pair {
    name: &'static str,
    sender: u32,
    receiver: u32,
}

impl Pair {
    /// Makes the pair; `program` of the peers hangs on the receiver.
    fn new(name: &'static str, peers: &mut Peers, program: Option<&str>) -> Result<Self> {
        let (near, far) = (format!("{name}0"), format!("{name}1"));
        // One of an earlier size.
        let _ = Command::new("ip").args(["link", "del", &near]).output();
        ip(&["link", "add", &near, "type", "veth", "peer", "name", &far])?;
        for end in [&near, &far] {
            // Nothing speaks on its own.
            let knob = format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6");
            let _ = fs::write(knob, "1");
            ip(&["link", "set", end, "up"])?;
        }
        let [sender, receiver] =
            [&near, &far].map(|end| nix::net::if_::if_nametoindex(end.as_str()));
        let (sender, receiver) = (sender?, receiver?);
        // A device has receive queues of XDP only with a program.
        peers.attach("pass", sender)?;
        if let Some(program) = program {
            peers.attach(program, receiver)?;
        }
        Ok(Self {
            name,
            sender,
            receiver,
        })
    }

    /// Packets per second that the receiver's program saw.
    fn rate(&self, peers: &Peers) -> Result<f64> {
        let frame = frame();
        let before = self.received()?;
        let start = Instant::now();
        while start.elapsed() < SPAN {
            peers.send(self.sender, &frame, BURST)?;
        }
        let span = start.elapsed();
        let packets = self.received()? - before;
        ensure!(packets > 0, "{}: nothing arrived", self.name);
        Ok(packets as f64 / span.as_secs_f64())
    }

    fn received(&self) -> Result<u64> {
        let output = Command::new("ethtool")
            .args(["-S", &format!("{}1", self.name)])
            .output()
            .context("ethtool does not start")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let count = text
            .lines()
            .filter_map(|line| line.trim().split_once(": "))
            .filter(|(name, _)| name.starts_with("rx_queue_") && name.ends_with("_xdp_packets"))
            .filter_map(|(_, count)| count.parse::<u64>().ok())
            .sum();
        Ok(count)
    }
}

/// The filter on a pair's receiver; goes with this value.
struct Attached;

impl Attached {
    fn new(pair: &Pair, prefixes: &Prefixes) -> Result<Self> {
        let root = Path::new(ROOT);
        // What a benchmark left that was killed.
        if root.exists() {
            Filter::detach(root)?;
        }
        let mut filter = Filter::open(root)?;
        let attached = Self;
        let image = policy(pair.receiver, prefixes, &filter.secret())?;
        let doors = [Access::UNKNOWN];
        let contents = Contents::new(&image, &doors, b"")?;
        filter.apply(
            &contents,
            &[Interface {
                name: format!("{}1", pair.name),
                ifindex: pair.receiver,
                side: Side::Lan,
                mode: Mode::Native,
            }],
        )?;
        Ok(attached)
    }
}

impl Attached {
    /// Nanoseconds of the whole program for a frame to a listed address,
    /// always the same one.
    fn time(&self, pair: &Pair, prefixes: &Prefixes) -> Result<f64> {
        let path = Path::new(ROOT).join(format!("gen-1-v{}/lan_ingress", abi::VERSION));
        let program = Xdp::from_pin(path, XdpAttachType::Interface)?;
        let mut frame = frame();
        let (address, _) = prefixes.v4.first().context("no prefixes")?;
        frame[34..38].copy_from_slice(&address.to_be_bytes());
        let context = context(frame.len(), pair.receiver);
        let result = program.test_run(TestRunOptions {
            data_in: Some(&frame),
            ctx_in: Some(&context),
            repeat: 200_000,
            ..TestRunOptions::new()
        })?;
        ensure!(result.return_value == 1, "the filter did not drop");
        Ok(result.duration.as_nanos() as f64)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Err(error) = Filter::detach(&PathBuf::from(ROOT)) {
            eprintln!("the filter stays below {ROOT}: {error}");
        }
    }
}

/// One room, always open, that may not reach the prefixes.
fn policy(link: u32, prefixes: &Prefixes, secret: &Secret) -> Result<Image> {
    Ok(Image::build(Input {
        generation: 1,
        links: vec![link],
        unknown_vlan: Verdict::Pass,
        when_stale: Verdict::Drop,
        trace: false,
        hello_cap: 16_384,
        quic_budget: 1000,
        groups: vec![Group {
            deny: 1,
            refuse: Verdict::Drop as u8,
            flags: GroupFlags::DEFAULT_OPEN | GroupFlags::BY_NAME,
            ..Group::default()
        }],
        rooms: vec![Room {
            name: "bench".to_owned(),
            places: vec![Place {
                link: None,
                tags: Tags::Vlan(VLAN),
            }],
            ..Room::default()
        }],
        categories: 1,
        names: Names::new(secret),
        ranges: prefixes.ranges()?,
        safe_search: filter_agent::image::SafeSearch::default(),
    })?)
}

/// A tagged UDP datagram of 64 bytes from 10.0.0.5.
fn frame() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0];
    frame.extend(VLAN.to_be_bytes());
    frame.extend([8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend([10, 0, 0, 5, 0, 0, 0, 0]);
    frame.extend([0x40, 0, 0x13, 0x88, 0, 26, 0, 0]);
    frame.resize(64, 0);
    frame
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("ip (package iproute2) does not start")?;
    ensure!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
