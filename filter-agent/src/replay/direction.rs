//! Which way a captured frame went: a capture holds both.

use std::collections::HashMap;
use std::net::IpAddr;

use filter_ebpf::frame::{Meta, MetaFlags, tcp_flags};
use ipnet::IpNet;

use super::headers::address;

/// Connections remembered at a time, in each of two halves.
const CONNECTIONS: usize = 65_536;
const TCP: u32 = 6;
/// Ports that only servers of names and pages send from.
const SERVER_PORTS: [u16; 4] = [53, 80, 443, 853];

/// Which program judges a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From a room.
    Ingress,
    /// Towards a room.
    Egress,
}

/// A conversation whatever its direction: the smaller end first.
type Pair = ((IpAddr, u16), (IpAddr, u16), u32);

/// Remembers who opened which conversation. Bounded: when one half is full,
/// the older half is forgotten.
pub(crate) struct Directions {
    rooms: Vec<IpNet>,
    young: HashMap<Pair, (IpAddr, u16)>,
    old: HashMap<Pair, (IpAddr, u16)>,
}

impl Directions {
    /// `rooms`: where clients' addresses lie, as far as that is known.
    pub(crate) fn new(rooms: Vec<IpNet>) -> Self {
        Self {
            rooms,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// Tells a frame's direction and learns from it.
    pub(crate) fn of(&mut self, meta: &Meta) -> Direction {
        let (source, target) = (address(&meta.key.client), address(&meta.key.server));
        let here = |address| self.rooms.iter().any(|net| net.contains(&address));
        match (here(source), here(target)) {
            (true, false) => return Direction::Ingress,
            (false, true) => return Direction::Egress,
            _ => {}
        }
        // Later fragments have no ports; they follow the pair of addresses.
        let whole = meta.flags & MetaFlags::FRAGMENT == 0;
        let from = (source, if whole { meta.key.client_port } else { 0 });
        let to = (target, if whole { meta.key.server_port } else { 0 });
        let opener = self.opener(meta, from, to);
        if whole {
            let key = pair((source, 0), (target, 0), meta.key.protocol);
            self.insert(key, (opener.0, 0));
        }
        if opener == from {
            Direction::Ingress
        } else {
            Direction::Egress
        }
    }

    fn opener(&mut self, meta: &Meta, from: (IpAddr, u16), to: (IpAddr, u16)) -> (IpAddr, u16) {
        let protocol = meta.key.protocol;
        let key = pair(from, to, protocol);
        let syn = protocol == TCP && meta.tcp & tcp_flags::SYN != 0;
        let first = if syn && meta.tcp & tcp_flags::ACK != 0 {
            Some(to)
        } else if syn {
            Some(from)
        } else {
            None
        };
        let known = self.young.get(&key).or_else(|| self.old.get(&key)).copied();
        // The capture starts in the middle of a conversation.
        let from_server = SERVER_PORTS.contains(&from.1) && !SERVER_PORTS.contains(&to.1);
        let guess = if from_server { to } else { from };
        let opener = first.or(known).unwrap_or(guess);
        self.insert(key, opener);
        opener
    }

    fn insert(&mut self, key: Pair, opener: (IpAddr, u16)) {
        if self.young.len() >= CONNECTIONS && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, opener);
    }
}

fn pair(a: (IpAddr, u16), b: (IpAddr, u16), protocol: u32) -> Pair {
    if a <= b {
        (a, b, protocol)
    } else {
        (b, a, protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use filter_ebpf::abi::FlowKey;

    fn meta(from: (&str, u16), to: (&str, u16), protocol: u32, tcp: u8) -> Meta {
        let bytes = |text: &str| match text.parse().unwrap() {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        Meta {
            key: FlowKey {
                client: bytes(from.0),
                server: bytes(to.0),
                client_port: from.1,
                server_port: to.1,
                protocol,
                ..FlowKey::default()
            },
            tcp,
            ..Meta::default()
        }
    }

    const A: (&str, u16) = ("10.0.0.1", 40_000);
    const B: (&str, u16) = ("192.0.2.1", 443);
    use Direction::{Egress, Ingress};

    #[test]
    fn the_side_that_opens_is_the_client() {
        let mut seen = Directions::new(Vec::new());
        assert_eq!(seen.of(&meta(A, B, 6, tcp_flags::SYN)), Ingress);
        assert_eq!(
            seen.of(&meta(B, A, 6, tcp_flags::SYN | tcp_flags::ACK)),
            Egress
        );
        assert_eq!(seen.of(&meta(A, B, 6, tcp_flags::ACK)), Ingress);
        assert_eq!(seen.of(&meta(B, A, 6, tcp_flags::ACK)), Egress);
        // The same ends again, opened by the other one.
        assert_eq!(seen.of(&meta(B, A, 6, tcp_flags::SYN)), Ingress);
        assert_eq!(seen.of(&meta(A, B, 6, tcp_flags::ACK)), Egress);
    }

    #[test]
    fn a_capture_may_start_in_the_middle() {
        let mut seen = Directions::new(Vec::new());
        assert_eq!(seen.of(&meta(B, A, 6, tcp_flags::ACK)), Egress);
        assert_eq!(seen.of(&meta(A, B, 6, tcp_flags::ACK)), Ingress);
        let mut seen = Directions::new(Vec::new());
        let (x, y) = (("10.0.0.1", 5000), ("10.0.0.2", 6000));
        assert_eq!(seen.of(&meta(x, y, 17, 0)), Ingress);
        assert_eq!(seen.of(&meta(y, x, 17, 0)), Egress);
        let mut seen = Directions::new(Vec::new());
        let syn_ack = tcp_flags::SYN | tcp_flags::ACK;
        assert_eq!(seen.of(&meta(x, y, 6, syn_ack)), Egress);
    }

    #[test]
    fn subnets_of_rooms_tell_at_once() {
        let mut seen = Directions::new(vec!["192.0.2.0/24".parse().unwrap()]);
        assert_eq!(seen.of(&meta(A, B, 6, tcp_flags::SYN)), Egress);
        assert_eq!(seen.of(&meta(B, A, 6, 0)), Ingress);
    }

    #[test]
    fn fragments_follow_their_addresses() {
        let mut seen = Directions::new(Vec::new());
        seen.of(&meta(A, B, 17, 0));
        let mut fragment = meta((B.0, 7), (A.0, 9), 17, 0);
        fragment.flags = MetaFlags::FRAGMENT;
        assert_eq!(seen.of(&fragment), Egress);
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Directions::new(Vec::new());
        for i in 0..200_000_u32 {
            let from = format!("10.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255);
            seen.of(&meta((&from, 1), B, 6, tcp_flags::SYN));
        }
        assert!(seen.young.len() <= CONNECTIONS && seen.old.len() <= CONNECTIONS);
    }
}
