//! Maps that outlive an image: flows, hellos in progress, overrides, the
//! secret, events.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use aya::maps::{Array, Map, MapData};
use aya_obj::Object;
use filter_ebpf::abi::{self, Pod};

use super::error::{KernelError, Result};
use super::pins::{self, Pins};
use super::sys::{self, Shape};
use super::wire::Wire;

/// Maps of the object that outlive an image.
pub(crate) const SHARED: &[&str] = &[
    "FLOW_TAGS",
    "FLOWS",
    "HELLO_TAGS",
    "HELLOS",
    "CONTENTS",
    "TICKET",
    "STARTS",
    "QUIC_HELLOS",
    "REPORTED",
    "REPORT_BUDGET",
    "OVERRIDE_HEADER",
    "OVERRIDE_NAMES",
    "OVERRIDE_RANGES",
    "SECRET",
    "EVENTS",
];

/// The shared maps, opened or made.
#[derive(Debug)]
pub struct Shared {
    folder: PathBuf,
    layout: String,
    names: Vec<&'static str>,
    secret: abi::Secret,
}

impl Shared {
    /// Opens the shared maps below a root, or makes those that are missing.
    ///
    /// Another layout (ABI version or shapes) lies in another folder, so an
    /// upgrade never reads the old maps by mistake.
    ///
    /// # Errors
    /// When the bpf filesystem cannot be written, or a pin is a map of
    /// another shape than its folder says.
    pub(crate) fn open(pins: &Pins, object: &Object) -> Result<Self> {
        let wanted = shapes(object)?;
        let layout = layout(&wanted);
        let folder = pins.shared(&layout);
        pins::make(&folder)?;
        for (name, shape) in &wanted {
            let path = folder.join(name);
            match sys::open_pin(&path) {
                Ok(map) => check(&path, &map, *shape)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    let map = sys::create_map(name, *shape)
                        .map_err(KernelError::io(format!("cannot make map {name}")))?;
                    sys::pin(map.as_fd(), &path)
                        .map_err(KernelError::io(format!("cannot pin {}", path.display())))?;
                }
                Err(error) => {
                    return Err(KernelError::io(format!("cannot open {}", path.display()))(
                        error,
                    ));
                }
            }
        }
        let mut shared = Self {
            folder,
            layout,
            names: wanted.iter().map(|(name, _)| *name).collect(),
            secret: fresh_secret()?,
        };
        shared.keep_secret()?;
        Ok(shared)
    }

    /// Keys of the box's hashes; the same as long as the flows live.
    pub fn secret(&self) -> abi::Secret {
        self.secret
    }

    /// Name of the layout, as in the folder's name.
    pub(crate) fn layout(&self) -> &str {
        &self.layout
    }

    /// Pins of the shared maps, for the loader.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&'static str, PathBuf)> + '_ {
        self.names
            .iter()
            .map(|name| (*name, self.folder.join(name)))
    }

    pub(crate) fn array<V: Pod>(&self, name: &str) -> Result<Array<MapData, Wire<V>>> {
        Array::try_from(Map::Array(self.map(name)?)).map_err(broken(name))
    }

    pub(crate) fn map(&self, name: &str) -> Result<MapData> {
        let path = self.folder.join(name);
        MapData::from_pin(&path).map_err(broken(name))
    }

    pub(super) fn open_map(&self, name: &str) -> Result<OwnedFd> {
        let path = self.folder.join(name);
        sys::open_pin(&path).map_err(KernelError::io(format!("cannot open {}", path.display())))
    }

    /// Takes the pinned secret, or writes the fresh one where there is none.
    fn keep_secret(&mut self) -> Result<()> {
        let mut array = self.array::<abi::Secret>("SECRET")?;
        let Wire(kept) = array.get(&0, 0).map_err(broken("SECRET"))?;
        if kept.as_bytes().iter().any(|byte| *byte != 0) {
            self.secret = kept;
            return Ok(());
        }
        array.set(0, Wire(self.secret), 0).map_err(broken("SECRET"))
    }
}

/// A new random secret (getrandom(2)).
///
/// # Errors
/// When the kernel has no random numbers.
pub fn fresh_secret() -> Result<abi::Secret> {
    let mut words = [0_u64; 8];
    for word in &mut words {
        // Multiplicative hashes need odd keys.
        *word = 1 | getrandom::u64()
            .map_err(|error| KernelError::Contents(format!("no random numbers: {error}")))?;
    }
    Ok(abi::Secret {
        name: [words[0], words[1], words[2], words[3]],
        content: [words[4], words[5], words[6], words[7]],
    })
}

pub(crate) fn broken<E: std::fmt::Display>(name: &str) -> impl FnOnce(E) -> KernelError {
    let name = name.to_owned();
    move |error| KernelError::Contents(format!("map {name}: {error}"))
}

/// Shapes of the shared maps as the object asks for them.
fn shapes(object: &Object) -> Result<Vec<(&'static str, Shape)>> {
    SHARED
        .iter()
        .filter_map(|name| {
            object
                .maps
                .get_key_value(*name)
                .map(|(_, map)| (*name, map))
        })
        .map(|(name, map)| {
            let shape = Shape {
                kind: map.map_type(),
                key_size: map.key_size(),
                value_size: if name == "EVENTS" {
                    0
                } else {
                    map.value_size()
                },
                max_entries: map.max_entries(),
                flags: map.map_flags(),
            };
            if shape.max_entries == 0 {
                return Err(KernelError::Object(format!("map {name} has no size")));
            }
            Ok((name, shape))
        })
        .collect()
}

/// The ABI's version and a hash (FNV-1a) of all shapes.
fn layout(shapes: &[(&str, Shape)]) -> String {
    let text = format!("{shapes:?}");
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("v{}-{:08x}", abi::VERSION, hash as u32)
}

fn check(path: &Path, map: &OwnedFd, expected: Shape) -> Result<()> {
    let found = sys::map_shape(map.as_fd()).map_err(KernelError::io(format!(
        "cannot inspect {}",
        path.display()
    )))?;
    if found == expected {
        return Ok(());
    }
    Err(KernelError::Shape {
        path: path.to_owned(),
        found: format!("{found:?}"),
        expected: format!("{expected:?}"),
    })
}
