//! What an interface must have, and what hides frames from the program.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::attach::{self, Mode, Side};
use super::super::pins::Pins;
use super::ethtool::Ethtool;
use super::{Finding, netlink};

/// Ethernet, of include/uapi/linux/if_arp.h.
const ARPHRD_ETHER: &str = "1";
const IFF_UP: u32 = 1;

/// Offloads that merge frames: native XDP drivers refuse to run with them.
const MERGING: [(&str, &str); 2] = [("rx-lro", "lro"), ("rx-gro-hw", "rx-gro-hw")];
/// Takes the VLAN tag out of the frame before the program sees it.
const RX_VLAN: (&str, &str) = ("rx-vlan-hw-parse", "rxvlan");
/// Puts it in behind the program; on veth the other end then never sees it
/// in the frame.
const TX_VLAN: (&str, &str) = ("tx-vlan-hw-insert", "txvlan");

/// What preflight found out about an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InterfaceReport {
    pub name: String,
    /// 0: there is no such interface.
    pub ifindex: u32,
    pub driver: String,
    /// Bytes of the largest packet.
    pub mtu: u32,
    pub up: bool,
    /// The bond or bridge it is a port of.
    pub master: Option<String>,
    pub findings: Vec<Finding>,
}

/// Looks at one interface and switches off what hides frames.
pub(super) fn check(name: &str, side: Side, mode: Mode, root: &Path) -> InterfaceReport {
    let mut report = InterfaceReport {
        name: name.to_owned(),
        ..InterfaceReport::default()
    };
    let Ok(ifindex) = nix::net::if_::if_nametoindex(name) else {
        report.findings.push(Finding::fatal(
            "there is no such interface",
            "name one of `ip link show` in [network] of the policy",
        ));
        return report;
    };
    let sys = Path::new("/sys/class/net").join(name);
    let number = |file: &str| read(&sys, file).parse().unwrap_or_default();
    report.ifindex = ifindex;
    report.mtu = number("mtu");
    report.up = u32::from_str_radix(read(&sys, "flags").trim_start_matches("0x"), 16)
        .is_ok_and(|flags| flags & IFF_UP != 0);
    report.master = fs::read_link(sys.join("master"))
        .ok()
        .and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let mut findings = Vec::new();
    if !report.up {
        findings.push(Finding::note(format!(
            "it is down; to use it: ip link set dev {name} up"
        )));
    }
    place(&sys, name, mode, report.master.as_deref(), &mut findings);
    match Ethtool::open(name) {
        Ok(ethtool) => {
            report.driver = ethtool.driver().unwrap_or_default();
            offloads(&ethtool, &report, side, &mut findings);
        }
        Err(error) => findings.push(Finding::note(format!(
            "its driver tells nothing about offloads ({error})"
        ))),
    }
    // Behind a bond the cards themselves take the tags out.
    for port in bond_ports(&sys) {
        if let Ok(ethtool) = Ethtool::open(&port) {
            let port = InterfaceReport {
                name: port,
                driver: ethtool.driver().unwrap_or_default(),
                ..InterfaceReport::default()
            };
            offloads(&ethtool, &port, side, &mut findings);
        }
    }
    findings.extend(foreign_program(name, ifindex, root));
    report.findings = findings;
    report
}

/// Is this the interface that sees the frames as they come?
fn place(sys: &Path, name: &str, mode: Mode, master: Option<&str>, findings: &mut Vec<Finding>) {
    if read(sys, "type") != ARPHRD_ETHER {
        findings.push(Finding::fatal(
            "it carries no Ethernet frames",
            "name the interface of the LAN trunk in [network] of the policy",
        ));
    }
    if sys.join("bonding_slave").exists() {
        let bond = master.unwrap_or("its bond");
        findings.push(Finding::fatal(
            format!("it is a port of {bond}, whose other ports would not be filtered"),
            format!("name {bond} instead of {name} in [network] of the policy"),
        ));
    } else if let Some(bridge) = master {
        findings.push(Finding::note(format!(
            "it is a port of {bridge}; what {bridge} carries between other ports is not filtered"
        )));
    }
    if sys.join("bridge").exists() && mode == Mode::Native {
        findings.push(Finding::fatal(
            "it is a bridge, which runs no XDP program itself",
            format!(
                "name the ports of {name} in [network] of the policy, or write generic = true there"
            ),
        ));
    }
    if is_vlan(sys) && mode == Mode::Native {
        findings.push(Finding::fatal(
            "it is a VLAN on top of a trunk: the tags are gone here, and it runs no XDP program itself",
            "name the trunk in [network] of the policy, and the VLAN in its room",
        ));
    }
}

fn is_vlan(sys: &Path) -> bool {
    read(sys, "uevent")
        .lines()
        .any(|line| line == "DEVTYPE=vlan")
}

fn bond_ports(sys: &Path) -> Vec<String> {
    read(sys, "bonding/slaves")
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

fn offloads(ethtool: &Ethtool, report: &InterfaceReport, side: Side, findings: &mut Vec<Finding>) {
    let name = &report.name;
    let mut off = |(feature, short): (&str, &str), why: &str, blind: bool| {
        let Ok(Some(state)) = ethtool.feature(feature) else {
            return;
        };
        if !state.on {
            return;
        }
        let command = format!("ethtool -K {name} {short} off");
        let gone = !state.fixed
            && ethtool.switch_off(state).is_ok()
            && matches!(ethtool.feature(feature), Ok(Some(state)) if !state.on);
        findings.push(if gone {
            Finding::changed(format!(
                "{feature} was on and {why}; switched off: {command}"
            ))
        } else if blind {
            Finding::fatal(
                format!(
                    "{feature} is on, {why}, and the driver {} does not let it be switched off",
                    report.driver
                ),
                format!("{command}, or another network card"),
            )
        } else {
            Finding::note(format!(
                "{feature} is on and cannot be switched off; it {why}"
            ))
        });
    };
    for offload in MERGING {
        off(offload, "hands merged frames to the program", false);
    }
    if side == Side::Lan {
        // On veth no hardware takes tags out; a tag that the other end keeps
        // beside the frame stays hidden whatever this end is set to.
        let virtual_pair = report.driver == "veth";
        off(RX_VLAN, "hides VLAN tags from the program", !virtual_pair);
        if virtual_pair {
            off(TX_VLAN, "hides VLAN tags from the other end", false);
        }
    }
}

/// A program that is not ours and not a part of ours.
fn foreign_program(name: &str, ifindex: u32, root: &Path) -> Option<Finding> {
    let program = netlink::xdp_program(ifindex).ok().flatten()?.id;
    (!attach::is_ours(program, &Pins::new(root).links())).then(|| {
        Finding::fatal(
            format!("another XDP program (number {program}) is attached"),
            format!("ip link set dev {name} xdp off (or end the service that put it there)"),
        )
    })
}

fn read(sys: &Path, file: &str) -> String {
    let path: PathBuf = sys.join(file);
    fs::read_to_string(path).map_or_else(|_| String::new(), |text| text.trim().to_owned())
}
