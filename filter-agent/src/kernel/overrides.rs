//! What is blocked or granted just now, beside the image.

use std::collections::BTreeMap;

use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, MapError};
use filter_ebpf::abi::{Override, OverrideHeader, OverrideKey, Scope};
use ipnet::IpNet;

use super::access::raise_epoch;
use super::error::{KernelError, Result};
use super::filter::Filter;
use super::shared::broken;
use super::wire::Wire;

const NAMES: &str = "OVERRIDE_NAMES";
const RANGES: &str = "OVERRIDE_RANGES";

/// The overrides in the kernel. Every change is in force with the next
/// packet: the epoch is raised last.
///
/// A name is given by its hash under the box's secret, as the tables hold
/// it; scopes by indices into the image in force, so they are written again
/// after an apply that moves rooms or groups.
///
/// What the kernel holds is kept here too (64 bytes an entry), so that a
/// change costs what it changes, however many others there are. Nobody else
/// may write.
pub struct Overrides {
    header: Array<MapData, Wire<OverrideHeader>>,
    names: HashMap<MapData, Wire<OverrideKey>, Wire<Override>>,
    ranges: LpmTrie<MapData, [u8; 24], Wire<Override>>,
    written_names: BTreeMap<NameKey, Override>,
    written_ranges: BTreeMap<RangeKey, Override>,
}

/// Hash of the name, [`Scope::to_u32`].
type NameKey = (u64, u32);
/// Prefix length in bits, scope and address as the trie has them.
type RangeKey = (u32, [u8; 24]);

impl Overrides {
    /// Opens the overrides.
    ///
    /// # Errors
    /// When the pins are gone.
    pub fn open(filter: &Filter) -> Result<Self> {
        let shared = filter.shared();
        let mut overrides = Self {
            header: shared.array("OVERRIDE_HEADER")?,
            names: HashMap::try_from(Map::HashMap(shared.map(NAMES)?)).map_err(broken(NAMES))?,
            ranges: LpmTrie::try_from(Map::LpmTrie(shared.map(RANGES)?)).map_err(broken(RANGES))?,
            written_names: BTreeMap::new(),
            written_ranges: BTreeMap::new(),
        };
        for entry in overrides.names.iter() {
            let (Wire(key), Wire(what)) = entry.map_err(broken(NAMES))?;
            overrides.written_names.insert((key.hash, key.scope), what);
        }
        for entry in overrides.ranges.iter() {
            let (key, Wire(what)) = entry.map_err(broken(RANGES))?;
            let key = (key.prefix_len(), key.data());
            overrides.written_ranges.insert(key, what);
        }
        let Wire(header) = overrides
            .header
            .get(&0, 0)
            .map_err(broken("OVERRIDE_HEADER"))?;
        let (names, ranges) = overrides.counts();
        if (header.names as usize, header.ranges as usize) != (names, ranges) {
            // An agent died between an override and its header.
            overrides.settle()?;
        }
        Ok(overrides)
    }

    /// Puts an override on the name with this hash.
    ///
    /// # Errors
    /// When the table is full.
    pub fn set_name(&mut self, hash: u64, scope: Scope, what: Override) -> Result<()> {
        self.write_name((hash, scope.to_u32()), what)?;
        self.settle()
    }

    /// Puts an override on an address range.
    ///
    /// # Errors
    /// When the table is full.
    pub fn set_range(&mut self, range: IpNet, scope: Scope, what: Override) -> Result<()> {
        self.write_range(range_key(range, scope), what)?;
        self.settle()
    }

    /// Makes exactly these overrides be in force, with one epoch for all.
    ///
    /// # Errors
    /// When a table is full; what was written before stays.
    pub fn replace(
        &mut self,
        names: &[(u64, Scope, Override)],
        ranges: &[(IpNet, Scope, Override)],
    ) -> Result<()> {
        let names: BTreeMap<NameKey, Override> = names
            .iter()
            .map(|(hash, scope, what)| ((*hash, scope.to_u32()), *what))
            .collect();
        let ranges: BTreeMap<RangeKey, Override> = ranges
            .iter()
            .map(|(range, scope, what)| (range_key(*range, *scope), *what))
            .collect();
        if names == self.written_names && ranges == self.written_ranges {
            return Ok(());
        }
        let written = self.rewrite(&names, &ranges);
        // Also what was written before an error counts.
        self.settle()?;
        written
    }

    fn rewrite(
        &mut self,
        names: &BTreeMap<NameKey, Override>,
        ranges: &BTreeMap<RangeKey, Override>,
    ) -> Result<()> {
        // Room for the new ones first.
        let gone = stale(&self.written_names, names);
        for key in gone {
            found(self.names.remove(&name_key(key)))?;
            self.written_names.remove(&key);
        }
        let gone = stale(&self.written_ranges, ranges);
        for (bits, data) in gone {
            found(self.ranges.remove(&Key::new(bits, data)))?;
            self.written_ranges.remove(&(bits, data));
        }
        for (key, what) in names {
            self.write_name(*key, *what)?;
        }
        for (key, what) in ranges {
            self.write_range(*key, *what)?;
        }
        Ok(())
    }

    /// Lets the kernel tell of judged flows that pass, too, until a moment on
    /// CLOCK_MONOTONIC in nanoseconds (to the second); 0 ends it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_trial(&mut self, until: u64) -> Result<()> {
        let broken = || broken("OVERRIDE_HEADER");
        let Wire(mut header) = self.header.get(&0, 0).map_err(broken())?;
        header.trial_until = until.div_ceil(1 << 30).try_into().unwrap_or(u32::MAX);
        self.header.set(0, Wire(header), 0).map_err(broken())
    }

    /// Overrides in the kernel: of names, of ranges.
    pub fn counts(&self) -> (usize, usize) {
        (self.written_names.len(), self.written_ranges.len())
    }

    fn write_name(&mut self, key: NameKey, what: Override) -> Result<()> {
        if self.written_names.get(&key) == Some(&what) {
            return Ok(());
        }
        self.names
            .insert(name_key(key), Wire(what), 0)
            .map_err(full("names"))?;
        self.written_names.insert(key, what);
        Ok(())
    }

    fn write_range(&mut self, key: RangeKey, what: Override) -> Result<()> {
        if self.written_ranges.get(&key) == Some(&what) {
            return Ok(());
        }
        self.ranges
            .insert(&Key::new(key.0, key.1), Wire(what), 0)
            .map_err(full("ranges"))?;
        self.written_ranges.insert(key, what);
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        let (names, ranges) = self.counts();
        raise_epoch(&mut self.header, |header| {
            header.names = names as u32;
            header.ranges = ranges as u32;
        })
    }
}

/// Keys of what is written and no longer wanted.
fn stale<K: Ord + Copy>(written: &BTreeMap<K, Override>, wanted: &BTreeMap<K, Override>) -> Vec<K> {
    let gone = written.keys().filter(|key| !wanted.contains_key(key));
    gone.copied().collect()
}

fn name_key((hash, scope): NameKey) -> Wire<OverrideKey> {
    Wire(OverrideKey {
        hash,
        scope,
        reserved: 0,
    })
}

/// Scope and address as the trie compares them: most significant bit first.
fn range_key(range: IpNet, scope: Scope) -> RangeKey {
    let (address, bits) = match range {
        IpNet::V4(range) => (
            range.network().to_ipv6_mapped().octets(),
            96 + u32::from(range.prefix_len()),
        ),
        IpNet::V6(range) => (range.network().octets(), u32::from(range.prefix_len())),
    };
    let mut data = [0; 24];
    let (head, tail) = data.split_at_mut(8);
    head.copy_from_slice(&u64::from(scope.to_u32()).to_be_bytes());
    tail.copy_from_slice(&address);
    (64 + bits, data)
}

fn found(result: Result<(), MapError>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(MapError::KeyNotFound) => Ok(false),
        Err(MapError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(libc::ENOENT) =>
        {
            Ok(false)
        }
        Err(error) => Err(broken("of overrides")(error)),
    }
}

fn full(what: &'static str) -> impl FnOnce(MapError) -> KernelError {
    move |error| {
        KernelError::Contents(format!(
            "no room for another override of {what}: {error}; put it into a list instead"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_keyed_by_scope_and_network() -> Result<(), ipnet::AddrParseError> {
        let (bits, data) = range_key("192.0.2.77/24".parse()?, Scope::Room(3));
        assert_eq!(bits, 64 + 96 + 24);
        assert_eq!(data[..8], [0, 0, 0, 0, 0, 1, 0, 3]);
        assert_eq!(data[18..], [0xff, 0xff, 192, 0, 2, 0]);
        let (bits, data) = range_key("2001:db8::1/32".parse()?, Scope::Everyone);
        assert_eq!(bits, 64 + 32);
        assert_eq!(data[8..14], [0x20, 0x01, 0x0d, 0xb8, 0, 0]);
        Ok(())
    }
}
