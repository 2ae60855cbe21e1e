//! Lines a second. Figures are of a release build:
//! `cargo test --release -p filter-tests --test lists -- --ignored --nocapture speed`.

use std::fmt::Write;
use std::time::Instant;

use anyhow::{Result, ensure};
use filter_agent::lists::{Format, IpRange, Options, Scope, Sink, Source, import};

/// Looks at every byte of a name, as a hash would.
#[derive(Default)]
struct Tally {
    names: u64,
    ranges: u64,
    mix: u64,
}

impl Sink for Tally {
    fn name(&mut self, name: &[u8], _: Scope, _: bool) {
        self.names += 1;
        for chunk in name.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix = (self.mix ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn range(&mut self, range: IpRange, _: bool) {
        self.ranges += 1;
        if let IpRange::V4 { first, .. } = range {
            self.mix ^= u64::from(first);
        }
    }
}

const LINES: u32 = 1_000_000;

/// A list of a million lines, names as long and as deep as real ones.
fn list(format: Format) -> Result<String> {
    const ENDS: [&str; 8] = ["com", "net", "org", "co.uk", "ru", "kg", "github.io", "xyz"];
    let mut text = String::new();
    for i in 0..LINES {
        let end = ENDS[(i % 8) as usize];
        let www = if i % 3 == 0 { "www." } else { "" };
        let name = format!("{www}some-host-{i}.{end}");
        let (a, b, c) = (11 + i % 89, i / 89 % 256, i / 22_784 % 256);
        match format {
            Format::Domains | Format::Squidguard | Format::V2fly => writeln!(text, "{name}")?,
            Format::Hosts => writeln!(text, "0.0.0.0 {name}")?,
            Format::Adblock => writeln!(text, "||{name}^")?,
            Format::Dnsmasq => writeln!(text, "address=/{name}/0.0.0.0")?,
            Format::Unbound => writeln!(text, "local-zone: \"{name}\" always_nxdomain")?,
            Format::Rpz => writeln!(text, "{name} CNAME .")?,
            Format::Netset => writeln!(text, "{a}.{b}.{c}.0/24")?,
            Format::Ranges => writeln!(text, "{a}.{b}.{c}.0-{a}.{b}.{c}.99")?,
            Format::Drop => writeln!(
                text,
                "{{\"cidr\":\"{a}.{b}.{c}.0/24\",\"sblid\":\"SBL{i}\",\"rir\":\"arin\"}}"
            )?,
        }
    }
    Ok(text)
}

#[test]
#[ignore = "a measurement: needs a release build and a quiet machine"]
fn speed_of_every_format() -> Result<()> {
    println!(
        "{:<12} {:>8} {:>14} {:>10}",
        "format", "MB", "lines/s", "ns/line"
    );
    let mut slow = Vec::new();
    for &format in Format::ALL {
        let data = list(format)?;
        let mut best = f64::MAX;
        for _ in 0..5 {
            let mut tally = Tally::default();
            let options = Options {
                format: Some(format),
                ..Options::default()
            };
            let start = Instant::now();
            let source = Source::Bytes {
                name: "domains",
                data: data.as_bytes(),
            };
            let report = import(&source, &options, &mut tally)?;
            best = best.min(start.elapsed().as_secs_f64());
            ensure!(report.entries() > u64::from(LINES) * 95 / 100, "{report:?}");
            std::hint::black_box(tally.mix);
        }
        let rate = f64::from(LINES) / best;
        println!(
            "{:<12} {:>8.1} {:>14.0} {:>10.1}",
            format.word(),
            data.len() as f64 / 1e6,
            rate,
            1e9 * best / f64::from(LINES)
        );
        if rate < 2e6 {
            slow.push(format.word());
        }
    }
    ensure!(slow.is_empty(), "below 2 million lines a second: {slow:?}");
    Ok(())
}
