use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use filter_ebpf::abi::{Group, NO_ROOM, Subnet4, Verdict};
use filter_ebpf::tables::Table;

use super::{image, input, mask, secret};
use crate::image::{
    Image, ImageError, Input, Names, OWN, Place, Ranges, Reach, Room, RoomProblem, Tags,
};

fn plain() -> Input {
    input(Names::new(&secret()), Ranges::default())
}

fn room(name: &str, places: Vec<Place>) -> Room {
    Room {
        name: name.to_owned(),
        places,
        ..Room::default()
    }
}

fn at(link: Option<u8>, tags: Tags) -> Place {
    Place { link, tags }
}

#[test]
fn rooms_are_found_by_link_and_tags() {
    let mut input = plain();
    input.links = vec![7, 9];
    let stacked = Tags::Stacked {
        outer: 100,
        inner: 5,
    };
    input.rooms = vec![
        room("a", vec![at(None, Tags::Vlan(10)), at(Some(1), stacked)]),
        room("b", vec![at(Some(0), Tags::Untagged)]),
        room("c", vec![at(Some(1), Tags::Vlan(4094))]),
    ];
    let image = Image::build(input).unwrap();
    assert_eq!(image.room_of.len(), 2 * 4096);
    let found: Vec<_> = image
        .room_of
        .iter()
        .enumerate()
        .filter(|(_, room)| **room != u32::from(NO_ROOM))
        .map(|(index, room)| (index, *room))
        .collect();
    assert_eq!(found, [(0, 1), (10, 0), (4096 + 10, 0), (4096 + 4094, 2)]);
    assert_eq!(image.room_of_qinq, [(1 << 24 | 100 << 12 | 5, 0)]);
    assert_eq!(image.config.qinq, 1);
    assert_eq!(image.config.links[..3], [7, 9, 0]);
    assert_eq!(image.config.rooms, 3);
}

#[test]
fn a_wrong_room_is_named_with_its_problem() {
    let cases = [
        (vec![at(Some(1), Tags::Vlan(10))], RoomProblem::Link(1)),
        (vec![at(None, Tags::Vlan(4095))], RoomProblem::Vlan(4095)),
        (vec![at(None, Tags::Vlan(0))], RoomProblem::Vlan(0)),
        (
            vec![at(None, Tags::Vlan(9))],
            RoomProblem::Shared("first".to_owned()),
        ),
    ];
    for (places, problem) in cases {
        let mut input = plain();
        input.rooms = vec![
            room("first", vec![at(Some(0), Tags::Vlan(9))]),
            room("second", places),
        ];
        let error = ImageError::Room {
            room: "second".to_owned(),
            problem,
        };
        assert_eq!(Image::build(input), Err(error));
    }
    let mut input = plain();
    input.rooms = vec![room("r", Vec::new())];
    input.rooms[0].group = 1;
    assert!(matches!(
        Image::build(input),
        Err(ImageError::Room {
            problem: RoomProblem::Group(1),
            ..
        })
    ));
    let mut input = plain();
    input.rooms = vec![room("r", Vec::new())];
    input.rooms[0].subnets4 = vec![Subnet4::default(); 7];
    assert!(matches!(
        Image::build(input),
        Err(ImageError::Room {
            problem: RoomProblem::Subnets(6),
            ..
        })
    ));
}

#[test]
fn bounds_are_errors() {
    let too_many = |change: fn(&mut Input)| {
        let mut input = plain();
        change(&mut input);
        Image::build(input).map(|_| ()).unwrap_err()
    };
    for (error, count, max) in [
        (too_many(|input| input.links = vec![1; 9]), 9, 8),
        (
            too_many(|input| input.groups = vec![input.groups[0]; 33]),
            33,
            32,
        ),
        (too_many(|input| input.categories = 64), 64, 63),
        (
            too_many(|input| input.rooms = vec![Room::default(); 65_536]),
            65_536,
            65_535,
        ),
    ] {
        let ImageError::TooMany {
            count: c, max: m, ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((c, m), (count, max));
    }
    assert_eq!(
        too_many(|input| input.generation = 0),
        ImageError::Generation
    );
}

#[test]
fn groups_cannot_contradict_themselves() {
    let good = Group {
        deny: 0b10,
        locked: 0b10,
        refuse: Verdict::Reject as u8,
        ..Group::default()
    };
    let mut input = plain();
    input.categories = 2;
    input.groups = vec![good];
    Image::build(input).unwrap();
    for bad in [
        Group {
            allow: 0b100,
            ..good
        },
        Group {
            locked: 0b11,
            ..good
        },
        Group { unnamed: 3, ..good },
        Group { refuse: 0, ..good },
    ] {
        let mut input = plain();
        input.categories = 2;
        input.groups = vec![good, bad];
        assert!(matches!(
            Image::build(input),
            Err(ImageError::Group { group: 1, .. })
        ));
    }
}

#[test]
fn categories_beyond_the_policy_are_errors() {
    let mut ranges = Ranges::default();
    let one = IpAddr::V4(Ipv4Addr::LOCALHOST);
    ranges.add(one, one, 5).unwrap();
    let mut names = Names::new(&secret());
    names.add("a.example", 6, Reach::Exact).unwrap();
    let mut with_range = input(Names::new(&secret()), ranges);
    let mut with_name = input(names, Ranges::default());
    for (input, category) in [(&mut with_range, 5), (&mut with_name, 6)] {
        input.categories = category;
    }
    assert!(matches!(
        Image::build(with_range),
        Err(ImageError::Category {
            category: 5,
            categories: 5,
            ..
        })
    ));
    assert!(matches!(
        Image::build(with_name),
        Err(ImageError::Category {
            category: 6,
            categories: 6,
            ..
        })
    ));
}

#[test]
fn upside_down_ranges_are_refused() {
    let mut ranges = Ranges::default();
    let low = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let high = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    let six = IpAddr::V6(Ipv6Addr::LOCALHOST);
    assert!(ranges.add(high, low, 0).is_err());
    assert!(ranges.add(low, six, 0).is_err());
    assert!(ranges.is_empty());
}

/// 65,535 combinations fit beside the empty one, one more does not.
#[test]
fn sets_are_interned_up_to_their_bound() {
    let combinations = |count: u32| {
        let mut ranges = Ranges::default();
        for number in 1..=count {
            let address = IpAddr::V4(Ipv4Addr::from_bits(number << 8));
            for category in (0..17).filter(|bit| number >> bit & 1 == 1) {
                ranges.add(address, address, category).unwrap();
            }
        }
        input(Names::new(&secret()), ranges)
    };
    let image = Image::build(combinations(65_535)).unwrap();
    assert_eq!(image.config.sets, 65_536);
    assert_eq!(image.table(Table::Sets).len(), 65_536 / 8);
    assert_eq!(mask(&image, 65_535), 65_535);
    assert!(matches!(
        Image::build(combinations(65_536)),
        Err(ImageError::TooMany { max: 65_535, .. })
    ));
}

#[test]
fn names_and_ranges_share_sets() {
    let mut ranges = Ranges::default();
    let one = IpAddr::V4(Ipv4Addr::LOCALHOST);
    ranges.add(one, one, 5).unwrap();
    ranges.add(one, one, OWN).unwrap();
    let mut names = Names::new(&secret());
    for category in [5, 6, 5] {
        names.add("a.example", category, Reach::Exact).unwrap();
        names.add("b.example", category, Reach::Subtree).unwrap();
    }
    let image = image(names, ranges);
    assert_eq!(image.config.sets, 3);
    assert_eq!(mask(&image, 0), 0);
    assert_eq!(mask(&image, 1), 1 << 5 | 1 << OWN);
    assert_eq!(mask(&image, 2), 0b110_0000);
    for table in Table::ALL {
        let lines = image.table(table).len();
        assert_eq!(
            image.config.lines[table as usize] as usize, lines,
            "{table:?}"
        );
        assert!(lines > 0);
    }
}
