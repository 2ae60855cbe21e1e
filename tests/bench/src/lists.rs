//! `lists.*`: lists of a million lines, from a file to what an image is
//! built from, by the processor time of the one thread that does it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use filter_agent::image::{Names, Ranges};
use filter_agent::kernel::fresh_secret;
use filter_agent::lists::{Format, Options, Source, import};
use filter_agent::policy::{Gather, Policy};
use filter_tests::scratch::Scratch;
use nix::time::{ClockId, clock_gettime};

use crate::Effort;
use crate::rows::Rows;
use crate::workload::Random;

/// Writes one line about a host and an IPv4 network of 24 bits.
type Write = fn(&mut String, &str, [u8; 3]) -> std::fmt::Result;

/// Row, what an import must call it, the head of the file, and its lines.
const KINDS: [(&str, Format, &str, Write); 12] = [
    ("plain", Format::Domains, "# names\n", |text, host, _| {
        writeln!(text, "{host}")
    }),
    ("hosts", Format::Hosts, "# hosts\n", |text, host, _| {
        writeln!(text, "0.0.0.0 {host}")
    }),
    (
        "adblock",
        Format::Adblock,
        "[Adblock Plus]\n! Title: x\n",
        |text, host, _| writeln!(text, "||{host}^"),
    ),
    ("dnsmasq", Format::Dnsmasq, "# x\n", |text, host, _| {
        writeln!(text, "address=/{host}/0.0.0.0")
    }),
    ("unbound", Format::Unbound, "server:\n", |text, host, _| {
        writeln!(text, "local-zone: \"{host}\" always_nxdomain")
    }),
    (
        "rpz",
        Format::Rpz,
        "$TTL 2h\n@ SOA localhost. root.localhost. 1 1h 1h 1h 1h\n NS localhost.\n",
        |text, host, _| writeln!(text, "*.{host} CNAME ."),
    ),
    ("squidguard", Format::Squidguard, "", |text, host, _| {
        writeln!(text, "{host}")
    }),
    ("netset", Format::Netset, "# x\n", |text, _, [a, b, c]| {
        writeln!(text, "{a}.{b}.{c}.0/24")
    }),
    ("ranges", Format::Ranges, "# x\n", |text, _, [a, b, c]| {
        writeln!(text, "{a}.{b}.{c}.0-{a}.{b}.{c}.99")
    }),
    (
        "drop-text",
        Format::Drop,
        "; Spamhaus DROP List\n",
        |text, _, [a, b, c]| writeln!(text, "{a}.{b}.{c}.0/24 ; SBL{a}{b}{c}"),
    ),
    ("drop-ndjson", Format::Drop, "", |text, _, [a, b, c]| {
        let sbl = format_args!("SBL{a}{b}{c}");
        writeln!(
            text,
            "{{\"cidr\":\"{a}.{b}.{c}.0/24\",\"sblid\":\"{sbl}\",\"rir\":\"arin\"}}"
        )
    }),
    ("v2fly", Format::V2fly, "# x\n", |text, host, _| {
        writeln!(text, "domain:{host} @ads")
    }),
];

/// The slowest format of each round.
const SLOWEST: &str = "lists.slowest";

pub(crate) fn measure(rows: &mut Rows, effort: &Effort) -> Result<()> {
    let files = Scratch::new()?;
    let policy = files.write(
        "policy.toml",
        "timezone = \"Asia/Bishkek\"\n\
         [network]\nlan = [\"eth1\"]\n\
         [[category]]\nname = \"listed\"\n\
         [[group]]\nname = \"students\"\ndefault = \"open\"\ndeny = [\"listed\"]\n\
         [[room]]\nname = \"1\"\nvlan = 1\ngroup = \"students\"\n",
    )?;
    let policy = Policy::load(&policy)?;
    let mut lists = Vec::new();
    for (name, format, head, line) in KINDS {
        // squidGuard's lists are known by their file's name.
        let file = match format {
            Format::Squidguard => "domains",
            _ => name,
        };
        let path = files.write(&format!("{name}/{file}"), &list(effort.lines, head, line)?)?;
        lists.push((name, format, path));
    }
    eprintln!("lists: {} lines", effort.lines);
    for _ in 0..effort.rounds {
        let mut slowest = f64::MAX;
        for (name, format, path) in &lists {
            let rate = rate(&policy, path, *format, effort.lines)?;
            rows.add(&format!("lists.{name}"), "million lines/s", rate);
            slowest = slowest.min(rate);
        }
        rows.add(SLOWEST, "million lines/s", slowest);
    }
    Ok(())
}

/// Million lines a second of one import.
fn rate(policy: &Policy, path: &Path, format: Format, lines: u32) -> Result<f64> {
    let (mut names, mut ranges) = (Names::new(&fresh_secret()?), Ranges::default());
    let mut gather = Gather::new(policy, 0, &mut names, &mut ranges)?;
    gather.next_list();
    let start = processor_time()?;
    let report = import(&Source::File(path), &Options::default(), &mut gather)?;
    let took = processor_time()? - start;
    gather.finish()?;
    ensure!(
        report.formats.iter().eq([&format]) && report.entries() >= u64::from(lines) * 99 / 100,
        "{}: {report:?}",
        path.display()
    );
    Ok(f64::from(lines) / took.as_secs_f64() / 1e6)
}

/// What this thread has used of its core.
fn processor_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// `count` lines, the same every time: names as long and as deep as those of
/// published lists, networks that a list may hold.
fn list(count: u32, head: &str, line: Write) -> Result<String> {
    const ENDS: [&str; 12] = [
        "com",
        "com",
        "com",
        "net",
        "org",
        "ru",
        "xyz",
        "top",
        "co.uk",
        "com.br",
        "kg",
        "github.io",
    ];
    let mut random = Random(u64::from(count));
    let mut text = head.to_owned();
    let mut host = String::new();
    for _ in 0..count {
        host.clear();
        for _ in 0..random.below(3) {
            label(&mut random, &mut host, 2, 8);
        }
        label(&mut random, &mut host, 4, 15);
        host.push_str(ENDS[random.below(12) as usize]);
        // From 11 to 99 nothing is private or reserved.
        let network = [11 + random.below(89), random.below(256), random.below(256)];
        line(&mut text, &host, network.map(|part| part as u8))?;
    }
    Ok(text)
}

/// A label of `least` to `most` letters, digits and hyphens, and its dot.
fn label(random: &mut Random, host: &mut String, least: u64, most: u64) {
    const LETTERS: &[u8] = b"etaoinsrhldcumfpgwybvkxjqz0123456789";
    let length = least + random.below(most - least + 1);
    for at in 0..length {
        let inside = at > 0 && at + 1 < length;
        if inside && random.below(16) == 0 {
            host.push('-');
        } else {
            // A letter first: what is all digits may be no name.
            let among = if at == 0 { 26 } else { LETTERS.len() as u64 };
            host.push(char::from(LETTERS[random.below(among) as usize]));
        }
    }
    host.push('.');
}
