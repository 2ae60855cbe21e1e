//! Host names of all categories, as they come from the lists: a few bytes
//! each, whatever their length.

use filter_ebpf::abi::{NAME_MAX, SUFFIXES, Secret};
use filter_ebpf::tables::hash::{self, NameHash};

use super::ImageError;

/// How far a listed name reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The host and everything below it.
    Subtree,
    /// This host only.
    Exact,
}

/// Names in any order, repeated at will; kept as hashes only (12 bytes each).
pub struct Names {
    secret: Secret,
    hash: fn(&Secret, &[u8]) -> NameHash,
    /// By the upper bits of the hash, so that each part sorts in the cache.
    parts: Vec<Vec<Entry>>,
}

/// One listed name: 64 bits of hash, 24 bits of another hash that tells
/// names apart whose hashes collide, 8 bits of category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    upper: u32,
    lower: u32,
    tag: u32,
}

const PART_BITS: u32 = 9;

impl Names {
    /// An empty collection, hashed under the box's secret.
    pub fn new(secret: &Secret) -> Self {
        Self::with_hash(secret, hash::listed)
    }

    /// Like [`Names::new`] with another hash, to force collisions in tests.
    pub(super) fn with_hash(secret: &Secret, hash: fn(&Secret, &[u8]) -> NameHash) -> Self {
        Self {
            secret: *secret,
            hash,
            parts: vec![Vec::new(); 1 << PART_BITS],
        }
    }

    /// Adds a name (lower case, punycode, no trailing dot) to a category.
    ///
    /// # Errors
    /// The name is empty or too long, a subtree lies deeper than the
    /// [`SUFFIXES`] labels that packets are judged by, or memory is out.
    pub fn add(&mut self, name: &str, category: u8, reach: Reach) -> Result<(), ImageError> {
        let bytes = name.as_bytes();
        let labels = 1 + bytes.iter().filter(|&&byte| byte == b'.').count();
        let deep = reach == Reach::Subtree && labels > SUFFIXES;
        if bytes.is_empty() || bytes.len() >= NAME_MAX || deep {
            return Err(ImageError::Name(name.to_owned()));
        }
        let hashed = (self.hash)(&self.secret, bytes);
        let (hash, kind) = match reach {
            Reach::Subtree => (hashed.subtree, 0),
            Reach::Exact => (hashed.exact, 1 << 31),
        };
        let entry = Entry {
            upper: (hash >> 32) as u32,
            lower: hash as u32,
            tag: (hashed.check & 0x7f_ffff) << 8 | kind | u32::from(category),
        };
        let part = &mut self.parts[(entry.upper >> (32 - PART_BITS)) as usize];
        if part.len() == part.capacity() {
            // A quarter more, not twice as much: all parts grow at once.
            part.try_reserve_exact(part.len() / 4 + 64)
                .map_err(|_| ImageError::Memory)?;
        }
        part.push(entry);
        Ok(())
    }

    /// Names added so far, repeats included.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").field("len", &self.len()).finish()
    }
}
