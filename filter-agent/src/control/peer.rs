//! Who is at the other end of a Unix socket, as the kernel saw them connect
//! (unix(7): SO_PEERCRED, SO_PEERGROUPS).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Gid, Group, Uid, User};

use super::Role;
use crate::store::Who;

/// Groups of one process that are read; Linux permits 65,536, people have a
/// few.
const MAX_GROUPS: usize = 1024;

/// The process that connected, as the kernel tells it; nothing else is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub uid: u32,
    /// Primary and further groups.
    groups: Vec<u32>,
}

impl Credentials {
    /// Reads the credentials of a connected socket.
    ///
    /// # Errors
    /// When the kernel does not tell them.
    pub fn of(socket: &impl AsFd) -> io::Result<Self> {
        let credentials = getsockopt(socket, PeerCredentials)?;
        let uid = credentials.uid();
        let mut groups = further_groups(socket)?;
        groups.push(credentials.gid());
        Ok(Self { uid, groups })
    }

    /// Root may do everything.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Whether the peer is in one of the groups, given by name. Asks the
    /// system's user database, which may take its time.
    pub fn in_any(&self, names: &[String]) -> bool {
        names.iter().any(|name| {
            // A group that does not exist has no members.
            matches!(Group::from_name(name), Ok(Some(group)) if self.has(group.gid))
        })
    }

    /// Login name; the number where there is none. Asks the user database,
    /// but for root, whom a directory that hangs must not keep out.
    pub(super) fn login(&self) -> String {
        if self.is_root() {
            return "root".to_owned();
        }
        match User::from_uid(Uid::from_raw(self.uid)) {
            Ok(Some(user)) => user.name,
            _ => self.uid.to_string(),
        }
    }

    fn has(&self, group: Gid) -> bool {
        self.groups.contains(&group.as_raw())
    }
}

/// Who that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    /// Login name; the number where there is none.
    pub name: String,
    /// `None`: no business here.
    pub role: Option<Role>,
}

impl Peer {
    /// For the audit log.
    pub fn who(&self) -> Who {
        Who {
            uid: self.uid,
            name: self.name.clone(),
        }
    }
}

fn further_groups(socket: &impl AsFd) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; MAX_GROUPS];
    let mut bytes = (size_of::<u32>() * MAX_GROUPS) as libc::socklen_t;
    // SAFETY: the buffer has `bytes` bytes and outlives the call, and the
    // descriptor is open as long as `socket` is borrowed.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    groups.truncate(bytes as usize / size_of::<u32>());
    Ok(groups)
}
