//! What lies in the maps of an image, by name and as bytes.

use std::borrow::Cow;

use filter_ebpf::abi::{self, Access};
use filter_ebpf::tables::Table;

use super::access;
use super::counters;
use super::error::{KernelError, Result};
use super::wire::bytes_of;
use crate::image::Image;

/// VLANs of one interface in `ROOM_OF`; 0 is untagged.
const VLANS: usize = 4096;
/// Bytes of the 403 page's map, its length of four bytes included.
const PAGE: usize = 1028;

/// Everything the kernel needs to know of an image.
#[derive(Debug)]
pub struct Contents<'a> {
    pub(crate) config: abi::Config,
    pub(crate) maps: Vec<MapContent<'a>>,
}

/// One map.
#[derive(Debug)]
pub(crate) struct MapContent<'a> {
    pub name: &'static str,
    /// Size of the map; one at least is made.
    pub entries: u32,
    /// Values of an array, one behind the other.
    pub bytes: Cow<'a, [u8]>,
    /// Entries of a hash instead.
    pub pairs: Option<Pairs<'a>>,
}

/// Entries of a hash, by the size of its keys.
#[derive(Debug)]
pub(crate) enum Pairs<'a> {
    Narrow(Cow<'a, [(u32, u32)]>),
    Wide(&'a [(u64, u32)]),
}

impl<'a> Contents<'a> {
    /// An image with the first state of its rooms' doors and the response
    /// (head and body) that plain HTTP gets for what is blocked.
    ///
    /// # Errors
    /// When there is not one door a room, a door is not in order, or the page
    /// is too long.
    pub fn new(image: &'a Image, doors: &'a [Access], page: &[u8]) -> Result<Self> {
        if doors.len() != image.rooms.len() {
            return Err(KernelError::Contents(format!(
                "{} rooms, but access for {}",
                image.rooms.len(),
                doors.len()
            )));
        }
        for (room, door) in doors.iter().enumerate() {
            access::check(door).map_err(|problem| {
                KernelError::Contents(format!("access of room {room}: {problem}"))
            })?;
        }
        let mut maps = vec![
            array("GROUPS", bytes_of(&image.groups), abi::MAX_GROUPS),
            array("ROOMS", bytes_of(&image.rooms), image.rooms.len()),
            array("ROOM_OF", bytes_of(&image.room_of), image.room_of.len()),
            array("ACCESS", bytes_of(doors), doors.len()),
            empty("COUNTERS", counters::entries(image.config.rooms)),
            MapContent {
                name: "PAGE",
                entries: 1,
                bytes: Cow::Owned(page_value(page)?),
                pairs: None,
            },
            MapContent {
                name: "ROOM_OF_QINQ",
                entries: image.room_of_qinq.len() as u32,
                bytes: Cow::Borrowed(&[]),
                pairs: Some(Pairs::Narrow(Cow::Borrowed(&image.room_of_qinq))),
            },
            MapContent {
                name: "SAFE_NAMES",
                entries: image.safe_names.len() as u32,
                bytes: Cow::Borrowed(&[]),
                pairs: Some(Pairs::Wide(&image.safe_names)),
            },
            array(
                "SAFE_ADDRESSES",
                bytes_of(&image.safe_addresses),
                abi::MAX_PROVIDERS,
            ),
        ];
        for table in Table::ALL {
            let lines = image.table(table);
            maps.push(array(table.name(), bytes_of(lines), lines.len()));
        }
        Ok(Self {
            config: image.config,
            maps,
        })
    }

    /// The same image as one that judges captures: all interfaces are one,
    /// frames without a tag belong to `untagged`, every outcome is kept, and
    /// connections may lack their start unless `strict`.
    pub(crate) fn for_replay(
        mut self,
        ifindex: u32,
        secret: &'a abi::Secret,
        untagged: Option<u32>,
        strict: bool,
    ) -> Self {
        self.config.links = [0; abi::MAX_LINKS];
        self.config.links[0] = ifindex;
        self.config.trace = 1;
        self.config.unseen_start = u8::from(!strict);
        for map in &mut self.maps {
            if map.name == "ROOM_OF" {
                let merged = merge_links(&map.bytes, untagged);
                map.entries = merged.len() as u32;
                map.bytes = Cow::Owned(bytes_of(&merged).to_vec());
            }
            if let Some(Pairs::Narrow(pairs)) = &map.pairs {
                // The slot is the top byte.
                let merged = pairs.iter().map(|(tags, room)| (tags & 0xff_ffff, *room));
                map.pairs = Some(Pairs::Narrow(Cow::Owned(merged.collect())));
            }
        }
        self.maps
            .push(array("SECRET", bytes_of(std::slice::from_ref(secret)), 1));
        self
    }

    /// Rooms of the image.
    pub fn rooms(&self) -> u32 {
        self.config.rooms
    }
}

fn array<'a>(name: &'static str, bytes: &'a [u8], entries: usize) -> MapContent<'a> {
    MapContent {
        name,
        entries: entries as u32,
        bytes: Cow::Borrowed(bytes),
        pairs: None,
    }
}

fn empty<'a>(name: &'static str, entries: u32) -> MapContent<'a> {
    MapContent {
        name,
        entries,
        bytes: Cow::Borrowed(&[]),
        pairs: None,
    }
}

fn page_value(page: &[u8]) -> Result<Vec<u8>> {
    if page.len() > PAGE - 4 {
        return Err(KernelError::Contents(format!(
            "the page for blocked sites has {} bytes with its head, {} fit",
            page.len(),
            PAGE - 4
        )));
    }
    let mut value = (page.len() as u32).to_ne_bytes().to_vec();
    value.extend(page);
    value.resize(PAGE, 0);
    Ok(value)
}

/// Room of each VLAN on whichever interface has one.
fn merge_links(room_of: &[u8], untagged: Option<u32>) -> Vec<u32> {
    let none = u32::from(abi::NO_ROOM);
    let mut merged = vec![none; VLANS];
    for (i, room) in room_of.as_chunks::<4>().0.iter().enumerate() {
        let room = u32::from_ne_bytes(*room);
        if let Some(slot) = merged.get_mut(i % VLANS).filter(|slot| **slot == none) {
            *slot = room;
        }
    }
    if let (Some(slot), Some(room)) = (merged.first_mut(), untagged) {
        *slot = room;
    }
    merged
}
