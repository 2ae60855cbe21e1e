//! Driver and offloads through `SIOCETHTOOL` (include/uapi/linux/ethtool.h).

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_SFEATURES: u32 = 0x3b;
const ETH_SS_FEATURES: u32 = 4;
const STRING: usize = 32;
/// Bytes of `struct ethtool_drvinfo`.
const DRVINFO: usize = 196;
/// Features a kernel may have; 6.18 has 64.
const MAX_FEATURES: u32 = 1024;

/// One offload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Feature {
    index: usize,
    pub on: bool,
    /// Nobody can change it.
    pub fixed: bool,
}

/// An interface as ethtool sees it.
pub(super) struct Ethtool {
    socket: OwnedFd,
    name: [libc::c_char; libc::IFNAMSIZ],
    names: Vec<String>,
}

impl Ethtool {
    pub(super) fn open(interface: &str) -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Inet,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        let mut name = [0; libc::IFNAMSIZ];
        if interface.len() >= name.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (to, from) in name.iter_mut().zip(interface.bytes()) {
            *to = from as libc::c_char;
        }
        let mut ethtool = Self {
            socket,
            name,
            names: Vec::new(),
        };
        ethtool.names = ethtool.feature_names()?;
        Ok(ethtool)
    }

    /// Name of the driver.
    pub(super) fn driver(&self) -> io::Result<String> {
        let mut words = vec![0_u32; DRVINFO / 4];
        words[0] = ETHTOOL_GDRVINFO;
        self.call(&mut words)?;
        Ok(text(&bytes(&words)[4..4 + STRING]))
    }

    /// The state of an offload; `None` where the kernel does not know it.
    pub(super) fn feature(&self, name: &str) -> io::Result<Option<Feature>> {
        let Some(index) = self.names.iter().position(|n| n == name) else {
            return Ok(None);
        };
        let blocks = self.names.len().div_ceil(32);
        // Command, size, then per block: available, requested, active, never
        // changed.
        let mut words = vec![0_u32; 2 + blocks * 4];
        words[0] = ETHTOOL_GFEATURES;
        words[1] = blocks as u32;
        self.call(&mut words)?;
        let bit = |word: usize| {
            words
                .get(2 + index / 32 * 4 + word)
                .is_some_and(|word| word >> (index % 32) & 1 == 1)
        };
        Ok(Some(Feature {
            index,
            on: bit(2),
            fixed: !bit(0) || bit(3),
        }))
    }

    /// Switches an offload off.
    pub(super) fn switch_off(&self, feature: Feature) -> io::Result<()> {
        let blocks = self.names.len().div_ceil(32);
        // Command, size, then per block: which to change, and to what.
        let mut words = vec![0_u32; 2 + blocks * 2];
        words[0] = ETHTOOL_SFEATURES;
        words[1] = blocks as u32;
        if let Some(valid) = words.get_mut(2 + feature.index / 32 * 2) {
            *valid = 1 << (feature.index % 32);
        }
        self.call(&mut words)
    }

    fn feature_names(&self) -> io::Result<Vec<String>> {
        // Command, reserved, a mask of 64 bits, and the answer.
        let mut words = [ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_FEATURES, 0, 0];
        self.call(&mut words)?;
        let count = words[4].min(MAX_FEATURES);
        let mut words = vec![0_u32; 3 + count as usize * STRING / 4];
        words[0] = ETHTOOL_GSTRINGS;
        words[1] = ETH_SS_FEATURES;
        words[2] = count;
        self.call(&mut words)?;
        Ok(bytes(&words)[12..].chunks_exact(STRING).map(text).collect())
    }

    /// `words` must be as long as the command in its first word writes.
    fn call(&self, words: &mut [u32]) -> io::Result<()> {
        // SAFETY: a structure of integers and a pointer, for which zero is a
        // value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_name = self.name;
        request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
        // SAFETY: `request` is what the call takes; its data is as long as
        // the command asks for, and outlives the call.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_offloads_by_name() {
        let lo = Ethtool::open("lo").unwrap();
        assert!(lo.names.iter().any(|name| name == "rx-vlan-hw-parse"));
        let segmentation = lo.feature("tx-tcp-segmentation").unwrap().unwrap();
        assert!(segmentation.on);
        assert_eq!(lo.feature("no-such-offload").unwrap(), None);
        assert!(Ethtool::open("nosuch0").is_err());
    }
}
