//! A policy as it would judge a capture, without an agent.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::build::{Place, build, copies};
use super::doors::{Holds, doors};
use super::explain::moment;
use super::page::page;
use crate::calendar::access::Clock;
use crate::control::{Code, Failure};
use crate::kernel::{Contents, fresh_secret};
use crate::policy::Policy;
use crate::replay::{Capture, CaptureError, Judged, Options, Replay, ReplayError};
use crate::words::{Message, Said};

/// Judges a capture by a policy and its lists; `each` gets every frame.
///
/// # Errors
/// A policy or list that cannot be compiled, an unknown room, a kernel that
/// refuses the image; and, after the frames before it, where a capture is
/// cut off or corrupt.
pub(crate) fn rehearse(
    policy: &Policy,
    capture: &Path,
    untagged: Option<&str>,
    at: Option<&str>,
    mut each: impl FnMut(&Judged) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let internal = |error: &dyn std::fmt::Display| Failure::new(Code::Internal, error.to_string());
    let at = at.map(|text| moment(policy, text)).transpose()?;
    let untagged = match untagged {
        Some(name) => Some(policy.room(name).ok_or_else(|| {
            Failure::not_found(
                Said::new(Message::NoSuchRoom)
                    .with("room", name)
                    .with("rooms", policy.rooms_as_typed()),
            )
        })? as u32),
        None => None,
    };
    let capture = Capture::open(capture).map_err(|error| unreadable(&error))?;
    let secret = fresh_secret().map_err(|error| internal(&error))?;
    let now = at.unwrap_or_else(Timestamp::now);
    let place = Place {
        generation: 1,
        // The replay makes one of all interfaces; only their number counts.
        links: (1..=policy.network.lan.len().max(1) as u32).collect(),
        secret: &secret,
        copies: &copies(&policy.settings.state)?,
    };
    let image = build(policy, place, now, false)?.image;
    let groups: Vec<u16> = image.rooms.iter().map(|room| room.group).collect();
    let doors_at = |unix: u64| {
        let wall = Timestamp::UNIX_EPOCH
            .checked_add(Duration::from_nanos(unix))
            .unwrap_or(Timestamp::MAX);
        let clock = Clock {
            wall,
            monotonic: unix,
        };
        doors(policy, &groups, &Holds::default(), clock)
    };
    let first = doors_at(now.as_nanosecond().max(0) as u64);
    let response = page(policy.settings.contact.as_deref());
    let contents = Contents::new(&image, &first, &response).map_err(|error| internal(&error))?;
    let options = Options {
        untagged,
        strict: false,
        at: at.map(|at| at.as_nanosecond().max(0) as u64),
        subnets: policy
            .rooms
            .iter()
            .flat_map(|room| room.subnets.iter().copied())
            .collect(),
        doors: Box::new(doors_at),
    };
    let replay =
        Replay::new(capture, contents, &secret, options).map_err(|error| internal(&error))?;
    for judged in replay {
        let judged = judged.map_err(|error| match &error {
            ReplayError::Capture(capture) => unreadable(capture),
            _ => internal(&error),
        })?;
        each(&judged)?;
    }
    Ok(())
}

fn unreadable(error: &CaptureError) -> Failure {
    Failure::bad_request(error.to_string())
}
