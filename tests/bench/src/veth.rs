//! `veth.*`: live frames with random listed destinations into a veth pair,
//! whose other end drops them.
//!
//! The sender is `BPF_PROG_TEST_RUN` with live frames (Linux 5.18): its
//! program gives each frame a destination and returns XDP_TX, and the pair's
//! other end is polled on the same core. So a figure holds sender and
//! receiver, the same sender in all rows; it works the destination out, for a
//! table of them would push what is measured out of the cache.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::Effort;
use crate::filter::{Lists, Loaded};
use crate::frames::{self, VLAN};
use crate::netfilter;
use crate::peers::{Peers, Play, XDP_PASS};
use crate::rows::Rows;
use crate::workload::{self, Prefixes};

const BURST: u32 = 64_000;

/// Rows that are measured together, for their ratios.
const DROPS: &[&str] = &[
    "drop",
    "lpm",
    "nft",
    "ipset",
    "ours",
    "ours-against-drop",
    "ours-against-lpm",
    "ours-against-nft",
    "ours-against-ipset",
    "drop-against-lpm",
    "drop-against-nft",
    "drop-against-ipset",
    "table",
    "table-against-drop",
    "table-against-lpm",
    "table-against-nft",
    "table-against-ipset",
];
const FORWARDS: &[&str] = &["pass", "forward", "forward-against-pass"];

pub(crate) fn measure(rows: &mut Rows, effort: &Effort) -> Result<()> {
    for &size in effort.ranges {
        if effort.wants_any("veth", DROPS, size) {
            eprintln!("veth: dropping by {size} ranges");
            drops(rows, effort, size)?;
        }
    }
    let wanted = |flows: &u32| effort.wants_any("veth", FORWARDS, *flows);
    if effort.flows.iter().any(wanted) {
        eprintln!("veth: forwarding");
        forwards(rows, effort)?;
    }
    Ok(())
}

/// The same prefixes dropped by us and by every peer.
fn drops(rows: &mut Rows, effort: &Effort, size: u32) -> Result<()> {
    let prefixes = Prefixes::random(size);
    let mut filter = Loaded::new()?;
    let image = workload::image(&prefixes, 0, &filter.secret())?;
    let mut peers = Peers::load(&image, &prefixes)?;
    let mut pairs = vec![
        Pair::new("drop", &mut peers, Some("drop"))?,
        Pair::new("lpm", &mut peers, Some("lpm4_drop"))?,
        Pair::new("ours", &mut peers, None)?,
        Pair::new("table", &mut peers, Some("ranges4_drop"))?,
    ];
    let lists = Lists {
        ranges: prefixes.ranges()?,
        ..Lists::none(&filter.secret())
    };
    filter.apply(lists, pairs[2].receiver, Some("ours1"))?;
    let row = |name: &str| format!("veth.{name}.{size}");
    let mut netfilters = Vec::new();
    for (name, set_up) in netfilter::PEERS {
        let pair = Pair::new(name, &mut peers, None)?;
        pair.poll()?;
        match set_up(&pair, &prefixes) {
            Ok(netfilter) => {
                netfilters.push(netfilter);
                pairs.push(pair);
            }
            Err(error) => rows.refuse(&row(name), &format!("{error:#}")),
        }
    }
    let tagged = frames::datagram(VLAN, 18);
    for _ in 0..effort.rounds {
        for pair in &pairs {
            let frame = match pair.name {
                // Without a VLAN device tagged frames never get that far.
                "nft" | "ipset" => frames::untagged(&tagged, pair.address()?),
                _ => tagged.clone(),
            };
            let rate = pair.rate(&peers, "send", &frame, effort)?;
            rows.add(&row(pair.name), "packets/s", rate);
        }
    }
    for netfilter in &netfilters {
        netfilter.check()?;
    }
    for against in ["drop", "lpm", "nft", "ipset"] {
        // Beside ours what no filter in the same place could exceed, and what
        // none could that asks our table.
        for name in ["ours", "drop", "table"] {
            if name != against {
                let ratio = format!("{name}-against-{against}");
                rows.ratio(&row(&ratio), &row(name), &row(against));
            }
        }
    }
    Ok(())
}

/// Data of established TLS connections, beside a program that passes all.
fn forwards(rows: &mut Rows, effort: &Effort) -> Result<()> {
    let connection = frames::chromium()?;
    let mut filter = Loaded::new()?;
    let mut peers = Peers::bare()?;
    let pass = Pair::new("pass", &mut peers, Some("pass"))?;
    let ours = Pair::new("ours", &mut peers, None)?;
    let lists = Lists::none(&filter.secret());
    let program = filter.apply(lists, ours.receiver, Some("ours1"))?;
    let most = effort.flows.last().copied().unwrap_or(1);
    let start = Play {
        frames: &connection.start(),
        flows: most,
        first: 0,
        times: 1,
        targets: false,
        ifindex: Some(ours.receiver),
    };
    peers.play(program.fd()?, &start, Some(XDP_PASS))?;
    let frames = [connection.data];
    for _ in 0..effort.rounds {
        for &flows in effort.flows {
            peers.plan(&Play {
                frames: &frames,
                flows,
                first: 0,
                times: 1,
                targets: false,
                ifindex: None,
            })?;
            for (name, pair) in [("pass", &pass), ("forward", &ours)] {
                let rate = pair.rate(&peers, "send_flows", &frames[0], effort)?;
                rows.add(&format!("veth.{name}.{flows}"), "packets/s", rate);
            }
        }
    }
    for flows in effort.flows {
        let row = |name: &str| format!("veth.{name}.{flows}");
        rows.ratio(&row("forward-against-pass"), &row("forward"), &row("pass"));
    }
    Ok(())
}

/// A veth pair: frames go in at one end and are dropped at the other.
pub(crate) struct Pair {
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

    /// Name of the receiver.
    pub(crate) fn interface(&self) -> String {
        format!("{}1", self.name)
    }

    /// Lets a receiver without a program poll for frames all the same
    /// (drivers/net/veth.c, `veth_set_features`).
    fn poll(&self) -> Result<()> {
        let interface = self.interface();
        run(Command::new("ethtool").args(["-K", &interface, "gro", "on"]))
    }

    /// The receiver's MAC address.
    fn address(&self) -> Result<[u8; 6]> {
        let output = Command::new("ip")
            .args(["-oneline", "link", "show", &self.interface()])
            .output()
            .context("ip does not start")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (_, rest) = text.split_once("link/ether ").context("no MAC address")?;
        let mut address = [0; 6];
        for (byte, hex) in address.iter_mut().zip(rest.split([':', ' '])) {
            *byte = u8::from_str_radix(hex, 16)?;
        }
        Ok(address)
    }

    /// Packets per second that arrive, made by the peers' program `send`.
    fn rate(&self, peers: &Peers, send: &str, frame: &[u8], effort: &Effort) -> Result<f64> {
        let before = self.received()?;
        let start = Instant::now();
        while start.elapsed() < effort.span {
            peers.send(send, self.sender, frame, effort.runs.min(BURST))?;
        }
        let span = start.elapsed();
        let packets = self.received()? - before;
        ensure!(packets > 0, "{}: nothing arrived", self.name);
        Ok(packets as f64 / span.as_secs_f64())
    }

    fn received(&self) -> Result<u64> {
        let output = Command::new("ethtool")
            .args(["-S", &self.interface()])
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

pub(crate) fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments))
}

/// Runs a command to its end; an error tells what it wrote.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("{command:?} does not start"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
