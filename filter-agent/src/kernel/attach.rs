//! Hooks: where programs hang, and putting another one in their place.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use aya::programs::tc::{
    NlOptions, SchedClassifier, SchedClassifierLink, TcAttachOptions, TcAttachType, TcHandle,
    qdisc_add_clsact,
};
use aya::programs::{Link as _, ProgramError};
use aya::util::KernelVersion;

use super::error::{KernelError, Result};
use super::load::{LAN_EGRESS, LAN_INGRESS, WAN_INGRESS};
use super::{pins, sys};

/// Priority and handle of our filter where tc has no links (before 6.6):
/// fixed, so that the next agent finds and replaces it.
const TC_PRIORITY: u16 = 0x5f17;
const TC_HANDLE: TcHandle = TcHandle::new(0, 1);

/// Which way an interface looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Towards the rooms.
    Lan,
    /// Towards the Internet.
    Wan,
}

/// Where an XDP program may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// In the driver only.
    #[default]
    Native,
    /// In the driver, else in the network stack, several times slower.
    NativeOrGeneric,
}

/// An interface to filter on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub ifindex: u32,
    pub side: Side,
    pub mode: Mode,
}

/// A place of the kernel at which a program of ours hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HookKind {
    LanIngress,
    WanIngress,
    LanEgress,
}

impl HookKind {
    const ALL: [Self; 3] = [Self::LanEgress, Self::LanIngress, Self::WanIngress];

    /// The XDP hook of a side.
    pub(crate) const fn ingress(side: Side) -> Self {
        match side {
            Side::Lan => Self::LanIngress,
            Side::Wan => Self::WanIngress,
        }
    }

    /// Name of the program in the object.
    pub fn program(self) -> &'static str {
        match self {
            Self::LanIngress => LAN_INGRESS,
            Self::WanIngress => WAN_INGRESS,
            Self::LanEgress => LAN_EGRESS,
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::LanIngress => "lan-in-",
            Self::WanIngress => "wan-in-",
            Self::LanEgress => "lan-out-",
        }
    }
}

/// A hook of one interface. Its pin tells the next agent about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hook {
    pub kind: HookKind,
    pub ifindex: u32,
}

impl Hook {
    /// The hooks an interface needs.
    pub(crate) fn of(interface: &Interface) -> impl Iterator<Item = Self> {
        let kinds: &[HookKind] = match interface.side {
            // Egress first: it only cuts what the ingress has judged.
            Side::Lan => &[HookKind::LanEgress, HookKind::LanIngress],
            Side::Wan => &[HookKind::WanIngress],
        };
        let ifindex = interface.ifindex;
        kinds.iter().map(move |kind| Self {
            kind: *kind,
            ifindex,
        })
    }

    /// Reads a hook from the name of its pin.
    pub(crate) fn from_pin_name(name: &str) -> Option<Self> {
        HookKind::ALL.into_iter().find_map(|kind| {
            let ifindex = name.strip_prefix(kind.prefix())?.parse().ok()?;
            Some(Self { kind, ifindex })
        })
    }

    pub(crate) fn pin_path(self, links: &Path) -> PathBuf {
        links.join(format!("{}{}", self.kind.prefix(), self.ifindex))
    }
}

/// How a program hangs on its hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    Native,
    Generic,
    Tcx,
    /// A classic tc filter (before 6.6).
    TcFilter,
}

impl Attached {
    /// The word in metrics and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Tcx => "tcx",
            Self::TcFilter => "tc",
        }
    }
}

/// Whether tc has links here (6.6, commit e420bed02507).
pub(crate) fn has_tcx() -> bool {
    KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(6, 6, 0))
}

/// A hook's pinned link, alive or not.
pub(crate) enum Pinned {
    /// Nothing is pinned.
    Nothing,
    /// The interface of the link is gone, or has another number.
    Dead,
    /// A link that runs program number `program_id`.
    Live { link: OwnedFd, program_id: u32 },
}

/// Looks at a hook's pin.
pub(crate) fn pinned(hook: Hook, links: &Path) -> Result<Pinned> {
    let path = hook.pin_path(links);
    let what = || KernelError::io(format!("cannot open {}", path.display()));
    let link = match sys::open_pin(&path) {
        Ok(link) => link,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Pinned::Nothing),
        Err(error) => return Err(what()(error)),
    };
    let info = sys::link_info(link.as_fd()).map_err(what())?;
    Ok(if info.ifindex == hook.ifindex {
        Pinned::Live {
            link,
            program_id: info.program_id,
        }
    } else {
        Pinned::Dead
    })
}

/// Whether a pinned link of ours runs this program. Of which interface its pin
/// speaks is no matter: one that was moved away and came back has another
/// number.
pub(crate) fn is_ours(program_id: u32, links: &Path) -> bool {
    let runs = |name: &String| -> io::Result<bool> {
        let link = sys::open_pin(&links.join(name))?;
        Ok(sys::link_info(link.as_fd())?.program_id == program_id)
    };
    match pins::names(links) {
        Ok(names) => names.iter().any(|name| runs(name).unwrap_or(true)),
        // Whose it is cannot be told; what comes next tells why.
        Err(_) => true,
    }
}

/// Attaches an XDP program by a link and pins it.
pub(crate) fn attach_xdp(
    hook: Hook,
    interface: &Interface,
    program: BorrowedFd<'_>,
    links: &Path,
) -> Result<Attached> {
    let (link, attached) = match sys::link_xdp(program, hook.ifindex, sys::XDP_NATIVE) {
        Ok(link) => (link, Attached::Native),
        Err(error) if interface.mode == Mode::NativeOrGeneric && !is_busy(&error) => {
            let link = sys::link_xdp(program, hook.ifindex, sys::XDP_GENERIC)
                .map_err(|error| xdp_error(interface, &error))?;
            (link, Attached::Generic)
        }
        Err(error) => return Err(xdp_error(interface, &error)),
    };
    pin_link(hook, &link, links)?;
    Ok(attached)
}

/// Attaches a tc program by a TCX link and pins it.
pub(crate) fn attach_tcx(
    hook: Hook,
    interface: &Interface,
    program: BorrowedFd<'_>,
    links: &Path,
) -> Result<Attached> {
    let link =
        sys::link_tcx_egress(program, hook.ifindex).map_err(|error| KernelError::Attach {
            interface: interface.name.clone(),
            problem: format!("cannot attach to tc egress: {error}"),
        })?;
    pin_link(hook, &link, links)?;
    Ok(Attached::Tcx)
}

fn pin_link(hook: Hook, link: &OwnedFd, links: &Path) -> Result<()> {
    let path = hook.pin_path(links);
    sys::pin(link.as_fd(), &path).map_err(KernelError::io(format!("cannot pin {}", path.display())))
}

/// Hangs a pinned tc program on egress by netlink, in the place of an older
/// one of ours (`cls_bpf` replaces the program of a handle in one step).
pub(crate) fn attach_tc_filter(interface: &Interface, program: &Path) -> Result<Attached> {
    let failed = |error: &dyn std::fmt::Display| KernelError::Attach {
        interface: interface.name.clone(),
        problem: format!("cannot attach to tc egress: {error}"),
    };
    // Mostly it is there already; where it cannot be made, the next call
    // tells why.
    let _ = qdisc_add_clsact(&interface.name);
    let mut program = SchedClassifier::from_pin(program).map_err(|error| failed(&error))?;
    let ours = tc_filter(&interface.name).map_err(|error| failed(&error))?;
    // A filter stays when its descriptor goes, and must: hence `forget`.
    let link = match program.attach_to_link(ours) {
        Ok(link) => link,
        Err(_) => program
            .attach_with_options(
                &interface.name,
                TcAttachType::Egress,
                TcAttachOptions::Netlink(NlOptions {
                    priority: TC_PRIORITY,
                    handle: TC_HANDLE,
                    classid: None,
                }),
            )
            .map_err(|error| failed(&error))?,
    };
    let link = program.take_link(link).map_err(|error| failed(&error))?;
    std::mem::forget(link);
    Ok(Attached::TcFilter)
}

/// Takes our tc filter off an interface; it may be gone already.
pub(crate) fn remove_tc_filter(interface: &str) -> Result<()> {
    let Ok(filter) = tc_filter(interface) else {
        return Ok(());
    };
    match filter.detach() {
        Ok(()) | Err(ProgramError::NetlinkError(_)) => Ok(()),
        Err(error) => Err(KernelError::Attach {
            interface: interface.to_owned(),
            problem: format!("cannot take the tc filter off: {error}"),
        }),
    }
}

fn tc_filter(interface: &str) -> io::Result<SchedClassifierLink> {
    SchedClassifierLink::attached(
        interface,
        TcAttachType::Egress,
        TC_PRIORITY,
        TC_HANDLE,
        None,
    )
}

fn is_busy(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST))
}

fn xdp_error(interface: &Interface, error: &io::Error) -> KernelError {
    let name = &interface.name;
    let problem = match error.raw_os_error() {
        Some(libc::EBUSY | libc::EEXIST) => {
            format!("another XDP program is attached; take it off: ip link set dev {name} xdp off")
        }
        Some(libc::EOPNOTSUPP) => {
            "the driver cannot run XDP; `generic = true` in [network] of the policy lets the \
             network stack run it, several times slower"
                .to_owned()
        }
        Some(libc::ERANGE | libc::EINVAL | libc::E2BIG) => format!(
            "the driver refuses XDP ({error}), mostly because of the MTU or LRO; try: \
             ip link set dev {name} mtu 1500 && ethtool -K {name} lro off rx-gro-hw off"
        ),
        _ => format!("cannot attach XDP: {error}"),
    };
    KernelError::Attach {
        interface: name.clone(),
        problem,
    }
}
