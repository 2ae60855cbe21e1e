//! Netfilter as a peer: the same prefixes in its sets.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use filter_tests::scratch::Scratch;

use crate::veth::{Pair, run};
use crate::workload::Prefixes;

type SetUp = fn(&Pair, &Prefixes) -> Result<Netfilter>;

/// By the names of their rows.
pub(crate) const PEERS: [(&str, SetUp); 2] = [("nft", nft), ("ipset", ipset)];

/// Rules on one interface; they go with this value.
pub(crate) enum Netfilter {
    Nft,
    /// The `iptables` that works here.
    Ipset(&'static str),
}

/// nftables at netdev ingress, with an interval set.
fn nft(pair: &Pair, prefixes: &Prefixes) -> Result<Netfilter> {
    let mut rules = format!(
        "table netdev bench {{\n\
         set listed {{ type ipv4_addr; flags interval; elements = {{ {} }} }}\n\
         chain ingress {{ type filter hook ingress device {} priority 0;\n\
         ip daddr @listed drop\ncounter comment \"missed\"\n}}\n}}\n",
        addresses(prefixes, ", "),
        pair.interface()
    );
    rules.insert_str(0, "add table netdev bench\ndelete table netdev bench\n");
    let files = Scratch::new()?;
    let path = files.write("rules.nft", &rules)?;
    run(Command::new("nft").arg("-f").arg(path))?;
    Ok(Netfilter::Nft)
}

/// A set of nets, asked in iptables' first chain.
fn ipset(pair: &Pair, prefixes: &Prefixes) -> Result<Netfilter> {
    let mut lines = format!(
        "create listed hash:net maxelem {}\n",
        prefixes.v4.len().max(1)
    );
    for (address, bits) in &prefixes.v4 {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "add listed {}/{bits}", Ipv4Addr::from_bits(*address));
    }
    let files = Scratch::new()?;
    let path = files.write("sets", &lines)?;
    run(Command::new("ipset").args(["restore", "-file"]).arg(&path))?;
    let mut refusals = Vec::new();
    for iptables in ["iptables-nft", "iptables-legacy"] {
        let rule = ["-t", "raw", "-A", "PREROUTING", "-i"];
        let matching = ["-m", "set", "--match-set", "listed", "dst", "-j", "DROP"];
        let done = run(Command::new(iptables)
            .args(rule)
            .arg(pair.interface())
            .args(matching));
        match done {
            Ok(()) => {
                // Counts what gets past it.
                run(Command::new(iptables).args(rule).arg(pair.interface()))?;
                return Ok(Netfilter::Ipset(iptables));
            }
            Err(error) => refusals.push(error.to_string().replace('\n', " ")),
        }
    }
    let _ = run(Command::new("ipset").args(["destroy", "listed"]));
    Err(anyhow::anyhow!("{}", refusals.join("; ")))
}

impl Netfilter {
    /// Whether nothing got past the rule.
    pub(crate) fn check(&self) -> Result<()> {
        let (mut command, name) = match self {
            Self::Nft => {
                let mut command = Command::new("nft");
                command.args(["list", "chain", "netdev", "bench", "ingress"]);
                (command, "nft")
            }
            Self::Ipset(iptables) => {
                let mut command = Command::new(iptables);
                command.args(["-t", "raw", "-L", "PREROUTING", "-v", "-x", "-n"]);
                (command, "ipset")
            }
        };
        let output = command.output().context("cannot list the rules")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let missed = match self {
            Self::Nft => text
                .split_once("counter packets ")
                .and_then(|(_, rest)| rest.split(' ').next()),
            Self::Ipset(_) => text
                .lines()
                .last()
                .and_then(|line| line.split_whitespace().next()),
        };
        ensure!(missed == Some("0"), "{name} let frames past it:\n{text}");
        Ok(())
    }
}

impl Drop for Netfilter {
    fn drop(&mut self) {
        let commands: &[&[&str]] = match self {
            Self::Nft => &[&["nft", "delete", "table", "netdev", "bench"]],
            Self::Ipset(iptables) => &[
                &[iptables, "-t", "raw", "-F"],
                &["ipset", "destroy", "listed"],
            ],
        };
        for command in commands {
            // The network namespace ends with this process anyway.
            if let [program, arguments @ ..] = command {
                let _ = run(Command::new(program).args(arguments));
            }
        }
    }
}

fn addresses(prefixes: &Prefixes, between: &str) -> String {
    let mut text = String::new();
    for (address, bits) in &prefixes.v4 {
        if !text.is_empty() {
            text.push_str(between);
        }
        let _ = write!(text, "{}/{bits}", Ipv4Addr::from_bits(*address));
    }
    text
}
