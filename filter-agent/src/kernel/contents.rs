//! What lies in the maps of an image, by name and as bytes.

use std::borrow::Cow;

use filter_ebpf::abi;

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
    pub pairs: Option<Vec<(u32, u32)>>,
}
