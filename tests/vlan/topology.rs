//! The lab itself, without a filter, on a router with VLAN devices.

use anyhow::Result;
use filter_tests::lab::{Lab, Untagging, has_vlan_devices};
use filter_tests::reach;
use filter_tests::skip::skip;

#[test]
fn every_room_reaches_every_server() -> Result<()> {
    if !has_vlan_devices()? {
        skip("vlan::topology", "this kernel has no 8021q devices");
        return Ok(());
    }
    reach::everywhere(&Lab::with(Untagging::Devices, &reach::ROOMS)?)
}
