//! Frames onto a wire, whatever they hold.

use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::{Context as _, Result};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike as _, sendto,
    socket,
};

/// An interface that sends frames as they are.
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
    address: LinkAddr,
}

impl Wire {
    /// Opens an interface of the host that the thread is on.
    ///
    /// # Errors
    /// When there is no such interface, or the caller is not root.
    pub fn open(interface: &str) -> Result<Self> {
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::empty(),
            SockProtocol::EthAll,
        )?;
        let index = nix::net::if_::if_nametoindex(interface)?;
        // SAFETY: integers, for which zero is a value.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = index as i32;
        address.sll_halen = 6;
        // SAFETY: a whole address of the family it names.
        let address = unsafe {
            LinkAddr::from_raw(
                (&raw const address).cast(),
                Some(size_of::<libc::sockaddr_ll>() as u32),
            )
        };
        let address = address.context("no link address")?;
        Ok(Self { socket, address })
    }

    /// Whether the frame went out.
    pub fn send(&self, frame: &[u8]) -> bool {
        let socket = self.socket.as_raw_fd();
        sendto(socket, frame, &self.address, MsgFlags::empty()).is_ok()
    }
}
