//! `[[group]]`: a row of the matrix.

use filter_ebpf::abi::{MAX_GROUPS, Verdict};
use toml::de::DeValue;

use super::fields::{Fields, Value, expected, text};
use super::names::{Context, decision};
use super::safe_search;
use crate::policy::problem::Problems;
use crate::policy::{Category, Cell, Group, Network};

pub(super) fn groups(
    top: &mut Fields<'_, '_>,
    cx: &Context,
    network: &Network,
    categories: &[Category],
    out: &mut Problems<'_>,
) -> Vec<Group> {
    let found = top.tables("group", out);
    if found.is_empty() {
        out.at(
            &top.spot("group"),
            "expected at least one [[group]], such as name = \"students\"",
        );
    }
    if let Some(over) = found.get(MAX_GROUPS) {
        out.at(
            &over.span,
            format!(
                "expected at most {MAX_GROUPS} groups, found {}",
                found.len()
            ),
        );
    }
    found
        .into_iter()
        .map(|fields| group(fields, cx, network, categories, out))
        .collect()
}

fn group(
    mut fields: Fields<'_, '_>,
    cx: &Context,
    network: &Network,
    categories: &[Category],
    out: &mut Problems<'_>,
) -> Group {
    let name = fields.take("name").and_then(|name| name.get_ref().as_str());
    if !fields.has("default") {
        out.at(&fields.span, "expected `default` in this table: default = \"listed-only\" reaches only what is allowed, default = \"open\" all that is not denied");
    }
    let open = fields
        .word("default", &[("open", true), ("listed-only", false)], out)
        .unwrap_or(false);
    // A browser that hangs is a broken network in the eyes of a class.
    let refuse = fields
        .word(
            "refuse",
            &[("reject", Verdict::Reject), ("drop", Verdict::Drop)],
            out,
        )
        .unwrap_or(Verdict::Reject);
    let words = [
        ("allow", Verdict::Pass),
        ("deny", refuse),
        ("drop", Verdict::Drop),
        ("reject", Verdict::Reject),
    ];
    // Who reaches only what is listed must not get by with what names nothing.
    let deny = refuse;
    let lax = if open { Verdict::Pass } else { deny };
    let mut verdict =
        |key, default, out: &mut Problems<'_>| fields.word(key, &words, out).unwrap_or(default);
    let mut group = Group {
        name: name.unwrap_or_default().trim().to_string(),
        title: None,
        open,
        refuse,
        // Devices that call a bare address are common; an open group keeps them.
        unnamed: verdict("unnamed", lax, out),
        // The readable outer name hides the real one: no denial would hold.
        encrypted_name: verdict("encrypted_name", deny, out),
        // Mail, games, printing: what an open group is open for.
        undecodable: verdict("undecodable", lax, out),
        // A tunnel makes every other rule void.
        tunnels: verdict("tunnels", deny, out),
        // Fragments carry no name; outside large DNS answers nobody needs them.
        fragments: verdict("fragments", lax, out),
        // Browsers fall back to TCP at once, where the name is readable.
        quic: verdict("quic", deny, out),
        school_dns: false,
        safe_search: 0,
        strip_ech: false,
        cells: Vec::new(),
        decision: None,
        line: out.line(fields.span.start),
    };
    group.title = fields.text("title", out).map(|title| title.value);
    // Only the school's resolver keeps names readable for a strict group;
    // a school that names none must not lose the one it has.
    group.school_dns = fields
        .flag("school_dns", out)
        .unwrap_or(!open && !network.resolvers.is_empty());
    group.safe_search = safe_search::providers(&mut fields, !open, out);
    group.strip_ech = fields.flag("strip_ech", out).unwrap_or(!open);
    group.decision = decision(&mut fields, cx, out);
    for (key, allow) in [("allow", true), ("deny", false)] {
        let cells = fields.list(key, out, |value, out| {
            let cell = cell(value, allow, cx, out)?;
            let category = categories.get(cell.category)?;
            if allow && category.locked {
                out.at(&value.span(), format!("the category \"{}\" is locked (line {}); a locked category cannot be allowed", category.name, category.line));
                return None;
            }
            Some((value.span(), cell))
        });
        for (span, cell) in cells {
            if let Some(first) = group
                .cells
                .iter()
                .find(|other| other.category == cell.category)
            {
                let name = categories
                    .get(cell.category)
                    .map_or("", |c| c.name.as_str());
                let word = if first.allow { "allowed" } else { "denied" };
                out.at(&span, format!("the category \"{name}\" is {word} in line {} already; a cell holds one answer", first.line));
            } else {
                group.cells.push(cell);
            }
        }
    }
    fields.finish(out);
    group
}

/// A category's name, or a table with its decision.
fn cell(value: &Value<'_>, allow: bool, cx: &Context, out: &mut Problems<'_>) -> Option<Cell> {
    let line = out.line(value.span().start);
    match value.get_ref() {
        DeValue::String(_) => {
            let name = text(value, out)?;
            Some(Cell {
                category: cx.categories.find(&name, out)?,
                allow,
                locked: false,
                until: None,
                decision: None,
                line,
            })
        }
        DeValue::Table(table) => {
            let mut fields = Fields::new(table, value.span());
            let name = fields.need_text("category", "\"social\"", out);
            let locked = !allow && fields.flag("locked", out).unwrap_or(false);
            let until = fields.date("until", out).map(|until| until.value);
            let decision = decision(&mut fields, cx, out);
            fields.finish(out);
            Some(Cell {
                category: cx.categories.find(&name?, out)?,
                allow,
                locked,
                until: until.or(decision.as_ref().and_then(|d| d.until)),
                decision,
                line,
            })
        }
        other => {
            out.at(
                &value.span(),
                expected(
                    "a category or { category = \"social\", decision = … }",
                    other,
                ),
            );
            None
        }
    }
}
