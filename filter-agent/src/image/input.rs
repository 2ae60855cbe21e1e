//! What an image is built from: indices, masks, hashes and addresses, no
//! schools.

use filter_ebpf::abi;

use super::{Names, Ranges};

/// Everything a policy decides about one image.
///
/// Categories and groups are indices here; their words stay with the policy.
/// Categories run from 0 to `categories - 1`.
#[derive(Debug)]
pub struct Input {
    /// Number of the image; never 0.
    pub generation: u32,
    /// Interface indices of the LAN side; a position is the link's slot.
    pub links: Vec<u32>,
    /// What happens to a VLAN without a room.
    pub unknown_vlan: abi::Verdict,
    /// What happens in a room past its last known span.
    pub when_stale: abi::Verdict,
    /// Record each packet's outcome in `TRACE` (replay and tests).
    pub trace: bool,
    /// Bytes of one TCP hello that are looked at.
    pub hello_cap: u32,
    /// QUIC hellos per second and core.
    pub quic_budget: u32,
    /// Rows of the matrix, at most [`abi::MAX_GROUPS`].
    pub groups: Vec<abi::Group>,
    /// Rooms; a position is the room's index everywhere.
    pub rooms: Vec<Room>,
    /// Categories in use, at most [`abi::MAX_CATEGORIES`].
    pub categories: u8,
    /// Host names of all categories.
    pub names: Names,
    /// Address ranges of all categories and the school's own networks.
    pub ranges: Ranges,
    /// Search engines that are answered with a safe address.
    pub safe_search: SafeSearch,
}

/// Names of search engines and their safe addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SafeSearch {
    /// Lower case, no trailing dot; the index of its provider beside it.
    pub names: Vec<(String, u8)>,
    /// By provider, at most [`abi::MAX_PROVIDERS`].
    pub addresses: Vec<abi::SafeAddress>,
}

/// A room and the frames that belong to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// For messages only.
    pub name: String,
    /// Index into [`Input::groups`].
    pub group: u16,
    /// [`abi::RoomFlags`].
    pub flags: u16,
    /// Which frames belong to it; two rooms must not share a place.
    pub places: Vec<Place>,
    /// Where its clients' addresses lie; empty: anywhere. At most six.
    pub subnets4: Vec<abi::Subnet4>,
    /// Likewise; at most four.
    pub subnets6: Vec<abi::Subnet6>,
}

/// One way frames of a room arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Slot of the link (index into [`Input::links`]); `None`: every link.
    pub link: Option<u8>,
    pub tags: Tags,
}

/// The VLAN tags of a frame; an identifier is 1 to 4094 (IEEE 802.1Q §9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// No tag, or a priority tag (VLAN 0).
    Untagged,
    /// One tag.
    Vlan(u16),
    /// Two tags.
    Stacked { outer: u16, inner: u16 },
}
