//! Unpacks gzip, xz, zip and tar, one in another, within bounds.

use std::cell::Cell;
use std::io::{self, Cursor, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use zip::ZipArchive;

use super::lines::Stream;
use super::{Limits, ListError};

/// Archives in archives.
const DEPTH: u32 = 6;
/// Output over input beyond which nobody packs a list.
const RATIO: u64 = 250;
/// Output that is never called a bomb.
const HARMLESS: u64 = 64 << 20;

/// Called with each file: its path in the archive (empty for a plain text),
/// and its unpacked bytes.
pub(super) type Each<'e> = dyn FnMut(&str, &mut Stream<'_>) -> Result<(), ListError> + 'e;

/// A symbolic or hard link in an archive: UT1 names categories so.
pub(super) struct Link {
    pub(super) path: String,
    pub(super) target: String,
}

/// Unpacks `input`, whose packed size is `size` bytes.
pub(super) fn walk(
    input: &mut dyn Read,
    size: u64,
    place: &str,
    limits: &Limits,
    each: &mut Each<'_>,
) -> Result<Vec<Link>, ListError> {
    let budget = Rc::new(Budget {
        limit: limits.unpacked,
        packed: size,
        used: Cell::new(0),
    });
    let mut walker = Walker {
        place,
        limits,
        budget,
        members: 0,
        links: Vec::new(),
        each,
    };
    walker.open(Stream::new(input), "", 0)?;
    Ok(walker.links)
}

/// The error behind a failed read.
pub(super) fn read_error(place: &str, error: io::Error) -> ListError {
    let place = place.to_owned();
    if let Some(over) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Over>())
    {
        return match *over {
            Over::Limit(limit) => ListError::TooLarge { place, limit },
            Over::Ratio => ListError::Bomb {
                place,
                ratio: RATIO,
            },
        };
    }
    if error.raw_os_error().is_some() {
        return ListError::Read {
            place,
            source: error,
        };
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ListError::Truncated { place },
        _ => ListError::Damaged {
            place,
            detail: error.to_string(),
        },
    }
}

struct Walker<'w, 'e> {
    place: &'w str,
    limits: &'w Limits,
    budget: Rc<Budget>,
    members: u64,
    links: Vec<Link>,
    each: &'w mut Each<'e>,
}

impl Walker<'_, '_> {
    fn open(&mut self, mut stream: Stream<'_>, path: &str, depth: u32) -> Result<(), ListError> {
        if depth > DEPTH {
            return Err(ListError::TooDeep {
                place: self.place.to_owned(),
                limit: DEPTH,
            });
        }
        let packing = Packing::of(stream.peek().map_err(|error| self.error(error))?);
        match packing {
            Packing::None => (self.each)(path, &mut stream),
            Packing::Gzip => self.unpack(MultiGzDecoder::new(stream), path, depth),
            Packing::Xz => self.unpack(XzDecoder::new_multi_decoder(stream), path, depth),
            Packing::Tar => self.tar(stream, path, depth),
            Packing::Zip => self.zip(stream, path, depth),
            // In an archive some other file may lie beside the lists.
            Packing::Unsupported(_) if !path.is_empty() => Ok(()),
            Packing::Unsupported(what) => Err(ListError::Unsupported {
                place: self.place.to_owned(),
                what,
            }),
        }
    }

    fn unpack(&mut self, decoder: impl Read, path: &str, depth: u32) -> Result<(), ListError> {
        let counted = Counted {
            inner: decoder,
            budget: Rc::clone(&self.budget),
        };
        self.open(Stream::new(counted), path, depth + 1)
    }

    fn tar(&mut self, stream: Stream<'_>, path: &str, depth: u32) -> Result<(), ListError> {
        let mut archive = tar::Archive::new(stream);
        let entries = archive.entries().map_err(|error| self.error(error))?;
        for entry in entries {
            let entry = entry.map_err(|error| self.error(error))?;
            self.count_member()?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            if kind.is_symlink() || kind.is_hard_link() {
                if let Some(target) = entry.link_name_bytes() {
                    let target = String::from_utf8_lossy(&target).into_owned();
                    self.link(&name, &target, kind.is_symlink());
                }
            } else if kind.is_file() || kind.is_contiguous() {
                let counted = Counted {
                    inner: entry,
                    budget: Rc::clone(&self.budget),
                };
                self.open(Stream::new(counted), &join(path, &name), depth + 1)?;
            }
        }
        Ok(())
    }

    /// A zip archive has its table at the end, so it is held in memory.
    fn zip(&mut self, mut stream: Stream<'_>, path: &str, depth: u32) -> Result<(), ListError> {
        let mut packed = Vec::new();
        let limit = self.limits.zip;
        (&mut stream)
            .take(limit + 1)
            .read_to_end(&mut packed)
            .map_err(|error| self.error(error))?;
        if packed.len() as u64 > limit {
            return Err(ListError::TooLarge {
                place: self.place.to_owned(),
                limit,
            });
        }
        let damaged = |error: zip::result::ZipError| match error {
            zip::result::ZipError::Io(error) => self.error(error),
            error => ListError::Damaged {
                place: self.place.to_owned(),
                detail: error.to_string(),
            },
        };
        let mut archive = ZipArchive::new(Cursor::new(packed)).map_err(damaged)?;
        for index in 0..archive.len() {
            self.count_member()?;
            let file = archive
                .by_index(index)
                .map_err(|error| ListError::Damaged {
                    place: self.place.to_owned(),
                    detail: error.to_string(),
                })?;
            if !file.is_file() {
                continue;
            }
            let name = file
                .name()
                .map(|name| name.into_owned())
                .unwrap_or_default();
            let counted = Counted {
                inner: file,
                budget: Rc::clone(&self.budget),
            };
            self.open(Stream::new(counted), &join(path, &name), depth + 1)?;
        }
        Ok(())
    }

    fn link(&mut self, path: &str, target: &str, relative: bool) {
        let folder = path
            .trim_end_matches('/')
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        let target = if relative {
            join(folder, target)
        } else {
            target.to_owned()
        };
        self.links.push(Link {
            path: path.to_owned(),
            target,
        });
    }

    fn count_member(&mut self) -> Result<(), ListError> {
        self.members += 1;
        let limit = self.limits.members;
        if self.members > limit {
            return Err(ListError::TooMany {
                place: self.place.to_owned(),
                what: "files",
                limit,
            });
        }
        Ok(())
    }

    fn error(&self, error: io::Error) -> ListError {
        read_error(self.place, error)
    }
}

fn join(folder: &str, name: &str) -> String {
    let name = name.trim_start_matches("./").trim_end_matches('/');
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

enum Packing {
    None,
    Gzip,
    Xz,
    Zip,
    Tar,
    Unsupported(&'static str),
}

impl Packing {
    fn of(start: &[u8]) -> Self {
        const FOREIGN: [(&[u8], &str); 7] = [
            (b"\x28\xb5\x2f\xfd", "a zstd file"),
            (b"BZh", "a bzip2 file"),
            (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
            (b"Rar!\x1a\x07", "a RAR archive"),
            (b"\x1f\x9d", "a compress file"),
            (b"%PDF-", "a PDF document"),
            (b"\x7fELF", "a program"),
        ];
        if start.starts_with(b"\x1f\x8b") {
            Self::Gzip
        } else if start.starts_with(b"\xfd7zXZ\0") {
            Self::Xz
        } else if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
            Self::Zip
        } else if start.get(257..262) == Some(b"ustar") {
            Self::Tar
        } else {
            match FOREIGN.iter().find(|(magic, _)| start.starts_with(magic)) {
                Some((_, what)) => Self::Unsupported(what),
                None => Self::None,
            }
        }
    }
}

/// Bytes that all layers together may give out.
struct Budget {
    limit: u64,
    packed: u64,
    used: Cell<u64>,
}

#[derive(Debug, thiserror::Error)]
enum Over {
    #[error("over {0} bytes")]
    Limit(u64),
    #[error("over {RATIO} times its packed size")]
    Ratio,
}

struct Counted<R> {
    inner: R,
    budget: Rc<Budget>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        let used = self.budget.used.get().saturating_add(n as u64);
        self.budget.used.set(used);
        if used > self.budget.limit {
            return Err(io::Error::other(Over::Limit(self.budget.limit)));
        }
        if used > HARMLESS && used / RATIO > self.budget.packed {
            return Err(io::Error::other(Over::Ratio));
        }
        Ok(n)
    }
}
