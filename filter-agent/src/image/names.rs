//! Host names of all categories, as they come from the lists: a few bytes
//! each, whatever their length.

use filter_ebpf::abi::{MAX_CATEGORIES, NAME_MAX, SUFFIXES, Secret};
use filter_ebpf::tables::hash::{self, NameHash};

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
    parts: Vec<Vec<Entry>>,
    /// The categories of all names, as a mask.
    categories: u64,
}

/// One listed name: 64 bits of hash; 1 bit for the reach and 23 bits of
/// another hash, which tell names apart whose hashes collide; 8 bits of
/// category (16 bits of set once merged).
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    upper: u32,
    lower: u32,
    tag: u32,
}

impl Entry {
    fn hash(&self) -> u64 {
        u64::from(self.upper) << 32 | u64::from(self.lower)
    }

    fn part(&self) -> usize {
        (self.upper >> (32 - PART_BITS)) as usize
    }

    fn key(&self) -> (u64, u32) {
        (self.hash(), self.tag)
    }
}

const PART_BITS: u32 = 9;

/// A moment of a collection.
#[derive(Debug)]
pub struct Mark(Vec<usize>);

/// What exceptions did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exempted {
    /// Entries taken out.
    pub names: u64,
    /// Exceptions that met no entry of the same name.
    pub unmet: u64,
}

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
        let entry = self.entry(bytes, category, reach);
        let part = &mut self.parts[entry.part()];
        if part.len() == part.capacity() {
            // A quarter more, not twice as much: all parts grow at once.
            part.try_reserve_exact(part.len() / 4 + 64)
                .map_err(|_| ImageError::Memory)?;
        }
        part.push(entry);
        self.categories |= 1 << category;
        Ok(())
    }

    fn entry(&self, name: &[u8], category: u8, reach: Reach) -> Entry {
        let hashed = (self.hash)(&self.secret, name);
        let (hash, kind) = match reach {
            Reach::Subtree => (hashed.subtree, 0),
            Reach::Exact => (hashed.exact, 1 << 31),
        };
        Entry {
            upper: (hash >> 32) as u32,
            lower: hash as u32,
            tag: (hashed.check & 0x7f_ffff) << 8 | kind | u32::from(category),
        }
    }

    /// What was added until now, for [`Names::except`].
    pub fn mark(&self) -> Mark {
        Mark(self.parts.iter().map(Vec::len).collect())
    }

    /// Takes out of what was added to `category` since `mark` the names that
    /// a list lets off itself: with [`Reach::Exact`] the entry of that host
    /// alone, with [`Reach::Subtree`] both. Names above and below stay.
    pub fn except(
        &mut self,
        mark: &Mark,
        category: u8,
        exceptions: &[(String, Reach)],
    ) -> Exempted {
        // Sorted, each with the number of its exception and whether it took
        // something out: a list may hold as many exceptions as names.
        let mut wanted = Vec::new();
        for (number, (name, reach)) in exceptions.iter().enumerate() {
            let reaches: &[Reach] = match reach {
                Reach::Exact => &[Reach::Exact],
                Reach::Subtree => &[Reach::Exact, Reach::Subtree],
            };
            for reach in reaches {
                let entry = self.entry(name.as_bytes(), category, *reach);
                wanted.push((entry.key(), number));
            }
        }
        wanted.sort_unstable();
        let mut met = vec![false; exceptions.len()];
        let mut names = 0;
        for (part, &from) in self.parts.iter_mut().zip(&mark.0) {
            let mut at = 0;
            part.retain(|entry| {
                at += 1;
                if at <= from {
                    return true;
                }
                let key = entry.key();
                let first = wanted.partition_point(|(wanted, _)| *wanted < key);
                let same = wanted.get(first..).unwrap_or(&[]);
                let mut stays = true;
                for (_, number) in same.iter().take_while(|(wanted, _)| *wanted == key) {
                    met[*number] = true;
                    stays = false;
                }
                names += u64::from(!stays);
                stays
            });
        }
        Exempted {
            names,
            unmet: met.iter().filter(|met| !**met).count() as u64,
        }
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

    /// One entry per hash, sorted by it, with the set of all categories that
    /// list the name.
    pub(super) fn merge(mut self, sets: &mut Sets) -> Result<Merged, ImageError> {
        for part in &mut self.parts {
            part.sort_unstable_by_key(Entry::hash);
            let mut kept = 0;
            let mut next = 0;
            while let Some(&entry) = part.get(next) {
                let mut mask = 0;
                while let Some(same) = part.get(next).filter(|same| same.hash() == entry.hash()) {
                    if same.tag >> 8 != entry.tag >> 8 {
                        return Err(ImageError::Collision);
                    }
                    mask |= 1u64 << (same.tag & 63);
                    next += 1;
                }
                part[kept] = Entry {
                    tag: u32::from(sets.intern(mask)?),
                    ..entry
                };
                kept += 1;
            }
            part.truncate(kept);
        }
        Ok(Merged(self.parts))
    }
}

/// Distinct hashes, each with its set.
pub(super) struct Merged(Vec<Vec<Entry>>);

impl Merged {
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Hash and set, sorted by hash.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u16)> {
        self.0
            .iter()
            .flatten()
            .map(|entry| (entry.hash(), entry.tag as u16))
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").field("len", &self.len()).finish()
    }
}
