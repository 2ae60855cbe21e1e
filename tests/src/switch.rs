//! Ports and a trunk: VLAN tags on and off, by the programs of `tests/switch`.

use std::path::Path;

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::{HashMap, MapData};
use aya::programs::{SchedClassifier, TcAttachType, Xdp, XdpMode, tc};

use crate::netns::Host;

/// The tags of a port; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    pub outer: u16,
    pub inner: u16,
}

impl Tags {
    const fn number(self) -> u32 {
        (self.outer as u32) << 12 | self.inner as u32
    }
}

/// A trunk whose frames go to ports by their tags, and back. Dropping it ends
/// the tagging.
pub struct Switch {
    // The links go with the programs.
    _programs: Ebpf,
}

impl Switch {
    /// Tags between `trunk` and `ports`, all interfaces of `host`.
    pub fn new(host: &Host, trunk: &str, ports: &[(String, Tags)]) -> Result<Self> {
        host.run(|| attach(host, trunk, ports))
            .with_context(|| format!("cannot make a switch of {}", host.name()))
    }
}

fn attach(host: &Host, trunk: &str, ports: &[(String, Tags)]) -> Result<Switch> {
    let mut programs = load()?;
    let trunk_index = host.index(trunk)?;
    for (port, tags) in ports {
        let index = host.index(port)?;
        let value = u64::from(trunk_index) << 32 | u64::from(tags.number());
        map::<u32, u64>(&mut programs, "PORTS")?.insert(index, value, 0)?;
        map::<u32, u32>(&mut programs, "TAGS")?.insert(tags.number(), index, 0)?;
    }
    for (program, interfaces) in [
        (
            "port",
            ports.iter().map(|(port, _)| port.as_str()).collect(),
        ),
        ("trunk", vec![trunk]),
    ] {
        let program: &mut SchedClassifier = programs
            .program_mut(program)
            .with_context(|| format!("no program {program}"))?
            .try_into()?;
        program.load()?;
        for interface in interfaces {
            // Where the program is attached the older way it needs a qdisc.
            let _ = tc::qdisc_add_clsact(interface);
            program.attach(interface, TcAttachType::Ingress)?;
        }
    }
    Ok(Switch {
        _programs: programs,
    })
}

/// Lets `interface` take frames that its peer's XDP program sends back.
pub struct Receiver {
    _program: Ebpf,
}

impl Receiver {
    pub fn new(host: &Host, interface: &str) -> Result<Self> {
        host.run(|| {
            let mut programs = load()?;
            let program: &mut Xdp = programs
                .program_mut("receive")
                .context("no program receive")?
                .try_into()?;
            program.load()?;
            program.attach(interface, XdpMode::Driver)?;
            Ok(Self { _program: programs })
        })
    }
}

fn load() -> Result<Ebpf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bpf/switch.o");
    let object = std::fs::read(&path).with_context(|| {
        format!(
            "cannot read {} (`cargo xtask test` builds it)",
            path.display()
        )
    })?;
    Ebpf::load(&object).context("the kernel refused the switch")
}

fn map<'a, K: aya::Pod, V: aya::Pod>(
    programs: &'a mut Ebpf,
    name: &str,
) -> Result<HashMap<&'a mut MapData, K, V>> {
    let map = programs
        .map_mut(name)
        .with_context(|| format!("no map {name}"))?;
    Ok(map.try_into()?)
}
