//! What is blocked or granted just now, beside the image.

use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, MapError};
use filter_ebpf::abi::{Override, OverrideHeader, OverrideKey, Scope};
use ipnet::IpNet;

use super::access::raise_epoch;
use super::error::{KernelError, Result};
use super::filter::Filter;
use super::shared::{Shared, broken};
use super::wire::Wire;

/// The overrides in the kernel. Every change is in force with the next
/// packet: the epoch is raised last.
///
/// A name is given by its hash under the box's secret, as the tables hold
/// it; scopes by indices into the image in force, so they are written again
/// after an apply that moves rooms or groups.
pub struct Overrides {
    header: Array<MapData, Wire<OverrideHeader>>,
    names: HashMap<MapData, Wire<OverrideKey>, Wire<Override>>,
    ranges: LpmTrie<MapData, [u8; 24], Wire<Override>>,
}

impl Overrides {
    /// Opens the overrides.
    ///
    /// # Errors
    /// When the pins are gone.
    pub fn open(filter: &Filter) -> Result<Self> {
        Self::of(filter.shared())
    }

    fn of(shared: &Shared) -> Result<Self> {
        let names = "OVERRIDE_NAMES";
        let ranges = "OVERRIDE_RANGES";
        Ok(Self {
            header: shared.array("OVERRIDE_HEADER")?,
            names: HashMap::try_from(Map::HashMap(shared.map(names)?)).map_err(broken(names))?,
            ranges: LpmTrie::try_from(Map::LpmTrie(shared.map(ranges)?)).map_err(broken(ranges))?,
        })
    }

    /// Puts an override on the name with this hash.
    ///
    /// # Errors
    /// When the table is full.
    pub fn set_name(&mut self, hash: u64, scope: Scope, what: Override) -> Result<()> {
        self.names
            .insert(name_key(hash, scope), Wire(what), 0)
            .map_err(full("names"))?;
        self.settle()
    }

    /// Takes the override off; true when there was one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_name(&mut self, hash: u64, scope: Scope) -> Result<bool> {
        let removed = found(self.names.remove(&name_key(hash, scope)))?;
        self.settle()?;
        Ok(removed)
    }

    /// Puts an override on an address range.
    ///
    /// # Errors
    /// When the table is full.
    pub fn set_range(&mut self, range: IpNet, scope: Scope, what: Override) -> Result<()> {
        self.ranges
            .insert(&range_key(range, scope), Wire(what), 0)
            .map_err(full("ranges"))?;
        self.settle()
    }

    /// Takes the override off; true when there was one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_range(&mut self, range: IpNet, scope: Scope) -> Result<bool> {
        let removed = found(self.ranges.remove(&range_key(range, scope)))?;
        self.settle()?;
        Ok(removed)
    }

    /// Makes exactly these overrides be in force, with one epoch for all.
    ///
    /// # Errors
    /// When a table is full; blocks and grants written before stay.
    pub fn replace(
        &mut self,
        names: &[(u64, Scope, Override)],
        ranges: &[(IpNet, Scope, Override)],
    ) -> Result<()> {
        for (hash, scope, what) in names {
            self.names
                .insert(name_key(*hash, *scope), Wire(*what), 0)
                .map_err(full("names"))?;
        }
        for (range, scope, what) in ranges {
            self.ranges
                .insert(&range_key(*range, *scope), Wire(*what), 0)
                .map_err(full("ranges"))?;
        }
        let stale: Vec<_> = self
            .names
            .keys()
            .filter_map(Result::ok)
            .filter(|key| {
                !names
                    .iter()
                    .any(|(hash, scope, _)| name_key(*hash, *scope) == *key)
            })
            .collect();
        for key in stale {
            found(self.names.remove(&key))?;
        }
        let keep: Vec<_> = ranges
            .iter()
            .map(|(range, scope, _)| range_key(*range, *scope))
            .map(|key| (key.prefix_len(), key.data()))
            .collect();
        let stale: Vec<_> = self
            .ranges
            .keys()
            .filter_map(Result::ok)
            .filter(|key| !keep.contains(&(key.prefix_len(), key.data())))
            .collect();
        for key in stale {
            found(self.ranges.remove(&key))?;
        }
        self.settle()
    }

    /// Overrides in the kernel: of names, of ranges.
    ///
    /// # Errors
    /// When the pins are gone.
    pub fn counts(&self) -> Result<(u32, u32)> {
        let Wire(header) = self.header.get(&0, 0).map_err(broken("OVERRIDE_HEADER"))?;
        Ok((header.names, header.ranges))
    }

    fn settle(&mut self) -> Result<()> {
        let names = self.names.keys().filter_map(Result::ok).count() as u32;
        let ranges = self.ranges.keys().filter_map(Result::ok).count() as u32;
        raise_epoch(&mut self.header, |header| {
            header.names = names;
            header.ranges = ranges;
        })
    }
}

fn name_key(hash: u64, scope: Scope) -> Wire<OverrideKey> {
    Wire(OverrideKey {
        hash,
        scope: scope.to_u32(),
        reserved: 0,
    })
}

/// Scope and address as the trie compares them: most significant bit first.
fn range_key(range: IpNet, scope: Scope) -> Key<[u8; 24]> {
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
    Key::new(64 + bits, data)
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
        let key = range_key("192.0.2.77/24".parse()?, Scope::Room(3));
        let (bits, data) = (key.prefix_len(), key.data());
        assert_eq!(bits, 64 + 96 + 24);
        assert_eq!(data[..8], [0, 0, 0, 0, 0, 1, 0, 3]);
        assert_eq!(data[18..], [0xff, 0xff, 192, 0, 2, 0]);
        let key = range_key("2001:db8::1/32".parse()?, Scope::Everyone);
        let (bits, data) = (key.prefix_len(), key.data());
        assert_eq!(bits, 64 + 32);
        assert_eq!(data[8..14], [0x20, 0x01, 0x0d, 0xb8, 0, 0]);
        Ok(())
    }
}
