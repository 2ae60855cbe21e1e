//! Hears from the kernel that interfaces come and go.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, recv, setsockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::preflight::netlink::route_socket;

/// `RTMGRP_LINK` of include/uapi/linux/rtnetlink.h.
const LINKS: u32 = 1;
/// Somebody looks at least so often, whatever was heard.
const AT_LEAST_EVERY: i64 = 5;

/// A subscription to changes of interfaces. What changed is not told: whoever
/// is woken looks for themselves, so a lost message does no harm.
#[derive(Debug)]
pub struct LinkWatch(OwnedFd);

impl LinkWatch {
    /// Subscribes in the network namespace of the calling thread.
    ///
    /// # Errors
    /// When the kernel has no rtnetlink.
    pub fn open() -> io::Result<Self> {
        let socket = route_socket()?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(AT_LEAST_EVERY))?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, LINKS))?;
        Ok(Self(socket))
    }

    /// Waits until an interface changed, or for five seconds.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn wait(&self) -> io::Result<()> {
        let mut message = [0; 8192];
        match recv(self.0.as_raw_fd(), &mut message, MsgFlags::empty()) {
            // ENOBUFS: more came than the socket holds.
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => {}
            Err(error) => return Err(error.into()),
        }
        // One look for all that came at once.
        while recv(self.0.as_raw_fd(), &mut message, MsgFlags::MSG_DONTWAIT).is_ok() {}
        Ok(())
    }
}
