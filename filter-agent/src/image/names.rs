//! Host names of all categories, as they come from the lists: a few bytes
//! each, whatever their length.

use filter_ebpf::abi::{MAX_CATEGORIES, NAME_MAX, SUFFIXES, Secret};
use filter_ebpf::tables::hash::{self, NameHash};

use super::except::Mark;
use super::{ImageError, sets::Sets};

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
    pub(super) parts: Vec<Vec<Entry>>,
    /// The categories of all names, as a mask.
    categories: u64,
}

/// One listed name: 64 bits of hash; 1 bit for the reach and 23 bits of
/// another hash, which tell names apart whose hashes collide; 1 bit for a cut
/// and 6 bits of category (16 bits of set once merged).
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    upper: u32,
    lower: u32,
    tag: u32,
}

/// Hash, and the tag without its category: what is one name.
pub(super) type Key = (u64, u32);

/// The bits of an entry's tag that are no part of the name.
pub(super) const TAG_CATEGORY: u32 = 0xff;
/// The entry hides its category at less specific names, and lists nothing.
pub(super) const CUT: u32 = 0x80;

impl Entry {
    pub(super) fn new(hash: u64, tag: u32) -> Self {
        Self {
            upper: (hash >> 32) as u32,
            lower: hash as u32,
            tag,
        }
    }

    pub(super) fn hash(&self) -> u64 {
        u64::from(self.upper) << 32 | u64::from(self.lower)
    }

    pub(super) fn part_of(hash: u64) -> usize {
        (hash >> (64 - PART_BITS)) as usize
    }

    pub(super) fn key(&self) -> Key {
        (self.hash(), self.tag & !TAG_CATEGORY)
    }
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
            categories: 0,
        }
    }

    /// Adds a name (lower case, punycode, no trailing dot) to a category.
    ///
    /// # Errors
    /// The name is empty or too long, a subtree lies deeper than the
    /// [`SUFFIXES`] labels that packets are judged by, the category is beyond
    /// [`MAX_CATEGORIES`], or memory is out.
    pub fn add(&mut self, name: &str, category: u8, reach: Reach) -> Result<(), ImageError> {
        if usize::from(category) >= MAX_CATEGORIES {
            return Err(ImageError::Category {
                what: "a host name",
                category,
                categories: MAX_CATEGORIES as u8,
            });
        }
        let bytes = name.as_bytes();
        let labels = 1 + bytes.iter().filter(|&&byte| byte == b'.').count();
        let deep = reach == Reach::Subtree && labels > SUFFIXES;
        if bytes.is_empty() || bytes.len() >= NAME_MAX || deep {
            return Err(ImageError::Name(name.to_owned()));
        }
        self.push(self.entry(bytes, category, reach))?;
        self.categories |= 1 << category;
        Ok(())
    }

    /// Hash of the entry that means this host only.
    pub(super) fn exact(&self, name: &str) -> u64 {
        (self.hash)(&self.secret, name.as_bytes()).exact
    }

    pub(super) fn push(&mut self, entry: Entry) -> Result<(), ImageError> {
        let part = &mut self.parts[Entry::part_of(entry.hash())];
        if part.len() == part.capacity() {
            // A quarter more, not twice as much: all parts grow at once.
            part.try_reserve_exact(part.len() / 4 + 64)
                .map_err(|_| ImageError::Memory)?;
        }
        part.push(entry);
        Ok(())
    }

    pub(super) fn entry(&self, name: &[u8], category: u8, reach: Reach) -> Entry {
        let hashed = (self.hash)(&self.secret, name);
        let (hash, kind) = match reach {
            Reach::Subtree => (hashed.subtree, 0),
            Reach::Exact => (hashed.exact, 1 << 31),
        };
        let tag = (hashed.check & 0x7f_ffff) << 8 | kind | u32::from(category);
        Entry::new(hash, tag)
    }

    /// What was added until now, for a [`super::Listing`].
    pub fn mark(&self) -> Mark {
        Mark(self.parts.iter().map(Vec::len).collect())
    }

    /// Names added so far, repeats included.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A category of the names that is not below `categories`.
    pub(super) fn unknown_category(&self, categories: u8) -> Option<u8> {
        let beyond = u64::MAX.checked_shl(u32::from(categories)).unwrap_or(0);
        let unknown = self.categories & beyond;
        (unknown != 0).then(|| unknown.trailing_zeros() as u8)
    }

    /// One entry per hash with the set of all categories that list the name
    /// or end at it.
    pub(super) fn merge(mut self, sets: &mut Sets) -> Result<Merged, ImageError> {
        // Sets with exceptions are numbered after all others.
        let mut cuts = Vec::new();
        for part in &mut self.parts {
            part.sort_unstable_by_key(Entry::hash);
            let mut kept = 0;
            let mut next = 0;
            while let Some(&entry) = part.get(next) {
                let (mut mask, mut cut) = (0, 0);
                while let Some(same) = part.get(next).filter(|same| same.hash() == entry.hash()) {
                    if same.tag >> 8 != entry.tag >> 8 {
                        return Err(ImageError::Collision);
                    }
                    let category = 1u64 << (same.tag & 63);
                    match same.tag & CUT {
                        0 => mask |= category,
                        _ => cut |= category,
                    }
                    next += 1;
                }
                if cut != 0 {
                    cuts.push((entry.hash(), mask, cut));
                    continue;
                }
                part[kept] = Entry {
                    tag: u32::from(sets.intern(mask)?),
                    ..entry
                };
                kept += 1;
            }
            part.truncate(kept);
        }
        let cuts = cuts
            .into_iter()
            .map(|(hash, mask, cut)| Ok((hash, sets.intern_excepting(mask, cut)?)))
            .collect::<Result<_, ImageError>>()?;
        Ok(Merged {
            parts: self.parts,
            cuts,
        })
    }
}

/// Distinct hashes, each with its set.
pub(super) struct Merged {
    parts: Vec<Vec<Entry>>,
    /// Those with exceptions.
    cuts: Vec<(u64, u16)>,
}

impl Merged {
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(Vec::len).sum::<usize>() + self.cuts.len()
    }

    /// Hash and set; those without exceptions come sorted by hash.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u16)> {
        self.parts
            .iter()
            .flatten()
            .map(|entry| (entry.hash(), entry.tag as u16))
            .chain(self.cuts.iter().copied())
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").field("len", &self.len()).finish()
    }
}
