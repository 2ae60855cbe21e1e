//! Which XDP program hangs on an interface, by rtnetlink.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// Attributes of include/uapi/linux/if_link.h.
const IFLA_XDP: u16 = 43;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_PROG_ID: u16 = 4;
/// `XDP_ATTACHED_SKB`: in the network stack.
const ATTACHED_GENERIC: u8 = 2;
/// Flags in the upper bits of an attribute's type.
const TYPE_MASK: u16 = 0x3fff;
/// `struct nlmsghdr` and `struct ifinfomsg`.
const HEADER: usize = 16;
const IFINFO: usize = 16;

/// The XDP program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) struct XdpProgram {
    pub(in crate::kernel) id: u32,
    /// It runs in the network stack instead of the driver.
    pub(in crate::kernel) generic: bool,
}

/// A socket for rtnetlink(7), in the calling thread's network namespace.
pub(in crate::kernel) fn route_socket() -> nix::Result<OwnedFd> {
    socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )
}

/// The XDP program on an interface, if any.
pub(in crate::kernel) fn xdp_program(ifindex: u32) -> io::Result<Option<XdpProgram>> {
    let socket = route_socket()?;
    let mut request = Vec::with_capacity(HEADER + IFINFO);
    request.extend(((HEADER + IFINFO) as u32).to_ne_bytes());
    request.extend(libc::RTM_GETLINK.to_ne_bytes());
    request.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    request.extend([0; 8]);
    request.extend([0; 4]);
    request.extend(ifindex.to_ne_bytes());
    request.extend([0; 8]);
    send(socket.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut answer = vec![0; 32_768];
    let len = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let answer = answer.get(..len).unwrap_or_default();
    let kind = answer.get(4..6).map(|b| u16::from_ne_bytes([b[0], b[1]]));
    if kind == Some(libc::NLMSG_ERROR as u16) {
        return Err(io::Error::other("the kernel does not know the interface"));
    }
    let attributes = answer.get(HEADER + IFINFO..).unwrap_or_default();
    let xdp = find(attributes, IFLA_XDP).unwrap_or_default();
    let id = find(xdp, IFLA_XDP_PROG_ID).and_then(|id| id.first_chunk());
    let attached = find(xdp, IFLA_XDP_ATTACHED).and_then(<[u8]>::first);
    Ok(id
        .map(|id| XdpProgram {
            id: u32::from_ne_bytes(*id),
            generic: attached == Some(&ATTACHED_GENERIC),
        })
        .filter(|program| program.id != 0))
}

/// The value of an attribute in a row of them.
fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let [a, b, c, d] = *attributes.first_chunk()?;
        let len = usize::from(u16::from_ne_bytes([a, b]));
        if u16::from_ne_bytes([c, d]) & TYPE_MASK == wanted {
            return attributes.get(4..len);
        }
        attributes = attributes.get(len.max(4).next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_no_program_and_an_unknown_interface_is_an_error() {
        assert_eq!(xdp_program(1).unwrap(), None);
        assert!(xdp_program(0x7fff_fff0).is_err());
    }

    #[test]
    fn attributes_are_found_behind_others_and_lies_end_the_search() {
        let row = [5, 0, 1, 0, 9, 0, 0, 0, 8, 0, 43, 0x80, 1, 2, 3, 4];
        assert_eq!(find(&row, 43), Some([1, 2, 3, 4].as_slice()));
        assert_eq!(find(&row, 2), None);
        assert_eq!(find(&[0, 0, 1, 0], 43), None);
        assert_eq!(find(&[200, 0, 43, 0, 1], 43), None);
    }
}
