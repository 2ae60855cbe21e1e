//! A router with one interface to filter on, and a client behind it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use filter_agent::image::Image;
use filter_agent::kernel::{Applied, Contents, Filter, Interface, Mode, Side};
use filter_ebpf::abi::Access;
use filter_tests::frames::{tagged, udp};
use filter_tests::netns::Host;
use filter_tests::small_school::School;
use filter_tests::wire::Wire;

/// Where the tests pin.
pub(crate) const ROOT: &str = "/sys/fs/bpf/replace-test";

pub(crate) struct Lab {
    pub(crate) router: Host,
    pub(crate) client: Host,
    pub(crate) interface: Interface,
}

impl Lab {
    pub(crate) fn new() -> Result<Self> {
        let (router, client) = (Host::new("router")?, Host::new("client")?);
        router.cable("lan0", &client, "eth0", 1500)?;
        let interface = Interface {
            name: "lan0".to_owned(),
            ifindex: router.index("lan0")?,
            side: Side::Lan,
            mode: Mode::Native,
        };
        Ok(Self {
            router,
            client,
            interface,
        })
    }
}

/// Puts the school in force as the agent would.
pub(crate) fn apply(filter: &mut Filter, interface: &Interface) -> Result<Applied> {
    let (image, doors) = image(filter, interface)?;
    let contents = Contents::new(&image, &doors, b"")?;
    Ok(filter.apply(&contents, std::slice::from_ref(interface))?)
}

/// The school's next image, with the doors of its rooms.
pub(crate) fn image(filter: &Filter, interface: &Interface) -> Result<(Image, Vec<Access>)> {
    let mut school = School::with_secret(filter.secret())?;
    school.input.generation = filter.next_generation()?;
    school.input.links = vec![interface.ifindex];
    school.input.trace = false;
    Ok((Image::build(school.input)?, school.doors))
}

/// A frame of a flow to the denied range.
pub(crate) fn denied(port: u16) -> Vec<u8> {
    let client = format!("10.9.0.5:{port}");
    tagged(10, &udp(&client, "198.51.100.7:9999", &[7; 64]))
}

/// Sends a frame to the denied range as fast as one core can, until told to
/// stop; counts what went out.
pub(crate) fn flood(stop: &AtomicBool, sent: &AtomicU64) -> Result<()> {
    let wire = Wire::open("eth0")?;
    let frame = denied(40_000);
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..32 {
            if wire.send(&frame) {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
        // One core is shared with everything else.
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
