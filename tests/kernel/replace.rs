//! Images replaced on real hooks while packets flow.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use filter_agent::kernel::{Counters, Filter};
use filter_ebpf::abi::{Reason, Verdict};
use filter_tests::small_school::room;

use super::hooks::{Lab, ROOT, apply, flood};

#[test]
fn applies_under_load_leave_no_packet_unjudged() -> Result<()> {
    let swaps = match std::env::var("FILTER_SWAPS") {
        Ok(text) => text.parse()?,
        // An emulated machine verifies for tens of seconds.
        Err(_) if std::env::var_os("FILTER_TESTS_MACHINE").is_some() => 2,
        Err(_) => 20,
    };
    applies_under_load(swaps)
}

#[test]
#[ignore = "takes ten minutes: cargo test --test kernel -- --ignored a_thousand"]
fn a_thousand_applies_under_load_leave_no_packet_unjudged() -> Result<()> {
    applies_under_load(1_000)
}

fn applies_under_load(wanted: u32) -> Result<()> {
    let lab = Lab::new()?;
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let interface = &lab.interface;
    let (denied, others, swaps, took) = thread::scope(|scope| -> Result<_> {
        let result = lab.router.run(|| {
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
