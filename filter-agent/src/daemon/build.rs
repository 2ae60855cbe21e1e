//! From a policy and its lists to an image.

use std::path::Path;

use filter_ebpf::abi;
use indicatif::ProgressBar;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::control::api::List;
use crate::control::{Code, Failure};
use crate::image::{Image, ImageError, Input, Names, Ranges};
use crate::lists::update::{self, Store, Subscription, Trust};
use crate::lists::{self, Report, Sink, Source};
use crate::policy::{Gather, ListFrom, ListSource, Policy};

/// An image and what its lists held.
pub(super) struct Built {
    pub(super) image: Image,
    pub(super) lists: Vec<List>,
}

/// Where the image goes.
pub(super) struct Place<'a> {
    pub(super) generation: u32,
    /// Interface indices of the LAN side.
    pub(super) links: Vec<u32>,
    pub(super) secret: &'a abi::Secret,
    /// The last good copies of lists.
    pub(super) copies: &'a Store,
}

/// Reads the policy's lists and builds the image.
///
/// # Errors
/// A list that cannot be read, or an image out of its bounds. With `lenient`
/// a list that is missing is left out and said so in its line of
/// [`Built::lists`]: on a start a filter without one list is better than
/// none.
pub(super) fn build(
    policy: &Policy,
    place: Place<'_>,
    now: Timestamp,
    lenient: bool,
) -> Result<Built, Failure> {
    let wrong = |error: ImageError| Failure::new(Code::PolicyError, error.to_string());
    let mut names = Names::new(place.secret);
    let mut ranges = Ranges::default();
    policy.inline_ranges(&mut ranges).map_err(wrong)?;
    let mut lists = Vec::new();
    for (number, category) in (0_u8..).zip(&policy.categories) {
        let mut gather = Gather::new(policy, number, &mut names, &mut ranges).map_err(wrong)?;
        let mut reads = Vec::new();
        for source in &category.lists {
            gather.next_list();
            match read(policy, source, &place, lenient, &mut gather) {
                Err(problem) if !lenient => {
                    return Err(Failure::new(
                        Code::PolicyError,
                        format!(
                            "{}:{}: category {}: {problem}",
                            policy.path.display(),
                            source.line,
                            category.name
                        ),
                    ));
                }
                read => reads.push((source, read)),
            }
        }
        for ((source, read), left_out) in reads.into_iter().zip(gather.finish().map_err(wrong)?) {
            let mut line = List {
                category: category.name.clone(),
                source: location(policy, source),
                updated: None,
                hosts: 0,
                ranges: 0,
                ignored: 0,
                problem: None,
            };
            match read {
                Ok((report, updated)) => {
                    let missing = left_out.excepted + left_out.too_deep;
                    line.updated = updated;
                    line.hosts = report.names.saturating_sub(missing);
                    line.ranges = report.ranges.saturating_sub(left_out.excepted_ranges);
                    line.ignored = report.ignored.iter().map(|kind| kind.count).sum::<u64>()
                        + left_out.unmet
                        + left_out.too_deep;
                }
                Err(problem) => line.problem = Some(problem),
            }
            lists.push(line);
        }
    }
    let image = Image::build(Input {
        generation: place.generation,
        links: place.links,
        unknown_vlan: policy.network.unknown_vlan,
        when_stale: policy.network.when_stale,
        trace: false,
        hello_cap: policy.network.hello_cap,
        quic_budget: policy.network.quic_budget,
        groups: policy.image_groups(now),
        rooms: policy.image_rooms(now),
        categories: policy.categories.len() as u8,
        names,
        ranges,
        safe_search: policy.image_safe_search(),
    })
    .map_err(wrong)?;
    Ok(Built { image, lists })
}

/// What was read of a list, and when its copy is from.
type Read = (Report, Option<Timestamp>);

fn read<S: Sink>(
    policy: &Policy,
    source: &ListSource,
    place: &Place<'_>,
    lenient: bool,
    sink: &mut S,
) -> Result<Read, String> {
    let options = source.options(policy);
    if let Some(path) = direct(policy, source) {
        let report = lists::import(&Source::File(&path), &options, sink)
            .map_err(|error| error.to_string())?;
        let written = std::fs::metadata(&path)
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|time| Timestamp::try_from(time).ok());
        return Ok((report, written));
    }
    let subscription = subscription(policy, source);
    let copy = || {
        place
            .copies
            .copy(&subscription.name)
            .map_err(|error| error.to_string())
    };
    let mut kept = copy()?;
    if kept.is_none() && !lenient {
        // The first time the list is needed at once; a start does not wait
        // for a network that may not be there.
        fetch(place.copies, &subscription, false)?;
        kept = copy()?;
    }
    let kept = kept.ok_or("there is no copy yet; it is fetched as soon as the network is up")?;
    let report =
        lists::import(&kept.source(), &options, sink).map_err(|error| error.to_string())?;
    let meta = place
        .copies
        .meta(&subscription.name)
        .map_err(|error| error.to_string())?;
    let checked = meta.and_then(|meta| Timestamp::from_second(meta.checked_at as i64).ok());
    Ok((report, checked))
}

/// Fetches a list into the folder of good copies; tells whether it is new.
///
/// # Errors
/// Why the old copy stayed.
pub(super) fn fetch(
    copies: &Store,
    subscription: &Subscription,
    force: bool,
) -> Result<bool, String> {
    let now = Timestamp::now().as_second().max(0) as u64;
    let hidden = ProgressBar::hidden();
    match update::update(copies, subscription, force, now, &hidden) {
        Ok(update::Outcome::Updated(_)) => Ok(true),
        Ok(update::Outcome::Current(_)) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

/// The list as something that is kept up to date.
pub(super) fn subscription(policy: &Policy, source: &ListSource) -> Subscription {
    let location = location(policy, source);
    let digest = Sha256::digest(format!("{location} {:?}", source.member).as_bytes());
    let name: String = digest
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut subscription = Subscription::new(name, location);
    subscription.options = source.options(policy);
    subscription.proxy = policy.settings.lists_proxy.clone();
    subscription.max_bytes = policy.settings.lists_max;
    subscription.trust = match (&source.sha256, &source.minisign) {
        (Some(digest), _) => Trust::Sha256(digest.clone()),
        (None, Some(key)) => Trust::Minisign {
            public_key: key.clone(),
            signature: None,
        },
        (None, None) => Trust::None,
    };
    subscription
}

/// The path of a list that is read where it lies: a file without a checksum
/// or signature.
pub(super) fn direct(policy: &Policy, source: &ListSource) -> Option<std::path::PathBuf> {
    match &source.from {
        ListFrom::File(path) if source.sha256.is_none() && source.minisign.is_none() => {
            Some(policy.folder().join(path))
        }
        _ => None,
    }
}

/// The list as messages name it.
pub(super) fn location(policy: &Policy, source: &ListSource) -> String {
    match &source.from {
        ListFrom::File(path) => policy.folder().join(path).display().to_string(),
        ListFrom::Url(url) => url.clone(),
    }
}

/// The folder of good copies.
///
/// # Errors
/// When it cannot be made.
pub(super) fn copies(state: &Path) -> Result<Store, Failure> {
    Store::open(state.join("lists"))
        .map_err(|error| Failure::new(Code::Internal, error.to_string()))
}

#[cfg(test)]
mod tests;
