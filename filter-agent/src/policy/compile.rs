//! From a policy to what an image is built from.

use filter_ebpf::abi::{self, RoomFlags};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use super::{BareName, Door, Policy, Tag, safe_search};
use crate::calendar::windows::{group_at, next_group_change};
use crate::image::{self, ImageError, OWN, Place, Ranges, Reach, Tags};

impl Policy {
    /// The rooms at a moment: a lesson may have another group in the room.
    pub fn image_rooms(&self, now: Timestamp) -> Vec<image::Room> {
        let room = |(at, room): (usize, &super::Room)| image::Room {
            name: room.name.clone(),
            group: group_at(self, at, now) as u16,
            flags: flags(room),
            places: vec![Place {
                link: room.interface.map(|slot| slot as u8),
                tags: match room.tag {
                    Tag::Untagged => Tags::Untagged,
                    Tag::Vlan(vlan) => Tags::Vlan(vlan),
                    Tag::QinQ(outer, inner) => Tags::Stacked { outer, inner },
                },
            }],
            subnets4: room.subnets.iter().filter_map(subnet4).collect(),
            subnets6: room.subnets.iter().filter_map(subnet6).collect(),
        };
        self.rooms.iter().enumerate().map(room).collect()
    }

    /// Search engines and their safe addresses.
    pub fn image_safe_search(&self) -> image::SafeSearch {
        let names = (0..).zip(&safe_search::PROVIDERS);
        image::SafeSearch {
            names: names
                .flat_map(|(at, provider)| provider.hosts().map(move |host| (host, at)))
                .collect(),
            addresses: self.safe_search.to_vec(),
        }
    }

    /// The rows of the matrix at a moment.
    pub fn image_groups(&self, now: Timestamp) -> Vec<abi::Group> {
        let date = self.date(now);
        (0..self.groups.len())
            .map(|group| self.row(group, date))
            .collect()
    }

    /// Ranges that stand in the policy itself, and the school's own networks.
    ///
    /// # Errors
    /// Memory is out.
    pub fn inline_ranges(&self, ranges: &mut Ranges) -> Result<(), ImageError> {
        for (at, category) in (0u8..).zip(&self.categories) {
            for entry in &category.ranges {
                add(ranges, entry.net, at)?;
            }
        }
        for net in &self.network.own {
            add(ranges, *net, OWN)?;
        }
        for resolver in &self.network.resolvers {
            ranges.add(*resolver, *resolver, OWN)?;
        }
        Ok(())
    }

    /// When the image has to be built anew although the policy is the same: a
    /// cell ends, or a lesson of another group begins or ends.
    pub fn next_compile(&self, now: Timestamp) -> Option<Timestamp> {
        let today = self.date(now);
        let cells = self.groups.iter().flat_map(|group| &group.cells);
        let ends = cells
            .filter_map(|cell| cell.until)
            .filter(|until| *until >= today);
        let midnight = ends.min().and_then(|until| {
            let next = until.tomorrow().ok()?;
            let midnight = next.to_datetime(jiff::civil::Time::MIN);
            self.timezone.to_timestamp(midnight).ok()
        });
        let horizon = now
            .checked_add(SignedDuration::from_hours(24 * 14))
            .unwrap_or(now);
        let lesson = next_group_change(self, now, horizon);
        midnight.into_iter().chain(lesson).min()
    }
}

impl From<BareName> for Reach {
    fn from(bare: BareName) -> Self {
        match bare {
            BareName::Subtree => Self::Subtree,
            BareName::Host => Self::Exact,
        }
    }
}

fn flags(room: &super::Room) -> u16 {
    let timed = room.door != Door::Always;
    let mut flags = 0;
    if timed {
        flags |= RoomFlags::TIMETABLE;
    }
    if room.supervised {
        flags |= RoomFlags::SUPERVISED;
    }
    flags
}

fn add(ranges: &mut Ranges, net: IpNet, category: u8) -> Result<(), ImageError> {
    ranges.add(net.network(), net.broadcast(), category)
}

fn subnet4(net: &IpNet) -> Option<abi::Subnet4> {
    let IpNet::V4(net) = net else { return None };
    Some(abi::Subnet4 {
        address: net.network().to_bits(),
        mask: net.netmask().to_bits(),
    })
}

fn subnet6(net: &IpNet) -> Option<abi::Subnet6> {
    let IpNet::V6(net) = net else { return None };
    let (address, mask) = (net.network().to_bits(), net.netmask().to_bits());
    Some(abi::Subnet6 {
        upper: (address >> 64) as u64,
        lower: address as u64,
        upper_mask: (mask >> 64) as u64,
        lower_mask: mask as u64,
    })
}
