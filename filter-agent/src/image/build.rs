//! From an [`Input`] to an [`Image`].

use std::collections::HashMap;

use filter_ebpf::abi;
use filter_ebpf::tables::{Line, Table};

use super::{
    ImageError, Input, Names, OWN, Place, Ranges, RoomProblem, Tags, cuckoo, ranges4, ranges6,
    segments::segments, sets::Sets,
};

/// VLAN identifiers of a link in `ROOM_OF`.
const VLANS: usize = 4096;

/// Everything of one generation that the kernel reads, ready to be copied
/// into maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub config: abi::Config,
    pub groups: Vec<abi::Group>,
    pub rooms: Vec<abi::Room>,
    /// Room of (slot * 4096 + VLAN), VLAN 0 being untagged; `NO_ROOM` else.
    pub room_of: Vec<u32>,
    /// Rooms with two tags: `slot << 24 | outer << 12 | inner`, room.
    pub room_of_qinq: Vec<(u32, u32)>,
    /// Hashes of search engines' names and their providers.
    pub safe_names: Vec<(u64, u32)>,
    pub safe_addresses: Vec<abi::SafeAddress>,
    tables: [Vec<Line>; Table::ALL.len()],
}

impl Image {
    /// Builds all tables; uses up the input, whose lists are sorted in place.
    ///
    /// # Errors
    /// Something is out of its bounds, or names collide; see [`ImageError`].
    pub fn build(input: Input) -> Result<Self, ImageError> {
        check(&input)?;
        let rooms = input.rooms.iter().map(room).collect();
        let (room_of, room_of_qinq) = places(&input)?;
        let mut config = config(&input);
        config.qinq = u8::from(!room_of_qinq.is_empty());
        let safe_names = input.safe_search.names.iter();
        let safe_names = safe_names
            .map(|(name, provider)| (input.names.exact(name), u32::from(*provider)))
            .collect();
        let tables = tables(input.names, input.ranges, &mut config)?;
        Ok(Self {
            config,
            groups: input.groups,
            rooms,
            room_of,
            room_of_qinq,
            safe_names,
            safe_addresses: input.safe_search.addresses,
            tables,
        })
    }

    /// The lines of a table: at least one.
    pub fn table(&self, table: Table) -> &[Line] {
        &self.tables[table as usize]
    }
}

fn tables(
    names: Names,
    ranges: Ranges,
    config: &mut abi::Config,
) -> Result<[Vec<Line>; Table::ALL.len()], ImageError> {
    let mut sets = Sets::new();
    let v4 = segments(&ranges.v4, &mut sets)?;
    let v6 = segments(&ranges.v6, &mut sets)?;
    drop(ranges);
    let four = ranges4::build(&v4)?;
    drop(v4);
    let six = ranges6::build(&v6)?;
    drop(v6);
    let names = cuckoo::build(&names.merge(&mut sets)?)?;
    config.sets = sets.len();
    config.excepting = sets.excepting();
    // In the order of `Table`.
    let tables = [
        sets.table(),
        names,
        four.root,
        four.ranges,
        six.tree,
        six.values,
        six.lowers,
        four.kinds,
    ];
    for (lines, table) in config.lines.iter_mut().zip(&tables) {
        *lines = table.len() as u32;
    }
    Ok(tables)
}

fn config(input: &Input) -> abi::Config {
    let mut links = [0; abi::MAX_LINKS];
    for (slot, link) in links.iter_mut().zip(&input.links) {
        *slot = *link;
    }
    abi::Config {
        abi_version: abi::VERSION,
        generation: input.generation,
        links,
        unknown_vlan: input.unknown_vlan as u8,
        when_stale: input.when_stale as u8,
        trace: u8::from(input.trace),
        qinq: 0,
        lines: [0; 8],
        hello_cap: input.hello_cap,
        quic_budget: input.quic_budget,
        sets: 0,
        rooms: input.rooms.len() as u32,
        excepting: u32::MAX,
        denied_by_all: input
            .groups
            .iter()
            .map(|group| group.locked)
            .reduce(|all, locked| all & locked)
            .unwrap_or(0),
        denied_by_any: input
            .groups
            .iter()
            .fold(0, |any, group| any | group.deny | group.locked),
        unseen_start: 0,
        reserved: [0; 7],
    }
}

fn check(input: &Input) -> Result<(), ImageError> {
    if input.generation == 0 {
        return Err(ImageError::Generation);
    }
    let counts = [
        ("interfaces", input.links.len(), abi::MAX_LINKS),
        ("groups", input.groups.len(), abi::MAX_GROUPS),
        (
            "categories",
            usize::from(input.categories),
            abi::MAX_CATEGORIES,
        ),
        (
            "search engines",
            input.safe_search.addresses.len(),
            abi::MAX_PROVIDERS,
        ),
        // The last number means: no room.
        ("rooms", input.rooms.len(), usize::from(abi::NO_ROOM)),
    ];
    for (what, count, max) in counts {
        if count > max {
            return Err(ImageError::TooMany {
                what,
                count: count as u64,
                max: max as u64,
            });
        }
    }
    for (group, row) in input.groups.iter().enumerate() {
        check_group(group, row, input.categories)?;
    }
    for room in &input.rooms {
        check_room(room, input).map_err(|problem| ImageError::Room {
            room: room.name.clone(),
            problem,
        })?;
    }
    let categories = input.categories;
    let unknown = |what, category| ImageError::Category {
        what,
        category,
        categories,
    };
    if let Some(category) = input.names.unknown_category(categories) {
        return Err(unknown("a host name", category));
    }
    let v4 = input.ranges.v4.iter().map(|range| range.category);
    let v6 = input.ranges.v6.iter().map(|range| range.category);
    match v4
        .chain(v6)
        .find(|&category| category >= categories && category != OWN)
    {
        Some(category) => Err(unknown("an address range", category)),
        None => Ok(()),
    }
}

fn check_group(group: usize, row: &abi::Group, categories: u8) -> Result<(), ImageError> {
    let beyond = u64::MAX.checked_shl(u32::from(categories)).unwrap_or(0);
    let verdicts = [
        row.unnamed,
        row.encrypted_name,
        row.undecodable,
        row.tunnel,
        row.fragment,
        row.quic,
        row.refuse,
    ];
    let problem = if (row.allow | row.deny | row.locked | row.ech_providers) & beyond != 0 {
        "a mask names a category that does not exist"
    } else if row.locked & !row.deny != 0 {
        "a locked category is not denied"
    } else if verdicts.iter().any(|&verdict| verdict > 2) {
        "a verdict is none of pass, drop and reject"
    } else if row.refuse == abi::Verdict::Pass as u8 {
        "a denial must not pass"
    } else {
        return Ok(());
    };
    Err(ImageError::Group { group, problem })
}

fn check_room(room: &super::Room, input: &Input) -> Result<(), RoomProblem> {
    if usize::from(room.group) >= input.groups.len() {
        return Err(RoomProblem::Group(room.group));
    }
    let empty = abi::Room::default();
    for (len, max) in [
        (room.subnets4.len(), empty.subnets4.len()),
        (room.subnets6.len(), empty.subnets6.len()),
    ] {
        if len > max {
            return Err(RoomProblem::Subnets(max));
        }
    }
    for place in &room.places {
        if let Some(link) = place.link
            && usize::from(link) >= input.links.len()
        {
            return Err(RoomProblem::Link(link));
        }
        let vlans = match place.tags {
            Tags::Untagged => continue,
            Tags::Vlan(vlan) => [vlan, vlan],
            Tags::Stacked { outer, inner } => [outer, inner],
        };
        if let Some(vlan) = vlans.into_iter().find(|vlan| !(1..=4094).contains(vlan)) {
            return Err(RoomProblem::Vlan(vlan));
        }
    }
    Ok(())
}

fn room(room: &super::Room) -> abi::Room {
    let mut value = abi::Room {
        group: room.group,
        flags: room.flags,
        subnets4_len: room.subnets4.len() as u16,
        subnets6_len: room.subnets6.len() as u16,
        ..abi::Room::default()
    };
    for (slot, subnet) in value.subnets4.iter_mut().zip(&room.subnets4) {
        *slot = *subnet;
    }
    for (slot, subnet) in value.subnets6.iter_mut().zip(&room.subnets6) {
        *slot = *subnet;
    }
    value
}

/// `ROOM_OF` and the pairs of `ROOM_OF_QINQ`, sorted.
type Places = (Vec<u32>, Vec<(u32, u32)>);

fn places(input: &Input) -> Result<Places, ImageError> {
    let nobody = u32::from(abi::NO_ROOM);
    let mut room_of = vec![nobody; input.links.len().max(1) * VLANS];
    let mut stacked = HashMap::new();
    for (number, room) in input.rooms.iter().enumerate() {
        let number = number as u32;
        for Place { link, tags } in &room.places {
            let links = match link {
                Some(link) => *link..link + 1,
                None => 0..input.links.len() as u8,
            };
            for link in links.map(u32::from) {
                let vlan = match tags {
                    Tags::Untagged => 0,
                    Tags::Vlan(vlan) => u32::from(*vlan),
                    Tags::Stacked { outer, inner } => u32::from(*outer) << 12 | u32::from(*inner),
                };
                let holder = if matches!(tags, Tags::Stacked { .. }) {
                    stacked.entry(link << 24 | vlan).or_insert(nobody)
                } else {
                    &mut room_of[link as usize * VLANS + vlan as usize]
                };
                if *holder != nobody && *holder != number {
                    let other = &input.rooms[*holder as usize];
                    return Err(ImageError::Room {
                        room: room.name.clone(),
                        problem: RoomProblem::Shared(other.name.clone()),
                    });
                }
                *holder = number;
            }
        }
    }
    let mut stacked: Vec<_> = stacked.into_iter().collect();
    stacked.sort_unstable();
    Ok((room_of, stacked))
}
