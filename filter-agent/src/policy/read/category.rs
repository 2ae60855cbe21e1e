//! `[[category]]`: hosts, ranges and lists.

use std::path::PathBuf;

use filter_ebpf::abi::MAX_CATEGORIES;
use toml::de::DeValue;

use super::fields::{At, Fields, Value, expected, text};
use super::names::{Context, decision};
use super::network::{is_url, net};
use crate::lists::Format;
use crate::policy::problem::Problems;
use crate::policy::{BareName, Category, Host, InlineHost, InlineRange, ListFrom, ListSource};

/// Entries written in the policy itself, per category.
const MAX_INLINE: usize = 10_000;
/// Lists per category.
const MAX_LISTS: usize = 64;

const BARE: &[(&str, BareName)] = &[("host", BareName::Host), ("subtree", BareName::Subtree)];

pub(super) fn categories(
    top: &mut Fields<'_, '_>,
    cx: &Context,
    out: &mut Problems<'_>,
) -> Vec<Category> {
    let found = top.tables("category", out);
    if let Some(over) = found.get(MAX_CATEGORIES) {
        out.at(
            &over.span,
            format!(
                "expected at most {MAX_CATEGORIES} categories, found {}",
                found.len()
            ),
        );
    }
    found
        .into_iter()
        .map(|fields| category(fields, cx, out))
        .collect()
}

fn category(mut fields: Fields<'_, '_>, cx: &Context, out: &mut Problems<'_>) -> Category {
    let name = fields.take("name").and_then(|name| name.get_ref().as_str());
    // A teacher who writes example.org means its pages on www. too.
    let said = fields.word("names", BARE, out);
    let bare = said.unwrap_or(BareName::Subtree);
    let force = fields.flag("force", out).unwrap_or(false);
    let hosts = fields.list("hosts", out, |value, out| host(value, bare, force, out));
    let ranges = fields.list("ranges", out, range);
    // Letting off a whole suffix opens, at the most, what a list closed.
    let except = fields.list("except", out, |value, out| {
        let entry = host(value, bare, true, out)?;
        let said = hosts.iter().find(|host| host.host.name == entry.host.name);
        if let Some(said) = said {
            out.at(
                &value.span(),
                format!(
                    "line {} puts it into `hosts`; write it in one of both",
                    said.line
                ),
            );
        }
        Some(entry)
    });
    let except_ranges = fields.list("except_ranges", out, range);
    for (key, len) in [
        ("hosts", hosts.len()),
        ("ranges", ranges.len()),
        ("except", except.len()),
        ("except_ranges", except_ranges.len()),
    ] {
        if len > MAX_INLINE {
            out.at(&fields.spot(key), format!("expected at most {MAX_INLINE} entries here, found {len}; put them into a list file"));
        }
    }
    let lists = fields.list("lists", out, |value, out| list(value, said, force, out));
    if lists.len() > MAX_LISTS {
        out.at(
            &fields.spot("lists"),
            format!("expected at most {MAX_LISTS} lists, found {}", lists.len()),
        );
    }
    let category = Category {
        name: name.unwrap_or_default().trim().to_string(),
        title: fields.text("title", out).map(|title| title.value),
        locked: fields.flag("locked", out).unwrap_or(false),
        ech_provider: fields.flag("ech_provider", out).unwrap_or(false),
        hosts,
        ranges,
        lists,
        except,
        except_ranges,
        decision: decision(&mut fields, cx, out),
        line: out.line(fields.span.start),
    };
    fields.finish(out);
    category
}

fn range(value: &Value<'_>, out: &mut Problems<'_>) -> Option<InlineRange> {
    let net = net(value, out)?;
    Some(InlineRange {
        net,
        line: out.line(value.span().start),
    })
}

fn host(
    value: &Value<'_>,
    bare: BareName,
    force: bool,
    out: &mut Problems<'_>,
) -> Option<InlineHost> {
    let found = text(value, out)?;
    match Host::parse(&found.value, bare, force) {
        Ok(host) => Some(InlineHost {
            host,
            line: out.line(found.span.start),
        }),
        Err(error) => {
            out.at(&found.span, error.to_string());
            None
        }
    }
}

fn list(
    value: &Value<'_>,
    bare: Option<BareName>,
    force: bool,
    out: &mut Problems<'_>,
) -> Option<ListSource> {
    let line = out.line(value.span().start);
    let mut source = ListSource {
        from: ListFrom::File(PathBuf::new()),
        format: None,
        bare,
        force,
        member: None,
        sha256: None,
        minisign: None,
        line,
    };
    match value.get_ref() {
        DeValue::String(_) => {
            source.from = from(&text(value, out)?, out)?;
            Some(source)
        }
        DeValue::Table(table) => {
            let mut fields = Fields::new(table, value.span());
            let at = fields.need_text("from", "\"lists/adult.txt\" or a URL", out);
            if let Some(format) = fields.text("format", out) {
                source.format = known_format(&format, out);
            }
            source.bare = fields.word("names", BARE, out).or(bare);
            source.force = fields.flag("force", out).unwrap_or(force);
            source.member = fields.text("member", out).map(|member| member.value);
            source.sha256 = fields.text("sha256", out).and_then(|sum| sha256(&sum, out));
            source.minisign = fields.text("minisign", out).map(|key| key.value);
            fields.finish(out);
            source.from = from(&at?, out)?;
            Some(source)
        }
        other => {
            out.at(
                &value.span(),
                expected("a file, a URL or { from = \"lists/adult.txt\", … }", other),
            );
            None
        }
    }
}

fn known_format(format: &At<String>, out: &mut Problems<'_>) -> Option<Format> {
    match format.value.parse() {
        Ok(known) => Some(known),
        Err(problem) => {
            let problem: String = problem;
            out.at(&format.span, problem);
            None
        }
    }
}

fn sha256(sum: &At<String>, out: &mut Problems<'_>) -> Option<String> {
    let lower = sum.value.to_ascii_lowercase();
    if lower.len() == 64 && lower.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(lower);
    }
    out.at(&sum.span, "expected a SHA-256 sum of 64 hexadecimal digits");
    None
}

fn from(found: &At<String>, out: &mut Problems<'_>) -> Option<ListFrom> {
    if !found.value.contains("://") {
        return Some(ListFrom::File(PathBuf::from(&found.value)));
    }
    is_url(found, &["http://", "https://"], out).then(|| ListFrom::Url(found.value.clone()))
}
