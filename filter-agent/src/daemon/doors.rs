//! Who is open when: what the kernel's access entries and overrides are
//! computed from.

use filter_ebpf::abi::{Access, Mode, Override, Scope, Secret};
use filter_ebpf::tables::hash;
use ipnet::IpNet;
use jiff::Timestamp;

use crate::calendar::access::{Clock, of_room};
use crate::policy::Policy;
use crate::store::blocks::Block;
use crate::store::grants::{self, Grant, Subject};
use crate::store::leases::Lease;
use crate::store::modes::{Held, Hold};
use crate::store::{Result, Store, blocks, leases, modes};

/// Everything from the store that opens or closes something.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Holds {
    pub(super) leases: Vec<Lease>,
    pub(super) modes: Vec<Held>,
    pub(super) grants: Vec<Grant>,
    pub(super) blocks: Vec<Block>,
}

impl Holds {
    /// What holds at a moment.
    pub(super) fn at(store: &mut Store, at: Timestamp) -> Result<Self> {
        store.read(|connection| {
            Ok(Self {
                leases: leases::list(connection, at)?,
                modes: modes::list(connection, at)?,
                grants: grants::in_force(connection, at)?,
                blocks: blocks::in_force(connection)?,
            })
        })
    }

    /// What held at a moment that is over.
    pub(super) fn past(store: &mut Store, at: Timestamp) -> Result<Self> {
        store.read(|connection| {
            Ok(Self {
                leases: leases::past(connection, at)?,
                modes: modes::past(connection, at)?,
                grants: grants::in_force(connection, at)?,
                blocks: blocks::past(connection, at)?,
            })
        })
    }

    /// When the first of them ends.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        let leases = self.leases.iter().map(|lease| lease.until);
        let modes = self.modes.iter().filter_map(|held| held.until);
        let grants = self.grants.iter().map(|grant| grant.until);
        leases.chain(modes).chain(grants).min()
    }

    /// Without what goes by the number of a room or group.
    pub(super) fn blocks_only(&self) -> Self {
        Self {
            blocks: self.blocks.clone(),
            ..Self::default()
        }
    }

    pub(super) fn lease(&self, room: &str) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.room == room)
    }

    pub(super) fn mode(&self, room: &str) -> Option<&Held> {
        self.modes.iter().find(|held| held.room == room)
    }

    /// Grants for a room or for the group that is in it.
    pub(super) fn grants_of<'a>(
        &'a self,
        room: &'a str,
        group: &'a str,
    ) -> impl Iterator<Item = &'a Grant> {
        self.grants.iter().filter(move |grant| match &grant.scope {
            grants::Scope::Room(name) => name == room,
            grants::Scope::Group(name) => name == group,
        })
    }
}

/// The access entry of every room; `groups` is the group that the image has
/// in each.
pub(super) fn doors(policy: &Policy, groups: &[u16], holds: &Holds, clock: Clock) -> Vec<Access> {
    let door = |(at, room): (usize, &crate::policy::Room)| {
        let mut access = Access::UNKNOWN;
        let group = groups
            .get(at)
            .map_or(room.group, |group| usize::from(*group));
        of_room(policy, at, group, clock).write(&mut access);
        if let Some(held) = holds.mode(&room.name) {
            access.mode = match held.mode {
                Hold::Open => Mode::Open,
                Hold::Closed => Mode::Closed,
            } as u32;
            access.mode_until = held.until.map_or(u64::MAX, |until| clock.monotonic(until));
        }
        if let Some(lease) = holds.lease(&room.name) {
            access.lease_until = clock.monotonic(lease.until);
        }
        let group = policy.groups.get(group).map_or("", |group| &group.name);
        let granted = holds.grants_of(&room.name, group).filter_map(|grant| {
            let Subject::Category(category) = &grant.what else {
                return None;
            };
            let bit = 1_u64 << policy.category(category)?;
            Some((clock.monotonic(grant.until), bit))
        });
        (access.grant_mask, access.grant_until) = slots(granted.collect());
        access
    };
    policy.rooms.iter().enumerate().map(door).collect()
}

/// The kernel keeps two ends a room. The grants that end first share one
/// slot, all others the other, which ends with the first of them; then the
/// agent writes both anew. Without the agent grants end early, never late.
fn slots(mut grants: Vec<(u64, u64)>) -> ([u64; 2], [u64; 2]) {
    grants.sort_unstable();
    let (mut masks, mut ends) = ([0; 2], [0; 2]);
    for (until, bit) in grants {
        let slot = usize::from(ends[0] != 0 && until != ends[0]);
        masks[slot] |= bit;
        if ends[slot] == 0 {
            ends[slot] = until;
        }
    }
    (masks, ends)
}

/// Overrides of names and of ranges, as the kernel takes them.
pub(super) type Overrides = (Vec<(u64, Scope, Override)>, Vec<(IpNet, Scope, Override)>);

/// What the blocks and the grants of hosts mean to the image in force;
/// `blocking` are targets whose blocks are not in the store yet.
pub(super) fn overrides(
    policy: &Policy,
    secret: &Secret,
    holds: &Holds,
    blocking: &[String],
    clock: Clock,
) -> Overrides {
    let (mut names, mut ranges) = (Vec::new(), Vec::new());
    let stored = holds.blocks.iter().map(|block| (&block.target, block.id));
    for (block, id) in blocking.iter().map(|target| (target, 0)).chain(stored) {
        match target(block) {
            Target::Range(range) => ranges.push((range, Scope::Everyone, blocked(id))),
            Target::Name(name) => {
                names.push((name_hash(secret, name), Scope::Everyone, blocked(id)));
            }
        }
    }
    for grant in &holds.grants {
        let Subject::Host(host) = &grant.what else {
            continue;
        };
        let scope = match &grant.scope {
            grants::Scope::Room(name) => policy.room(name).map(|room| Scope::Room(room as u16)),
            grants::Scope::Group(name) => {
                policy.group(name).map(|group| Scope::Group(group as u16))
            }
        };
        if let Some(scope) = scope {
            let what = Override {
                until: clock.monotonic(grant.until),
                id: grant.id as u64,
                block: 0,
                reserved: 0,
            };
            names.push((name_hash(secret, host), scope, what));
        }
    }
    (names, ranges)
}

/// A block without an end.
pub(super) fn blocked(id: i64) -> Override {
    Override {
        until: u64::MAX,
        id: id as u64,
        block: 1,
        reserved: 0,
    }
}

/// A stored target: a range in CIDR notation, else a name.
pub(super) enum Target<'a> {
    Range(IpNet),
    Name(&'a str),
}

pub(super) fn target(text: &str) -> Target<'_> {
    text.parse().map_or(Target::Name(text), Target::Range)
}

/// The hash under which a name and everything below it is found.
pub(super) fn name_hash(secret: &Secret, name: &str) -> u64 {
    hash::listed(secret, name.as_bytes()).subtree
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_share_two_slots_and_never_end_late() {
        assert_eq!(slots(vec![]), ([0, 0], [0, 0]));
        assert_eq!(slots(vec![(50, 1)]), ([1, 0], [50, 0]));
        assert_eq!(slots(vec![(90, 2), (50, 1), (50, 4)]), ([5, 2], [50, 90]));
        let (masks, ends) = slots(vec![(50, 1), (90, 2), (95, 8)]);
        assert_eq!((masks, ends), ([1, 10], [50, 90]));
    }
}
