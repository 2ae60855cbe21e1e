//! Whatever the bytes: no panic, bounded time, canonical names, no range
//! that could harm the school.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use filter_agent::lists::{Format, IpRange, Name, Options, Scope, Sink, Source, import};

use crate::packing::{gz, tar_gz_of_folder};

/// Checks what it gets; keeps the first fault.
#[derive(Default)]
struct Strict {
    entries: u64,
    fault: Option<String>,
}

impl Sink for Strict {
    fn name(&mut self, name: &[u8], _: Scope, _: bool) {
        self.entries += 1;
        let canonical = Name::parse(name).is_ok_and(|parsed| parsed.as_bytes() == name);
        let labels = name.split(|&b| b == b'.');
        let well_formed = name.len() <= 253
            && name.contains(&b'.')
            && labels.into_iter().all(|label| {
                (1..=63).contains(&label.len())
                    && label
                        .iter()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(b))
            });
        if !canonical || !well_formed {
            self.fault
                .get_or_insert_with(|| format!("{:?}", name.escape_ascii().to_string()));
        }
    }

    fn range(&mut self, range: IpRange, exception: bool) {
        self.entries += 1;
        const OURS: [&str; 6] = [
            "10.1.2.3",
            "127.0.0.1",
            "192.168.1.1",
            "172.20.0.1",
            "fe80::1",
            "224.0.0.1",
        ];
        let harms = !exception
            && OURS
                .iter()
                .any(|own| own.parse().is_ok_and(|own| range.contains(own)));
        if harms || range.first() > range.last() {
            self.fault.get_or_insert_with(|| format!("{range:?}"));
        }
    }
}

/// SplitMix64, so that a failure comes again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

fn mutate(data: &mut Vec<u8>, random: &mut Random) {
    const PIECES: [&[u8]; 16] = [
        b"\n",
        b"\r",
        b"\0",
        b".",
        b"..",
        b"*",
        b"||",
        b"@@",
        b"$",
        b"/",
        b"-",
        b":",
        b"\xff\xfe",
        b"\xd0",
        b"(",
        b"0.0.0.0 ",
    ];
    for _ in 0..=random.below(8) {
        let at = random.below(data.len() + 1);
        match random.below(5) {
            0 if at < data.len() => data[at] = random.next() as u8,
            1 if at < data.len() => data[at] ^= 1 << random.below(8),
            2 => data.truncate(at),
            3 => {
                let end = (at + random.below(30)).min(data.len());
                let again = data[at..end].to_vec();
                data.splice(at..at, again.repeat(1 + random.below(20)));
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len())];
                data.splice(at..at, piece.iter().copied());
            }
        }
    }
}

/// The lists beside this file.
fn seeds() -> Result<Vec<Vec<u8>>> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/lists"));
    let mut seeds = Vec::new();
    for format in Format::ALL {
        for entry in fs::read_dir(folder.join(format.word()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "in") {
                let mut data = fs::read(&path)?;
                data.truncate(4096);
                if *format == Format::Domains {
                    seeds.push(gz(&data)?);
                }
                seeds.push(data);
            } else if path.is_dir() {
                seeds.push(tar_gz_of_folder(&path)?);
            }
        }
    }
    seeds.sort();
    Ok(seeds)
}

#[test]
fn mutated_lists_never_panic_and_names_stay_canonical() -> Result<()> {
    const ROUNDS: usize = 20_000;
    let seeds = seeds()?;
    let mut random = Random(20_260_101);
    let (mut entries, mut refused) = (0, 0);
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        let mut data = seeds[random.below(seeds.len())].clone();
        mutate(&mut data, &mut random);
        let format = match random.below(3) {
            0 => None,
            _ => Some(Format::ALL[random.below(Format::ALL.len())]),
        };
        let options = Options {
            format,
            ..Options::default()
        };
        let mut strict = Strict::default();
        let start = Instant::now();
        let done = import(
            &Source::Bytes {
                name: "mutated",
                data: &data,
            },
            &options,
            &mut strict,
        );
        slowest = slowest.max(start.elapsed());
        refused += u64::from(done.is_err());
        entries += strict.entries;
        if let Some(fault) = strict.fault {
            return Err(anyhow::anyhow!(fault))
                .with_context(|| format!("round {round}, {format:?}"));
        }
    }
    println!("{ROUNDS} lists, {entries} entries, {refused} refused, slowest {slowest:?}");
    ensure!(
        entries > 50_000 && refused > 100,
        "the mutations do not reach the importers"
    );
    ensure!(
        slowest < Duration::from_secs(2),
        "one list took {slowest:?}"
    );
    Ok(())
}

#[test]
fn lines_made_to_be_slow_are_not() -> Result<()> {
    // Per line at most a few passes: 32 MB of the worst must take seconds,
    // also unoptimised.
    let worst: [&[u8]; 6] = [b"#", b"$", b":", b"a.", b"@@||*", b"- "];
    for piece in worst {
        let line = [piece.repeat(60_000 / piece.len()), b"\n".to_vec()].concat();
        let data = line.repeat(100);
        for &format in Format::ALL {
            let options = Options {
                format: Some(format),
                ..Options::default()
            };
            let start = Instant::now();
            import(
                &Source::Bytes {
                    name: "slow",
                    data: &data,
                },
                &options,
                &mut Strict::default(),
            )?;
            let took = start.elapsed();
            ensure!(
                took < Duration::from_secs(3),
                "{} of {piece:?}: {took:?}",
                format.word()
            );
        }
    }
    Ok(())
}

/// A rule that is nothing but a host is read in one go; with a modifier that
/// changes nothing it goes the long way.
#[test]
fn the_short_way_of_a_rule_and_the_long_one_agree() -> Result<()> {
    const PIECES: [&str; 24] = [
        "a",
        "bad",
        "Example",
        "x-y",
        "_dmarc",
        "xn--e1afmkfd",
        "мектеп",
        "1",
        "192.0.2.7",
        "com",
        "co.uk",
        "github.io",
        "example.com",
        ".",
        ".",
        ".",
        "..",
        "-",
        "*",
        "^",
        "|",
        "/",
        ":80",
        "[2001:db8::1]",
    ];
    let options = Options {
        format: Some(Format::Adblock),
        ..Options::default()
    };
    let read = |rule: &str| -> Result<_> {
        let (record, report) = crate::record::bytes(rule.as_bytes(), &options)?;
        let ignored = report.ignored.iter().map(|kind| (kind.kind, kind.count));
        Ok((record, ignored.collect::<Vec<_>>()))
    };
    let mut random = Random(11);
    let mut taken = 0;
    for _ in 0..20_000 {
        let pieces = 1 + random.below(5);
        let mut host: String = (0..pieces)
            .map(|_| PIECES[random.below(PIECES.len())])
            .collect();
        if random.below(50) == 0 {
            host = host.repeat(20);
        }
        let short = read(&format!("||{host}^"))?;
        let long = read(&format!("||{host}^$important"))?;
        ensure!(short == long, "{host}: {short:?}, not {long:?}");
        taken += short.0.entries.len();
    }
    ensure!((2_000..20_000).contains(&taken), "{taken} of 20,000 taken");
    Ok(())
}
