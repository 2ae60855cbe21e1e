//! What a core keeps of refused datagrams ends with all that it rests on.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use filter_agent::kernel::{Contents, Filter, Overrides, monotonic_now};
use filter_ebpf::abi::{Access, Mode, Override, Reason, Scope, Verdict};
use filter_tests::frames::{tagged, udp};
use filter_tests::small_school::{category, room};
use filter_tests::wire::Wire;

use super::hooks::{Lab, ROOT, denied, image};

/// Frames of a step: the first is judged, the others are told the same again.
const FRAMES: u64 = 5;

/// The open room's door with its categories of `mask` granted.
fn door(mode: Mode, mask: u64, until: u64) -> Access {
    Access {
        mode: mode as u32,
        mode_until: u64::MAX,
        grant_mask: [mask, 0],
        grant_until: [until, 0],
        ..Access::UNKNOWN
    }
}

#[test]
fn t23_a_refusal_ends_with_what_it_rests_on() -> Result<()> {
    let lab = Lab::new()?;
    let (interface, client) = (&lab.interface, &lab.client);
    let games = 1 << category::GAMES;
    lab.router.run(|| {
        let mut filter = Filter::open(Path::new(ROOT))?;
        let apply = |filter: &mut Filter, deny: bool| -> Result<()> {
            let (mut image, doors) = image(filter, interface)?;
            for group in &mut image.groups {
                group.refuse = Verdict::Drop as u8;
                if !deny {
                    group.deny &= !games;
                }
            }
            let contents = Contents::new(&image, &doors, b"")?;
            filter.apply(&contents, std::slice::from_ref(interface))?;
            Ok(())
        };
        let sends = |filter: &Filter, step: &str, frame: &[u8], verdict, reason| {
            let count =
                || -> Result<_> { Ok(filter.counters()?.of(room::OPEN, verdict, reason).packets) };
            let before = count()?;
            client.run(|| {
                let wire = Wire::open("eth0")?;
                for _ in 0..FRAMES {
                    ensure!(wire.send(frame));
                }
                thread::sleep(Duration::from_millis(50));
                Ok(())
            })?;
            let seen = count()? - before;
            ensure!(
                seen == FRAMES,
                "{step}: {seen} of {FRAMES} {} for {}",
                verdict.name(),
                reason.name()
            );
            Ok(())
        };
        let frame = denied(40_000);
        let says = |filter: &Filter, step: &str, verdict, reason| {
            sends(filter, step, &frame, verdict, reason)
        };
        let denies =
            |filter: &Filter, step: &str| says(filter, step, Verdict::Drop, Reason::RangeDenied);
        apply(&mut filter, true)?;
        denies(&filter, "at first")?;

        let mut access = filter.access()?;
        access.write([(room::OPEN, &door(Mode::Closed, 0, 0))])?;
        says(&filter, "closed", Verdict::Drop, Reason::RoomClosed)?;
        access.write([(room::OPEN, &door(Mode::Open, 0, 0))])?;
        denies(&filter, "opened")?;

        let until = monotonic_now() + 400_000_000;
        access.write([(room::OPEN, &door(Mode::Open, games, until))])?;
        says(&filter, "granted", Verdict::Pass, Reason::Granted)?;
        thread::sleep(Duration::from_millis(500));
        denies(&filter, "behind the grant")?;

        let mut overrides = Overrides::open(&filter)?;
        let what = |block| Override {
            until: u64::MAX,
            block,
            ..Override::default()
        };
        let range = "198.51.100.0/28".parse()?;
        overrides.set_range(range, Scope::Everyone, what(0))?;
        says(
            &filter,
            "granted by address",
            Verdict::Pass,
            Reason::Granted,
        )?;
        overrides.set_range(range, Scope::Everyone, what(1))?;
        says(
            &filter,
            "blocked by address",
            Verdict::Drop,
            Reason::Blocked,
        )?;
        overrides.replace(&[], &[])?;
        denies(&filter, "without overrides")?;

        // Of the same categories one address is granted and others are not.
        overrides.set_range("198.51.100.128/25".parse()?, Scope::Everyone, what(0))?;
        denies(&filter, "beside a grant by address")?;
        let other = tagged(10, &udp("10.9.0.5:40001", "198.51.100.200:9999", &[7; 64]));
        let step = "behind a refusal of the same categories";
        sends(&filter, step, &other, Verdict::Pass, Reason::Granted)?;
        overrides.replace(&[], &[])?;

        apply(&mut filter, false)?;
        says(&filter, "allowed", Verdict::Pass, Reason::DefaultOpen)?;
        Filter::detach(Path::new(ROOT))?;
        Ok(())
    })
}
