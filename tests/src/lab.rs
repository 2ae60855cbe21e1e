//! A school in namespaces.
//!
//! ```text
//!  client ── port ┐ switch            router                        server
//!  client ── port ┤ tags ── trunk ══ lan0 ── untags ── room N       eth0
//!  client ── port ┘                  XDP, tc                wan0 ── many names
//! ```
//!
//! A room's client has one address of each family; the router has the first
//! address of every room's network. The filter belongs on `lan0` and `wan0`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};

use crate::netns::Host;
use crate::switch::{Receiver, Switch, Tags};

/// The router's trunk to the rooms.
pub const LAN: &str = "lan0";
/// The router's way out.
pub const WAN: &str = "wan0";

/// Two tags on a full frame are longer than a veth link takes with the
/// usual MTU.
const TRUNK_MTU: u32 = 1508;
const MTU: u32 = 1500;

/// Addresses of the server: documentation ranges, so that lists of the tests
/// may name them. The last of each family is for blocked ranges.
pub const SERVERS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10)),
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x10)),
];

/// A room with its one client.
pub struct Room {
    pub name: String,
    pub tags: Tags,
    pub client: Host,
    number: u8,
}

impl Room {
    /// The client's IPv4 address.
    pub fn v4(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 20, self.number, 2)
    }

    /// The client's IPv6 address.
    pub fn v6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd20, 0, 0, self.number.into(), 0, 0, 0, 2)
    }

    /// The room's networks, as a policy writes them.
    pub fn subnets(&self) -> [String; 2] {
        let number = self.number;
        [
            format!("10.20.{number}.0/24"),
            format!("fd20:0:0:{number:x}::/64"),
        ]
    }
}

/// How the router tells the rooms on its trunk apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untagging {
    /// By the programs of [`Switch`], on any kernel.
    Programs,
    /// By VLAN devices, as real routers do; the kernel needs 8021q.
    Devices,
}

/// The whole school; dropping it takes everything back.
pub struct Lab {
    pub router: Host,
    pub server: Host,
    rooms: Vec<Room>,
    _switches: Vec<Switch>,
    _receiver: Receiver,
    _switch: Host,
}

impl Lab {
    /// Builds rooms with these names and tags; at most 200.
    pub fn new(rooms: &[(&str, Tags)]) -> Result<Self> {
        Self::with(Untagging::Programs, rooms)
    }

    /// As [`Self::new`], with a choice of how the router untags.
    pub fn with(untagging: Untagging, rooms: &[(&str, Tags)]) -> Result<Self> {
        let router = Host::new("router")?;
        let switch = Host::new("switch")?;
        let server = Host::new("server")?;
        switch.cable("trunk0", &router, LAN, TRUNK_MTU)?;
        router.cable(WAN, &server, "eth0", MTU)?;
        uplink(&router, &server)?;
        let rooms = rooms
            .iter()
            .zip(1..=200)
            .map(|((name, tags), number)| {
                let gateway = match untagging {
                    Untagging::Programs => cable_to_itself(&router, number)?,
                    Untagging::Devices => vlan_device(&router, number, *tags)?,
                };
                room(name, *tags, number, (&router, &gateway), &switch)
            })
            .collect::<Result<Vec<Room>>>()?;
        let ports = |kind: &str| -> Vec<(String, Tags)> {
            rooms
                .iter()
                .map(|room| (format!("{kind}{}", room.number), room.tags))
                .collect()
        };
        let mut switches = vec![Switch::new(&switch, "trunk0", &ports("port"))?];
        if untagging == Untagging::Programs {
            switches.push(Switch::new(&router, LAN, &ports("tag"))?);
        }
        Ok(Self {
            _switches: switches,
            _receiver: Receiver::new(&switch, "trunk0")?,
            router,
            server,
            rooms,
            _switch: switch,
        })
    }

    /// The room of that name.
    pub fn room(&self, name: &str) -> Result<&Room> {
        self.rooms
            .iter()
            .find(|room| room.name == name)
            .with_context(|| format!("the lab has no room {name}"))
    }

    pub fn rooms(&self) -> &[Room] {
        &self.rooms
    }
}

fn uplink(router: &Host, server: &Host) -> Result<()> {
    for name in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        router.sysctl(name, "1")?;
    }
    router.ip(&format!(
        "addr add 192.0.2.1/24 dev {WAN}\n\
         addr add 2001:db8:ffff::1/64 dev {WAN} nodad\n\
         route add 198.51.100.0/24 via 192.0.2.2\n\
         route add 203.0.113.0/24 via 192.0.2.2\n\
         route add 2001:db8:1::/48 via 2001:db8:ffff::2\n\
         route add 2001:db8:2::/48 via 2001:db8:ffff::2\n"
    ))?;
    let mut lines = String::from(
        "addr add 192.0.2.2/24 dev eth0\n\
         addr add 2001:db8:ffff::2/64 dev eth0 nodad\n\
         route add default via 192.0.2.1\n\
         route add default via 2001:db8:ffff::1\n",
    );
    for address in SERVERS {
        let flag = if address.is_ipv6() { " nodad" } else { "" };
        lines.push_str(&format!("addr add {address} dev lo{flag}\n"));
    }
    server.ip(&lines)
}

/// In place of a VLAN device: one end of the cable is the router's foot in the
/// room, the other a port of the untagging programs.
fn cable_to_itself(router: &Host, number: u8) -> Result<String> {
    let near = format!("room{number}");
    router.cable(&near, router, &format!("tag{number}"), MTU)?;
    Ok(near)
}

fn vlan_device(router: &Host, number: u8, tags: Tags) -> Result<String> {
    let Tags { outer, inner } = tags;
    if outer == 0 {
        return Ok(LAN.to_owned());
    }
    let name = format!("room{number}");
    let lines = if inner == 0 {
        format!("link add link {LAN} name {name} mtu {MTU} type vlan id {outer}\n")
    } else {
        format!(
            "link add link {LAN} name outer{number} type vlan proto 802.1ad id {outer}\n\
             link set outer{number} up\n\
             link add link outer{number} name {name} mtu {MTU} type vlan id {inner}\n"
        )
    };
    router.ip(&format!("{lines}link set {name} up\n"))?;
    Ok(name)
}

fn room(
    name: &str,
    tags: Tags,
    number: u8,
    (router, gateway): (&Host, &str),
    switch: &Host,
) -> Result<Room> {
    let client = Host::new(name)?;
    switch.cable(&format!("port{number}"), &client, "eth0", MTU)?;
    router.ip(&format!(
        "addr add 10.20.{number}.1/24 dev {gateway}\n\
         addr add fd20:0:0:{number:x}::1/64 dev {gateway} nodad\n"
    ))?;
    client.ip(&format!(
        "addr add 10.20.{number}.2/24 dev eth0\n\
         addr add fd20:0:0:{number:x}::2/64 dev eth0 nodad\n\
         route add default via 10.20.{number}.1\n\
         route add default via fd20:0:0:{number:x}::1\n"
    ))?;
    Ok(Room {
        name: name.to_owned(),
        tags,
        client,
        number,
    })
}

/// Whether this kernel can make VLAN devices.
pub fn has_vlan_devices() -> Result<bool> {
    let host = Host::new("probe")?;
    host.ip("link add probe0 type veth peer name probe1\n")?;
    Ok(host
        .ip("link add link probe0 name probe2 type vlan id 2\n")
        .is_ok())
}
