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

/// The whole school; dropping it takes everything back.
pub struct Lab {
    pub router: Host,
    pub server: Host,
    rooms: Vec<Room>,
    _switches: [Switch; 2],
    _receiver: Receiver,
    _switch: Host,
}

impl Lab {
    /// Builds rooms with these names and tags; at most 200.
    pub fn new(rooms: &[(&str, Tags)]) -> Result<Self> {
        let router = Host::new("router")?;
        let switch = Host::new("switch")?;
        let server = Host::new("server")?;
        switch.cable("trunk0", &router, LAN, TRUNK_MTU)?;
        router.cable(WAN, &server, "eth0", MTU)?;
        uplink(&router, &server)?;
        let rooms = rooms
            .iter()
            .zip(1..=200)
            .map(|((name, tags), number)| room(name, *tags, number, &router, &switch))
            .collect::<Result<Vec<Room>>>()?;
        let ports = |kind: &str| -> Vec<(String, Tags)> {
            rooms
                .iter()
                .map(|room| (format!("{kind}{}", room.number), room.tags))
                .collect()
        };
        Ok(Self {
            _switches: [
                Switch::new(&switch, "trunk0", &ports("port"))?,
                Switch::new(&router, LAN, &ports("tag"))?,
            ],
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

fn room(name: &str, tags: Tags, number: u8, router: &Host, switch: &Host) -> Result<Room> {
    let client = Host::new(name)?;
    switch.cable(&format!("port{number}"), &client, "eth0", MTU)?;
    // In place of a VLAN device: a cable from the router to itself.
    let (near, far) = (format!("room{number}"), format!("tag{number}"));
    router.cable(&near, router, &far, MTU)?;
    router.ip(&format!(
        "addr add 10.20.{number}.1/24 dev {near}\n\
         addr add fd20:0:0:{number:x}::1/64 dev {near} nodad\n"
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
