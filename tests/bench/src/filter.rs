//! The filter as the agent loads it, with an image made here.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use aya::programs::Xdp;
use aya_obj::programs::XdpAttachType;
use filter_agent::image::{Image, Input, Names, Place, Ranges, Room, SafeSearch, Tags};
use filter_agent::kernel::{Contents, Filter, Interface, Mode, Side};
use filter_ebpf::abi::{self, Access, Group, GroupFlags, RoomFlags, Secret, Verdict};

use crate::frames::{CLOSED_VLAN, VLAN};

const ROOT: &str = "/sys/fs/bpf/school-filter-bench";
/// Loopback, where test runs come from.
pub(crate) const LOOPBACK: u32 = 1;

/// The lists of an image, all of category 0, which nobody may reach.
pub(crate) struct Lists {
    pub(crate) names: Names,
    pub(crate) ranges: Ranges,
    /// QUIC hellos per second and core.
    pub(crate) quic_budget: u32,
}

impl Lists {
    /// Nothing is listed.
    pub(crate) fn none(secret: &Secret) -> Self {
        Self {
            names: Names::new(secret),
            ranges: Ranges::default(),
            quic_budget: 1000,
        }
    }
}

/// The filter below a root of its own, which goes with this value.
pub(crate) struct Loaded {
    filter: Filter,
    generation: u32,
}

impl Loaded {
    /// Prepares the root; nothing is loaded yet.
    pub(crate) fn new() -> Result<Self> {
        let root = Path::new(ROOT);
        // What a benchmark left that was killed.
        if root.exists() {
            Filter::detach(root)?;
        }
        Ok(Self {
            filter: Filter::open(root)?,
            generation: 0,
        })
    }

    pub(crate) fn secret(&self) -> Secret {
        self.filter.secret()
    }

    /// Puts an image in force for frames of this interface; `attach` names
    /// it where the filter is to hang on it too. Returns `lan_ingress`.
    pub(crate) fn apply(
        &mut self,
        lists: Lists,
        ifindex: u32,
        attach: Option<&str>,
    ) -> Result<Xdp> {
        self.generation += 1;
        let image = image(self.generation, lists, ifindex)?;
        let closed = Access {
            mode: abi::Mode::Closed as u32,
            mode_until: u64::MAX,
            ..Access::UNKNOWN
        };
        let doors = [Access::UNKNOWN, closed];
        let contents = Contents::new(&image, &doors, b"")?;
        let interfaces: Vec<Interface> = attach
            .into_iter()
            .map(|name| Interface {
                name: name.to_owned(),
                ifindex,
                side: Side::Lan,
                mode: Mode::Native,
            })
            .collect();
        self.filter.apply(&contents, &interfaces)?;
        let pins = format!("gen-{}-v{}", self.generation, abi::VERSION);
        let path = Path::new(ROOT).join(pins).join("lan_ingress");
        Xdp::from_pin(&path, XdpAttachType::Interface)
            .with_context(|| format!("cannot open {}", path.display()))
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        if let Err(error) = Filter::detach(&PathBuf::from(ROOT)) {
            eprintln!("the filter stays below {ROOT}: {error}");
        }
    }
}

/// An open room and a closed one of a group with everything but category 0.
fn image(generation: u32, lists: Lists, link: u32) -> Result<Image> {
    let room = |name: &str, vlan: u16, flags: u16| Room {
        name: name.to_owned(),
        flags,
        places: vec![Place {
            link: None,
            tags: Tags::Vlan(vlan),
        }],
        ..Room::default()
    };
    let mut image = Image::build(Input {
        generation,
        links: vec![link],
        unknown_vlan: Verdict::Pass,
        when_stale: Verdict::Drop,
        trace: false,
        hello_cap: 16_384,
        quic_budget: lists.quic_budget,
        groups: vec![Group {
            deny: 1,
            refuse: Verdict::Drop as u8,
            fragment: Verdict::Drop as u8,
            flags: GroupFlags::DEFAULT_OPEN | GroupFlags::BY_NAME,
            ..Group::default()
        }],
        rooms: vec![
            room("open", VLAN, 0),
            room("closed", CLOSED_VLAN, RoomFlags::TIMETABLE),
        ],
        categories: 1,
        names: lists.names,
        ranges: lists.ranges,
        safe_search: SafeSearch::default(),
    })?;
    // The frames are one side's only: the client's SYN tells the start.
    image.config.unseen_start = 1;
    Ok(image)
}
