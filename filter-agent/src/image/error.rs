//! Why an image cannot be built.

use std::net::IpAddr;

/// Why an image cannot be built; nothing was changed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ImageError {
    #[error("{what}: {count} is more than the {max} that an image can hold")]
    TooMany {
        what: &'static str,
        count: u64,
        max: u64,
    },
    #[error("generation 0 is reserved: count from 1")]
    Generation,
    #[error("the address range {first}-{last} is upside down or mixes IPv4 and IPv6")]
    Range { first: IpAddr, last: IpAddr },
    #[error("{what} names category {category}, but there are only {categories}")]
    Category {
        what: &'static str,
        category: u8,
        categories: u8,
    },
    #[error("room {room:?}: {problem}")]
    Room { room: String, problem: RoomProblem },
    #[error(
        "{0:?} cannot be looked up: a name has 1 to 255 bytes and, with everything below it, at most 12 labels"
    )]
    Name(String),
    #[error("group {group}: {problem}")]
    Group { group: usize, problem: &'static str },
    #[error("two names of the lists have the same hash; make a new secret and load again")]
    Collision,
    #[error("not enough memory for the tables")]
    Memory,
}

/// What is wrong with a room.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RoomProblem {
    #[error("group {0} does not exist")]
    Group(u16),
    #[error("link slot {0} does not exist")]
    Link(u8),
    #[error("VLAN {0} does not exist; identifiers run from 1 to 4094")]
    Vlan(u16),
    #[error("its frames already belong to room {0:?}")]
    Shared(String),
    #[error("more than {0} subnets of one family")]
    Subnets(usize),
}
