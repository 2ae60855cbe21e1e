//! The lab itself, without a filter.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use filter_tests::lab::{Lab, SERVERS};
use filter_tests::reach;
use filter_tests::stream::Stream;

#[test]
fn every_room_reaches_every_server() -> Result<()> {
    reach::everywhere(&Lab::new(&reach::ROOMS)?)
}

/// What the bell's tests rely on: without a filter nothing stops a stream.
#[test]
fn a_stream_goes_on_in_both_directions() -> Result<()> {
    let lab = Lab::new(&reach::ROOMS)?;
    let server = SocketAddr::new(SERVERS[0], 8080);
    let stream = Stream::start(&lab, lab.room("double-tagged")?, server, "example.org")?;
    thread::sleep(Duration::from_secs(2));
    let (down, up) = stream.bytes();
    assert!(stream.flows(Duration::from_millis(100)), "{stream:?}");
    assert!(down > 100_000 && up > 100_000, "{down} down, {up} up");
    Ok(())
}
