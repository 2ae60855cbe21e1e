//! Which entries of the policy and its lists speak about a destination, with
//! the list and the line. Exceptions mean what they mean to an image
//! (`crate::image::Names::except`).

use std::net::IpAddr;

use super::below;
use crate::daemon::build;
use crate::explain::Match;
use crate::image::Reach;
use crate::lists::{self, Name, Question, Scope, Source, update};
use crate::policy::{BareName, Category, InlineHost, ListSource, Policy};

/// Lines of one list that are looked at.
const MAX_MATCHES: usize = 64;

/// Who is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) host: Option<&'a str>,
    pub(super) addresses: &'a [IpAddr],
}

/// An entry that speaks about the destination.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) category: usize,
    /// `None` for a range.
    pub(super) name: Option<Rank>,
    pub(super) list: String,
    pub(super) line: usize,
    pub(super) entry: String,
}

/// How specific an entry is: its labels, and whether it means its host only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    labels: usize,
    exact: bool,
}

impl Rank {
    fn new(name: &str, exact: bool) -> Self {
        Self {
            labels: name.split('.').count(),
            exact,
        }
    }

    /// Whether an exception takes this entry of the same list out.
    fn is_taken_out_by(self, exception: Self) -> bool {
        self.labels == exception.labels && (self.exact || !exception.exact)
    }
}

/// What one list says about the destination.
#[derive(Default)]
struct Found {
    names: Vec<Hit>,
    ranges: Vec<Hit>,
    exceptions: Vec<Rank>,
}

impl Found {
    /// Whether the most specific entry is a listing.
    fn holds(&self) -> bool {
        let excepted = self.exceptions.iter().map(|rank| rank.labels).max();
        let listed = self.names.iter().filter_map(|hit| hit.name);
        listed.map(|rank| rank.labels).max() > excepted
    }

    /// The listings that no exception takes out.
    fn kept(self) -> impl Iterator<Item = Hit> {
        let Self {
            names, exceptions, ..
        } = self;
        names.into_iter().filter(move |hit| {
            let taken_out = |rank: Rank| exceptions.iter().any(|by| rank.is_taken_out_by(*by));
            hit.name.is_some_and(|rank| !taken_out(rank))
        })
    }
}

/// Every entry that puts the destination into a category.
pub(super) fn hits(policy: &Policy, copies: &update::Store, target: Target<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (number, category) in policy.categories.iter().enumerate() {
        let excepted = excepted(category, target);
        let mut found = vec![inline(policy, number, category, target)];
        for source in &category.lists {
            let mut list = list(policy, copies, number, source, target);
            // What the policy excepts with everything below is not read.
            let subtree = excepted.iter().filter(|rank| !rank.exact);
            let from = subtree.map(|rank| rank.labels).min().unwrap_or(usize::MAX);
            list.names
                .retain(|hit| hit.name.is_none_or(|rank| rank.labels < from));
            let mut nets = category.except_ranges.iter();
            if nets.any(|except| target.addresses.iter().any(|a| except.net.contains(a))) {
                list.ranges.clear();
            }
            found.push(list);
        }
        for list in &mut found {
            list.exceptions.extend(&excepted);
            hits.append(&mut list.ranges);
        }
        if found.iter().any(Found::holds) {
            hits.extend(found.into_iter().flat_map(Found::kept));
        }
    }
    hits
}

/// The names as an image would show them, the most specific first.
pub(super) fn matches<'h>(hits: &[Hit], host: &'h str) -> Vec<Match<'h>> {
    let mut ranked: Vec<(Rank, u64)> = hits
        .iter()
        .filter_map(|hit| Some((hit.name?, mask(hit))))
        .collect();
    ranked.sort_unstable_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    let labels = host.split('.').count();
    let mut matches: Vec<(Rank, Match<'h>)> = Vec::new();
    for (rank, mask) in ranked {
        if let Some((_, found)) = matches.last_mut().filter(|(last, _)| *last == rank) {
            found.mask |= mask;
            continue;
        }
        let mut name = host;
        for _ in rank.labels..labels {
            name = name.split_once('.').map_or(name, |(_, rest)| rest);
        }
        let reach = if rank.exact {
            Reach::Exact
        } else {
            Reach::Subtree
        };
        matches.push((rank, Match { name, reach, mask }));
    }
    matches.into_iter().map(|(_, found)| found).collect()
}

/// The categories of the ranges among the hits, as a mask.
pub(super) fn range_mask(hits: &[Hit]) -> u64 {
    let ranges = hits.iter().filter(|hit| hit.name.is_none());
    ranges.fold(0, |all, hit| all | mask(hit))
}

fn mask(hit: &Hit) -> u64 {
    1 << hit.category.min(63)
}

fn excepted(category: &Category, target: Target<'_>) -> Vec<Rank> {
    let matching = category
        .except
        .iter()
        .filter_map(|entry| rank(entry, target));
    matching.collect()
}

/// How specific an entry of the policy is, if it means the host.
fn rank(entry: &InlineHost, target: Target<'_>) -> Option<Rank> {
    let (host, name) = (target.host?, &entry.host.name);
    let exact = entry.host.reach == BareName::Host;
    let means = if exact {
        host == name
    } else {
        below(host, name)
    };
    means.then(|| Rank::new(name, exact))
}

fn inline(policy: &Policy, number: usize, category: &Category, target: Target<'_>) -> Found {
    let hit = |name, line, entry| Hit {
        category: number,
        name,
        list: policy.path.display().to_string(),
        line,
        entry,
    };
    let names = category.hosts.iter().filter_map(|entry| {
        let rank = rank(entry, target)?;
        Some(hit(Some(rank), entry.line, entry.host.name.clone()))
    });
    let ranges = category.ranges.iter().filter(|entry| {
        let mut addresses = target.addresses.iter();
        addresses.any(|address| entry.net.contains(address))
    });
    Found {
        names: names.collect(),
        ranges: ranges
            .map(|entry| hit(None, entry.line, entry.net.to_string()))
            .collect(),
        exceptions: Vec::new(),
    }
}

fn list(
    policy: &Policy,
    copies: &update::Store,
    category: usize,
    source: &ListSource,
    target: Target<'_>,
) -> Found {
    let location = build::location(policy, source);
    let direct = build::direct(policy, source);
    let copy = match &direct {
        Some(_) => None,
        None => {
            let name = build::subscription(policy, source).name;
            copies.copy(&name).ok().flatten()
        }
    };
    let from = match (&direct, &copy) {
        (Some(path), _) => Source::File(path),
        (None, Some(copy)) => copy.source(),
        // There never was a copy, so nothing of it is in the image.
        (None, None) => return Found::default(),
    };
    let name = target
        .host
        .and_then(|host| Name::parse(host.as_bytes()).ok());
    let addresses = target.addresses.iter().copied().map(Question::Address);
    let questions = name.as_ref().map(Question::Name).into_iter();
    let options = source.options(policy);
    let mut all = Found::default();
    for question in questions.chain(addresses) {
        let lines = lists::find(&from, &options, question, MAX_MATCHES).unwrap_or_default();
        let (ranges_before, mut excepted_here) = (all.ranges.len(), false);
        for line in lines {
            let rank = line
                .scope
                .map(|scope| Rank::new(&line.entry, scope == Scope::Exact));
            if line.exception {
                match rank {
                    Some(rank) => all.exceptions.push(rank),
                    None => excepted_here = true,
                }
                continue;
            }
            let list = if line.file.is_empty() {
                location.clone()
            } else {
                format!("{location}!{}", line.file)
            };
            let into = match rank {
                Some(_) => &mut all.names,
                None => &mut all.ranges,
            };
            into.push(Hit {
                category,
                name: rank,
                list,
                line: line.line as usize,
                entry: line.entry,
            });
        }
        // An exception takes the address out of its own list.
        if excepted_here {
            all.ranges.truncate(ranges_before);
        }
    }
    all
}
