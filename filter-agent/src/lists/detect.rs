//! What a text is, by its first lines.

use super::Format;
use super::format::{Part, ranges};
use super::range::{address, parse_range};

/// Lines that are looked at.
const LINES: usize = 1000;

/// What a line looks like by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looks {
    Like(Format),
    /// Only this format begins so: one line is enough.
    Surely(Format),
    /// A name, which most formats may hold.
    Name,
    Nothing,
}

/// The format of a text that begins with `sample`. What looks like nothing
/// known counts as plain names, whose report then shows the odd lines.
pub(super) fn format(sample: &[u8]) -> Format {
    let mut votes = [0_usize; Format::ALL.len()];
    let mut names = 0;
    let lines = lines(sample);
    for line in lines.filter(|line| !line.is_empty()).take(LINES) {
        match looks(line) {
            Looks::Surely(format) => return format,
            Looks::Like(format) => votes[format as usize] += 1,
            Looks::Name => names += 1,
            Looks::Nothing => {}
        }
    }
    let best = Format::ALL
        .iter()
        .copied()
        .max_by_key(|&format| votes[format as usize]);
    match best {
        // Plain lists hold stray addresses.
        Some(best @ (Format::Netset | Format::Ranges | Format::Drop)) => {
            if votes[best as usize] > names {
                best
            } else {
                Format::Domains
            }
        }
        // One stray rule among plain names must not change what they mean.
        Some(best) if votes[best as usize] * 10 > names => best,
        _ if votes[Format::V2fly as usize] > 0 => Format::V2fly,
        _ => Format::Domains,
    }
}

/// Lines of either system, without the blanks around them.
fn lines(sample: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
    sample.split(ends).map(<[u8]>::trim_ascii)
}

fn looks(line: &[u8]) -> Looks {
    let starts = |prefixes: &[&[u8]]| prefixes.iter().any(|prefix| line.starts_with(prefix));
    if starts(&[b"[Adblock", b"[AdGuard", b"[uBlock"]) {
        return Looks::Surely(Format::Adblock);
    }
    if starts(&[b"{\"cidr\"", b"{\"type\":\"metadata\"", b"; Spamhaus DROP"]) {
        return Looks::Surely(Format::Drop);
    }
    if starts(&[b"$TTL", b"$ORIGIN", b"$ttl", b"$origin"]) || has_word(line, b"SOA") {
        return Looks::Surely(Format::Rpz);
    }
    if starts(&[b"ExitNode ", b"ExitAddress "]) {
        return Looks::Surely(Format::Netset);
    }
    if line.is_empty() || starts(&[b"# ", b"#\t", b";", b"//"]) {
        return Looks::Nothing;
    }
    if starts(&[b"||", b"@@", b"! "]) || memchr::memmem::find(line, b"##").is_some_and(|at| at > 0)
    {
        return Looks::Like(Format::Adblock);
    }
    if starts(&[b"#"]) {
        return Looks::Nothing;
    }
    if starts(&[
        b"address=",
        b"server=",
        b"local=",
        b"ipset=",
        b"nftset=",
        b"--address=",
    ]) {
        return Looks::Like(Format::Dnsmasq);
    }
    if starts(&[b"local-zone:", b"local-data:"]) {
        return Looks::Like(Format::Unbound);
    }
    if starts(&[b"domain:", b"full:", b"keyword:", b"regexp:", b"include:"]) {
        return Looks::Like(Format::V2fly);
    }
    if starts(&[b"add ", b"create ", b"-A ", b"-N "]) {
        return Looks::Like(Format::Netset);
    }
    if has_word(line, b"CNAME") {
        return Looks::Like(Format::Rpz);
    }
    by_address(line)
}

/// Lines that hold an address, and lines that are a name.
fn by_address(line: &[u8]) -> Looks {
    let mut words = line
        .split(|b| b.is_ascii_whitespace())
        .filter(|word| !word.is_empty());
    let first = words.next().unwrap_or(b"");
    let second = words.next();
    let before = line
        .split(|b| b";,#".contains(b))
        .next()
        .unwrap_or(line)
        .trim_ascii();
    let is_range =
        |text: &[u8]| memchr::memchr(b'-', text).is_some() && parse_range(text).is_some();
    if is_range(before) {
        return Looks::Like(Format::Ranges);
    }
    let after_colon = line.split(|&b| b == b':').next_back().unwrap_or(b"");
    if is_range(after_colon) {
        return Looks::Like(Format::Ranges);
    }
    if is_table(line) {
        return Looks::Like(Format::Ranges);
    }
    let bare = first.split(|&b| b == b'%').next().unwrap_or(first);
    if let (Some(address), Some(second)) = (address(bare), second)
        && second.first().is_some_and(|b| !b"#;,-/".contains(b))
    {
        // Addresses with their score, date or country are no hosts file.
        let sinkhole = address.is_unspecified() || address.is_loopback();
        let named = second.contains(&b'.') && second.iter().any(u8::is_ascii_alphabetic);
        return Looks::Like(if sinkhole || named {
            Format::Hosts
        } else {
            Format::Netset
        });
    }
    if parse_range(before).is_some() {
        let sbl = memchr::memmem::find(line, b"SBL").is_some();
        return Looks::Like(if sbl { Format::Drop } else { Format::Netset });
    }
    if second.is_some_and(|word| word.starts_with(b"@")) {
        return Looks::Like(Format::V2fly);
    }
    Looks::Name
}

/// `first,last,…`: a row of a table of addresses.
fn is_table(line: &[u8]) -> bool {
    let mut columns = line.split(|&b| b == b',').map(ranges::column);
    let mut is_address = || columns.next().is_some_and(|text| address(text).is_some());
    is_address() && is_address()
}

/// Whether `word` stands between blanks, not as the first word.
fn has_word(line: &[u8], word: &[u8]) -> bool {
    line.split(|b| b.is_ascii_whitespace())
        .skip(1)
        .any(|part| part.eq_ignore_ascii_case(word))
}

/// Whether a text is a web page. Servers answer so when a list has moved.
pub(super) fn is_html(sample: &[u8]) -> bool {
    let start = sample.trim_ascii_start();
    let start = start.get(..2048).unwrap_or(start).to_ascii_lowercase();
    let has = |tag: &[u8]| memchr::memmem::find(&start, tag).is_some();
    start.starts_with(b"<")
        && (has(b"<!doctype html")
            || has(b"<html")
            || has(b"<head")
            || has(b"<body")
            || has(b"<title")
            || has(b"<script")
            || has(b"<meta")
            || has(b"<?xml"))
}

/// What a text is that no importer reads, though it holds hosts. Its lines
/// would be told as odd, one by one, which says little.
pub(super) fn foreign(sample: &[u8]) -> Option<&'static str> {
    const STARTS: [(&[u8], &str); 8] = [
        (b"payload:", "a rule set of Clash"),
        (b"DOMAIN-SUFFIX,", "a rule set of Surge"),
        (b"DOMAIN,", "a rule set of Surge"),
        (b"zone \"", "a configuration of BIND"),
        (
            b"version https://git-lfs",
            "a pointer to a file elsewhere (Git LFS)",
        ),
        (b"acl ", "a configuration of Squid"),
        (b"*filter", "a rule set of iptables"),
        (b"function FindProxyForURL", "a proxy configuration (PAC)"),
    ];
    let line = lines(sample)
        .find(|line| !line.is_empty() && !line.starts_with(b"#") && !line.starts_with(b"//"))?;
    let inside = line.strip_prefix(b"{").or_else(|| line.strip_prefix(b"["));
    if let Some(inside) = inside
        && matches!(
            inside.trim_ascii_start().first(),
            None | Some(b'"' | b'{' | b'}')
        )
        && !matches!(looks(line), Looks::Surely(_))
        && !line.starts_with(b"{\"asn\"")
    {
        return Some("JSON");
    }
    let found = STARTS.iter().find(|(start, _)| line.starts_with(start));
    found.map(|(_, what)| *what)
}

/// Whether a sample is mostly Latin text in UTF-16 of either order: every
/// second byte is zero.
pub(super) fn is_bare_utf16(sample: &[u8]) -> bool {
    let pairs = sample.len() / 2;
    let zeros = |at: usize| {
        let bytes = sample.iter().skip(at).step_by(2);
        bytes.filter(|&&byte| byte == 0).count()
    };
    let (high, low) = (zeros(0), zeros(1));
    pairs > 0 && high.max(low) * 10 > pairs * 7 && high.min(low) == 0
}

/// Whether a sample is no text: more than a tenth are control characters.
pub(super) fn is_binary(sample: &[u8]) -> bool {
    let controls = sample
        .iter()
        .filter(|&&b| b < 0x20 && !b"\t\n\r\x0c\x1a".contains(&b))
        .count();
    controls * 10 > sample.len()
}

/// The file of a squidGuard category, in an archive.
pub(super) fn part(path: &str) -> Option<Part> {
    Part::of(path)
}

/// Files of an archive that are about the lists, not lists.
pub(super) fn is_documentation(path: &str) -> bool {
    const NAMES: [&str; 11] = [
        "readme",
        "copyright",
        "authors",
        "credits",
        "license",
        "licence",
        "copying",
        "changelog",
        "notice",
        "usage",
        "global_usage",
    ];
    // squidGuard keeps changes and databases beside its lists.
    const ENDS: [&str; 9] = ["md", "html", "htm", "pdf", "sh", "py", "yml", "diff", "db"];
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let (stem, end) = name.split_once('.').unwrap_or((&name, ""));
    NAMES.contains(&stem)
        || ENDS.contains(&end)
        || name.starts_with('.')
        || path.contains("__MACOSX/")
}
