//! The lab itself, without a filter.

use anyhow::Result;
use filter_tests::lab::Lab;
use filter_tests::reach;

#[test]
fn every_room_reaches_every_server() -> Result<()> {
    reach::everywhere(&Lab::new(&reach::ROOMS)?)
}
