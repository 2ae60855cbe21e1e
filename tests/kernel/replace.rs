//! Images replaced on real hooks while packets flow.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use filter_agent::image::Image;
use filter_agent::kernel::{Applied, Contents, Counters, Filter, Interface, Mode, Side};
use filter_ebpf::abi::{Reason, Verdict};
use filter_tests::frames::{tagged, udp};
use filter_tests::netns::Host;
use filter_tests::small_school::{School, room};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike as _, sendto,
    socket,
};
use std::os::fd::AsRawFd as _;

const ROOT: &str = "/sys/fs/bpf/replace-test";
/// Applies under load unless `FILTER_SWAPS` says how many: each one verifies
/// every program anew, so a thousand take their time.
const SWAPS: u32 = 20;

struct Lab {
    router: Host,
    client: Host,
    interface: Interface,
}

impl Lab {
    fn new() -> Result<Self> {
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

    fn on_router<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.router.run(work)
    }
}

/// Puts the school in force as the agent would.
fn apply(filter: &mut Filter, interface: &Interface) -> Result<Applied> {
    let mut school = School::with_secret(filter.secret())?;
    school.input.generation = filter.next_generation()?;
    school.input.links = vec![interface.ifindex];
    school.input.trace = false;
    let image = Image::build(school.input)?;
    let contents = Contents::new(&image, &school.doors, b"")?;
    Ok(filter.apply(&contents, std::slice::from_ref(interface))?)
}

/// Sends a frame to the denied range as fast as one core can, until told to
/// stop; counts what went out.
fn flood(stop: &AtomicBool, sent: &AtomicU64) -> Result<()> {
    let frame = tagged(10, &udp("10.9.0.5:40000", "198.51.100.7:9999", &[7; 64]));
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::empty(),
        SockProtocol::EthAll,
    )?;
    let index = nix::net::if_::if_nametoindex("eth0")?;
    // SAFETY: integers, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = index as i32;
    address.sll_halen = 6;
    // SAFETY: a whole address of the family it names.
    let address = unsafe {
        LinkAddr::from_raw(
            (&raw const address).cast(),
            Some(size_of::<libc::sockaddr_ll>() as u32),
        )
    }
    .context("no link address")?;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..32 {
            if sendto(socket.as_raw_fd(), &frame, &address, MsgFlags::empty()).is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
        // One core is shared with everything else.
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

#[test]
fn applies_under_load_leave_no_packet_unjudged() -> Result<()> {
    let lab = Lab::new()?;
    let wanted = match std::env::var("FILTER_SWAPS") {
        Ok(text) => text.parse()?,
        Err(_) => SWAPS,
    };
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let interface = &lab.interface;
    let (denied, others, swaps, took) = thread::scope(|scope| -> Result<_> {
        let result = lab.on_router(|| {
            let mut filter = Filter::open(Path::new(ROOT))?;
            apply(&mut filter, interface)?;
            let sender = scope.spawn(|| lab.client.run(|| flood(&stop, &sent)));
            let (mut denied, mut others, mut swaps) = (0, Vec::new(), 0);
            let begin = Instant::now();
            let mut add = |counters: Counters| {
                for (at, verdict, reason, count) in counters.iter() {
                    if (at, reason) == (room::OPEN, Reason::RangeDenied) {
                        denied += count.packets;
                    } else {
                        others.push((at, verdict, reason, count.packets));
                    }
                }
            };
            let done = (|| -> Result<()> {
                for _ in 0..wanted {
                    let applied = apply(&mut filter, interface)?;
                    anyhow::ensure!(applied.leftovers.is_empty(), "{:?}", applied.leftovers);
                    add(applied.retired.context("nothing retired")?.counters);
                    swaps += 1;
                }
                Ok(())
            })();
            let took = begin.elapsed();
            stop.store(true, Ordering::Relaxed);
            let flooded = sender.join();
            done?;
            flooded.map_err(|_| anyhow::anyhow!("the sender panicked"))??;
            thread::sleep(Duration::from_millis(200));
            add(filter.counters()?);
            Filter::detach(Path::new(ROOT))?;
            Ok((denied, others, swaps, took))
        });
        stop.store(true, Ordering::Relaxed);
        result
    })?;
    let sent = sent.into_inner();
    println!("{swaps} applies in {took:?}, {sent} frames sent, {denied} denied");
    assert_eq!(swaps, wanted);
    assert!(sent > 0);
    assert_eq!(
        denied, sent,
        "every frame was judged once; others: {others:?}"
    );
    assert!(
        others
            .iter()
            .all(|(_, verdict, _, _)| *verdict == Verdict::Pass),
        "{others:?}"
    );
    Ok(())
}
