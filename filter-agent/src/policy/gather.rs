//! What a category holds, on its way into an image: the policy's own hosts
//! first, then list after list.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::image::{
    Exempted, ImageError, Listing, MAX_EXCEPTIONS, Names, RangeMark, Ranges, Reach,
};
use crate::lists::{IpRange, Options, Scope, Sink};
use crate::policy::{BareName, Category, ListSource, Policy};

/// A category being collected.
#[derive(Debug)]
pub struct Gather<'a> {
    category: u8,
    this: &'a Category,
    names: &'a mut Names,
    ranges: &'a mut Ranges,
    listings: Vec<Listing>,
    /// Of each listing.
    counts: Vec<LeftOut>,
    /// Names which the policy excepts with everything below.
    subtrees: HashSet<&'a str>,
    except_ranges: Vec<IpRange>,
    /// Where the ranges of the present list begin, and what it says does not
    /// belong to it.
    list_ranges: RangeMark,
    list_except_ranges: Vec<(IpAddr, IpAddr)>,
    failed: Option<ImageError>,
}

/// What of a list did not come into the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Names that the list or the policy excepts.
    pub excepted: u64,
    /// Ranges of which exceptions leave nothing.
    pub excepted_ranges: u64,
    /// Exceptions at and above which the list names nothing, or in which it
    /// holds no address.
    pub unmet: u64,
    /// Names with more labels than a packet is judged by.
    pub too_deep: u64,
}

impl<'a> Gather<'a> {
    /// Begins a category with the hosts that stand in the policy itself.
    ///
    /// # Errors
    /// There is no such category, or memory is out.
    pub fn new(
        policy: &'a Policy,
        category: u8,
        names: &'a mut Names,
        ranges: &'a mut Ranges,
    ) -> Result<Self, ImageError> {
        let this = policy.categories.get(usize::from(category)).ok_or({
            ImageError::Category {
                what: "a list",
                category,
                categories: policy.categories.len() as u8,
            }
        })?;
        let subtrees = this.except.iter().map(|entry| &entry.host);
        let own = Listing {
            from: names.mark(),
            exceptions: Vec::new(),
        };
        for entry in &this.hosts {
            names.add(&entry.host.name, category, entry.host.reach.into())?;
        }
        let list_ranges = ranges.mark();
        let nets = this.except_ranges.iter().map(|entry| entry.net.into());
        Ok(Self {
            category,
            this,
            names,
            ranges,
            listings: vec![own],
            counts: vec![LeftOut::default()],
            subtrees: subtrees
                .filter(|host| host.reach == BareName::Subtree)
                .map(|host| &*host.name)
                .collect(),
            except_ranges: nets.collect(),
            list_ranges,
            list_except_ranges: Vec::new(),
            failed: None,
        })
    }

    /// What comes next is of another list.
    pub fn next_list(&mut self) {
        self.end_list();
        self.listings.push(Listing {
            from: self.names.mark(),
            exceptions: Vec::new(),
        });
        self.counts.push(LeftOut::default());
    }

    /// A list's exceptions may stand before what they take out.
    fn end_list(&mut self) {
        let exceptions = std::mem::take(&mut self.list_except_ranges);
        let done = self.ranges.except(&self.list_ranges, &exceptions);
        self.count(|count| {
            count.excepted_ranges += done.taken_out;
            count.unmet += done.unmet;
        });
        self.list_ranges = self.ranges.mark();
    }

    /// Puts all exceptions in force; tells of each list what was left out.
    ///
    /// # Errors
    /// What went wrong first.
    pub fn finish(mut self) -> Result<Vec<LeftOut>, ImageError> {
        self.end_list();
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let everywhere: Vec<_> = self
            .this
            .except
            .iter()
            .map(|entry| (entry.host.name.clone(), entry.host.reach.into()))
            .collect();
        let done = self
            .names
            .except(self.category, &self.listings, &everywhere)?;
        let counts = self.counts.into_iter().zip(done);
        let left_out = counts.map(|(count, Exempted { names, unmet })| LeftOut {
            excepted: count.excepted + names,
            unmet: count.unmet + unmet,
            ..count
        });
        // The first one is the policy itself.
        Ok(left_out.skip(1).collect())
    }

    fn count(&mut self, add: impl FnOnce(&mut LeftOut)) {
        if let Some(count) = self.counts.last_mut() {
            add(count);
        }
    }

    fn keep(&mut self, result: Result<(), ImageError>) {
        match result {
            Ok(()) => {}
            Err(ImageError::Name(_)) => self.count(|count| count.too_deep += 1),
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }

    fn is_excepted(&self, name: &str) -> bool {
        if self.subtrees.is_empty() {
            return false;
        }
        let starts = name.match_indices('.').map(|(dot, _)| dot + 1);
        [0].into_iter()
            .chain(starts)
            .filter_map(|at| name.get(at..))
            .any(|suffix| self.subtrees.contains(suffix))
    }
}

impl Sink for Gather<'_> {
    fn name(&mut self, name: &[u8], scope: Scope, exception: bool) {
        let reach = match scope {
            Scope::Exact => Reach::Exact,
            Scope::Subtree => Reach::Subtree,
        };
        let Ok(name) = str::from_utf8(name) else {
            return;
        };
        if exception {
            // It may stand before what it excepts.
            if let Some(list) = self.listings.last_mut() {
                list.exceptions.push((name.to_owned(), reach));
            }
            return;
        }
        if self.is_excepted(name) {
            return self.count(|count| count.excepted += 1);
        }
        let result = self.names.add(name, self.category, reach);
        self.keep(result);
    }

    fn range(&mut self, range: IpRange, exception: bool) {
        if exception {
            let count = self.list_except_ranges.len() + 1;
            if count <= MAX_EXCEPTIONS {
                let ends = (range.first(), range.last());
                return self.list_except_ranges.push(ends);
            }
            return self.keep(Err(ImageError::TooMany {
                what: "exceptions of a category",
                count: count as u64,
                max: MAX_EXCEPTIONS as u64,
            }));
        }
        let mut pieces = 0;
        for piece in range.without_all(&self.except_ranges) {
            let result = self.ranges.add(piece.first(), piece.last(), self.category);
            self.keep(result);
            pieces += 1;
        }
        if pieces == 0 {
            self.count(|count| count.excepted_ranges += 1);
        }
    }
}

impl ListSource {
    /// How the list is read.
    pub fn options(&self, policy: &Policy) -> Options {
        Options {
            format: self.format,
            scope: self.bare.map(|bare| match bare {
                BareName::Host => Scope::Exact,
                BareName::Subtree => Scope::Subtree,
            }),
            members: self.member.iter().cloned().collect(),
            force_suffixes: self.force,
            own: policy.network.own.clone(),
            ..Options::default()
        }
    }
}
