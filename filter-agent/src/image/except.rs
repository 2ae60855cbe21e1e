//! Exceptions: names that a list lets off itself, below what it lists.
//!
//! Of each list the most specific entry speaks, an exception before a listing
//! of the same name; a category holds a name as long as one of its lists
//! does. What that means below a listed name is found out here, once: where
//! the last list lets go, the name gets a *cut*, which hides the category at
//! every less specific name (`filter_ebpf::tables::sets`). A packet costs no
//! look-up more than without exceptions.

use filter_ebpf::abi::SUFFIXES;

use super::names::{CUT, Entry, Key, Names, TAG_CATEGORY};
use super::{ImageError, Reach};

/// Exceptions of one category: of each list and for all of them.
pub const MAX_EXCEPTIONS: usize = 1 << 20;
/// Lists of one category: a bit each.
const MAX_LISTS: usize = u128::BITS as usize;

/// A moment of a collection.
#[derive(Debug)]
pub struct Mark(pub(super) Vec<usize>);

/// One list of a category: what was added since `from`, up to the next one.
#[derive(Debug)]
pub struct Listing {
    pub from: Mark,
    /// Names that the list lets off itself.
    pub exceptions: Vec<(String, Reach)>,
}

/// What the exceptions of a list did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exempted {
    /// Entries of the list that were taken out.
    pub names: u64,
    /// Exceptions at and above which the list names nothing.
    pub unmet: u64,
}

#[derive(Clone, Copy)]
struct Exception<'a> {
    /// `None`: of every list.
    list: Option<usize>,
    name: &'a str,
    reach: Reach,
}

impl Exception<'_> {
    /// The lists that it holds for, a bit each.
    fn lists(&self) -> u128 {
        self.list.map_or(u128::MAX, |list| 1 << list)
    }
}

/// What the lists say about the keys that exceptions turn on; a bit a list.
struct Table {
    keys: Vec<Key>,
    listed: Vec<u128>,
    excepted: Vec<u128>,
}

impl Table {
    fn at(&self, key: Key) -> Option<usize> {
        self.keys.binary_search(&key).ok()
    }

    fn listed(&self, key: Key) -> u128 {
        let at = self.at(key);
        at.and_then(|at| self.listed.get(at))
            .map_or(0, |&bits| bits)
    }

    fn excepted(&self, key: Key) -> u128 {
        let at = self.at(key);
        at.and_then(|at| self.excepted.get(at))
            .map_or(0, |&bits| bits)
    }
}

/// The keys of a name that an exception may turn on.
struct Levels {
    exact: Key,
    /// The name as a subtree and what lies above, the most specific first; no
    /// more labels than a packet is asked by.
    subtrees: Vec<Key>,
    /// Whether the name itself is the first of them.
    whole: bool,
}

impl Names {
    /// Puts the exceptions of a category's lists in force. `listings` are all
    /// its lists, in the order in which they were added, `everywhere` the
    /// exceptions that hold for each of them. Nothing but this category may
    /// have been added since the first mark.
    ///
    /// # Errors
    /// More than [`MAX_EXCEPTIONS`], more than 128 lists, or memory is out.
    pub fn except(
        &mut self,
        category: u8,
        listings: &[Listing],
        everywhere: &[(String, Reach)],
    ) -> Result<Vec<Exempted>, ImageError> {
        let mut done = vec![Exempted::default(); listings.len()];
        let own: usize = listings.iter().map(|list| list.exceptions.len()).sum();
        let count = own + everywhere.len();
        if count == 0 {
            return Ok(done);
        }
        for (what, count, max) in [
            ("exceptions of a category", count, MAX_EXCEPTIONS),
            ("lists of a category", listings.len(), MAX_LISTS),
        ] {
            if count > max {
                return Err(ImageError::TooMany {
                    what,
                    count: count as u64,
                    max: max as u64,
                });
            }
        }
        let of_lists = listings.iter().enumerate().flat_map(|(number, list)| {
            let exceptions = list.exceptions.iter();
            exceptions.map(move |(name, reach)| Exception {
                list: Some(number),
                name,
                reach: *reach,
            })
        });
        let of_all = everywhere.iter().map(|(name, reach)| Exception {
            list: None,
            name,
            reach: *reach,
        });
        let exceptions: Vec<_> = of_lists.chain(of_all).collect();
        let mut table = self.table(&exceptions);
        self.take_out(listings, &mut table, &mut done);
        self.cut(category, &exceptions, &table, &mut done)?;
        Ok(done)
    }

    /// Every key that an exception may turn on, with who excepts it.
    fn table(&self, exceptions: &[Exception<'_>]) -> Table {
        let mut keys = Vec::new();
        for exception in exceptions {
            let levels = self.levels(exception.name);
            keys.push(levels.exact);
            keys.extend(levels.subtrees);
        }
        keys.sort_unstable();
        keys.dedup();
        let mut table = Table {
            listed: vec![0; keys.len()],
            excepted: vec![0; keys.len()],
            keys,
        };
        for exception in exceptions {
            let levels = self.levels(exception.name);
            let own = levels.subtrees.first().filter(|_| levels.whole);
            let below = own.filter(|_| exception.reach == Reach::Subtree);
            for key in [Some(&levels.exact), below].into_iter().flatten() {
                if let Some(at) = table.at(*key) {
                    table.excepted[at] |= exception.lists();
                }
            }
        }
        table
    }

    /// Notes which list names which key, and takes out what a list names and
    /// excepts at once.
    fn take_out(&mut self, listings: &[Listing], table: &mut Table, done: &mut [Exempted]) {
        let mut start = 0;
        for (number, part) in self.parts.iter_mut().enumerate() {
            let part_of = |key: &Key| Entry::part_of(key.0) <= number;
            let end = start + table.keys[start..].partition_point(part_of);
            let keys = &table.keys[start..end];
            let mut marks = listings.iter().map(|list| list.from.0[number]);
            let mut next = marks.next().unwrap_or(usize::MAX);
            let (mut list, mut at) = (None, 0);
            part.retain(|entry| {
                // Lists may be empty.
                while at >= next {
                    list = Some(list.map_or(0, |list| list + 1));
                    next = marks.next().unwrap_or(usize::MAX);
                }
                at += 1;
                let Some(list) = list else { return true };
                let Ok(found) = keys.binary_search(&entry.key()) else {
                    return true;
                };
                table.listed[start + found] |= 1 << list;
                let stays = table.excepted[start + found] & (1 << list) == 0;
                done[list].names += u64::from(!stays);
                stays
            });
            start = end;
        }
    }

    /// Adds a cut where no list of the category holds a name any more.
    fn cut(
        &mut self,
        category: u8,
        exceptions: &[Exception<'_>],
        table: &Table,
        done: &mut [Exempted],
    ) -> Result<(), ImageError> {
        for exception in exceptions {
            let levels = self.levels(exception.name);
            let own = levels.subtrees.first().filter(|_| levels.whole);
            let own_listed = own.map_or(0, |&own| table.listed(own));
            let exact_listed = table.listed(levels.exact);
            let above = levels.subtrees.get(usize::from(levels.whole)..);
            let above = above.unwrap_or(&[]);
            let above_listed = above.iter().fold(0, |all, &key| all | table.listed(key));
            let any = above_listed | own_listed | exact_listed;
            if let Some(list) = exception.list
                && any & exception.lists() == 0
            {
                done[list].unmet += 1;
            }
            let (point, decided, listed, hides) = match (exception.reach, own) {
                (Reach::Exact, _) => (
                    levels.exact,
                    table.excepted(levels.exact),
                    own_listed | exact_listed,
                    above_listed | own_listed,
                ),
                (Reach::Subtree, Some(&own)) => {
                    (own, table.excepted(own), own_listed, above_listed)
                }
                (Reach::Subtree, None) => continue,
            };
            let mut decided = decided;
            let mut holding = listed & !decided;
            decided |= listed;
            for &key in above {
                decided |= table.excepted(key);
                holding |= table.listed(key) & !decided;
                decided |= table.listed(key);
            }
            if holding == 0 && hides != 0 {
                self.push(Entry::new(point.0, point.1 | CUT | u32::from(category)))?;
            }
        }
        Ok(())
    }

    fn levels(&self, name: &str) -> Levels {
        let key = |name: &str, reach| {
            let entry = self.entry(name.as_bytes(), 0, reach);
            (entry.hash(), entry.key().1 & !TAG_CATEGORY)
        };
        let starts = name.match_indices('.').map(|(dot, _)| dot + 1);
        let suffixes: Vec<&str> = [0]
            .into_iter()
            .chain(starts)
            .map(|at| &name[at..])
            .collect();
        let deep = suffixes.len().saturating_sub(SUFFIXES);
        Levels {
            exact: key(name, Reach::Exact),
            subtrees: suffixes[deep..]
                .iter()
                .map(|suffix| key(suffix, Reach::Subtree))
                .collect(),
            whole: deep == 0,
        }
    }
}
