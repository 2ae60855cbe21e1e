//! Names that one part of a policy gives and another refers to.

use toml::de::DeValue;

use super::fields::{At, Fields, Value, date, expected};
use crate::policy::Decision;
use crate::policy::problem::Problems;
use crate::words::closest;

/// Characters of a name.
const NAME_CHARS: usize = 64;

/// What the parts read so far have named.
#[derive(Debug, Default)]
pub(super) struct Context {
    decisions: Vec<(String, Decision)>,
    pub(super) categories: Names,
    pub(super) groups: Names,
    pub(super) bells: Names,
    pub(super) timetables: Names,
    pub(super) rooms: Names,
}

/// The names of all `[[kind]]`, in their order; a position is an index.
#[derive(Debug, Default)]
pub(super) struct Names {
    kind: &'static str,
    list: Vec<String>,
}

impl Names {
    /// Gathers the names; entries without one, or with one that exists, are
    /// noted and hold their place.
    pub(super) fn of(kind: &'static str, top: &mut Fields<'_, '_>, out: &mut Problems<'_>) -> Self {
        let mut names = Self {
            kind,
            list: Vec::new(),
        };
        let mut seen: Vec<(String, usize)> = Vec::new();
        for mut fields in top.tables(kind, out) {
            let Some(name) = fields.need_text("name", "\"NAME\"", out) else {
                names.list.push(String::new());
                continue;
            };
            let fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
            if !name.value.chars().all(fine) || name.value.chars().count() > NAME_CHARS {
                out.at(
                    &name.span,
                    format!("expected a name of at most {NAME_CHARS} letters, digits, - _ . and spaces; put other words into `title`"),
                );
            }
            let line = out.line(name.span.start);
            match seen.iter().find(|(other, _)| *other == name.value) {
                Some((_, first)) => out.at(
                    &name.span,
                    format!("a {kind} \"{}\" stands in line {first} already; give this one another name", name.value),
                ),
                None => seen.push((name.value.clone(), line)),
            }
            names.list.push(name.value);
        }
        names
    }

    /// The index of a name, or a problem with the nearest one.
    pub(super) fn find(&self, name: &At<String>, out: &mut Problems<'_>) -> Option<usize> {
        if let Some(at) = self.list.iter().position(|known| *known == name.value) {
            return Some(at);
        }
        let known = self.list.iter().map(String::as_str);
        let hint = match closest(&name.value, known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("add a [[{}]] with this name", self.kind),
        };
        out.at(
            &name.span,
            format!("there is no {} \"{}\"; {hint}", self.kind, name.value),
        );
        None
    }
}

/// Reads `[[decision]]`: decisions that rules refer to by `id`.
pub(super) fn decisions(top: &mut Fields<'_, '_>, cx: &mut Context, out: &mut Problems<'_>) {
    for mut fields in top.tables("decision", out) {
        let id = fields.need_text("id", "\"council-3\"", out);
        let read = details(&mut fields, out);
        fields.finish(out);
        let (Some(id), Some(decision)) = (id, read) else {
            continue;
        };
        if cx.decisions.iter().any(|(known, _)| *known == id.value) {
            out.at(
                &id.span,
                format!("a decision \"{}\" exists already", id.value),
            );
        }
        cx.decisions.push((id.value, decision));
    }
}

/// Reads the key `decision` of a rule: an id, or the details in place.
pub(super) fn decision(
    fields: &mut Fields<'_, '_>,
    cx: &Context,
    out: &mut Problems<'_>,
) -> Option<Decision> {
    let value = fields.take("decision")?;
    match value.get_ref() {
        DeValue::String(id) => {
            if let Some((_, decision)) = cx.decisions.iter().find(|(known, _)| known == id) {
                return Some(decision.clone());
            }
            let hint = match closest(id, cx.decisions.iter().map(|(known, _)| known.as_str())) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "add a [[decision]] with this id".to_string(),
            };
            out.at(
                &value.span(),
                format!("there is no decision \"{id}\"; {hint}"),
            );
            None
        }
        DeValue::Table(table) => {
            let mut fields = Fields::new(table, value.span());
            let read = details(&mut fields, out);
            fields.finish(out);
            read
        }
        other => {
            let what =
                "the id of a decision or { number = \"3\", date = 2026-08-25, body = \"Council\" }";
            out.at(&value.span(), expected(what, other));
            None
        }
    }
}

fn details(fields: &mut Fields<'_, '_>, out: &mut Problems<'_>) -> Option<Decision> {
    let number = number(fields, out);
    let on = fields.date("date", out);
    if !fields.has("date") {
        out.at(
            &fields.span,
            "expected the decision's `date`, such as date = 2026-08-25",
        );
    }
    let body = fields.need_text("body", "\"Methodical council\"", out);
    let until = fields.date("until", out);
    if let (Some(on), Some(until)) = (&on, &until)
        && until.value < on.value
    {
        out.at(&until.span, "the decision would end before it was made");
    }
    Some(Decision {
        number: number?,
        date: on?.value,
        body: body?.value,
        until: until.map(|until| until.value),
    })
}

/// A decision's number: `3` or `"3/1"`.
fn number(fields: &mut Fields<'_, '_>, out: &mut Problems<'_>) -> Option<String> {
    let Some(value) = fields.take("number") else {
        out.at(
            &fields.span,
            "expected the decision's `number`, such as number = \"3\"",
        );
        return None;
    };
    match value.get_ref() {
        DeValue::Integer(n) => Some(n.as_str().to_string()),
        _ => super::fields::text(value, out).map(|number| number.value),
    }
}

/// Reads a span of days: `date`, or `from` and `to`.
pub(super) fn days(
    fields: &mut Fields<'_, '_>,
    out: &mut Problems<'_>,
) -> Option<At<crate::calendar::Span>> {
    if let Some(value) = fields.take("date") {
        return date(value, out).map(|day| At {
            value: crate::calendar::Span {
                first: day,
                last: day,
            },
            span: value.span(),
        });
    }
    let (first, last) = (fields.date("from", out), fields.date("to", out));
    for key in ["from", "to"] {
        if !fields.has(key) {
            out.at(
                &fields.span,
                format!("expected `{key}`, such as {key} = 2026-09-01"),
            );
        }
    }
    let (first, last) = (first?, last?);
    if last.value < first.value {
        out.at(
            &last.span,
            format!(
                "expected a day not before {}, found {}",
                first.value, last.value
            ),
        );
        return None;
    }
    Some(At {
        value: crate::calendar::Span {
            first: first.value,
            last: last.value,
        },
        span: first.span,
    })
}

/// Reads a list of names that may be a single text.
pub(super) fn one_or_more(value: Option<&Value<'_>>, out: &mut Problems<'_>) -> Vec<At<String>> {
    let Some(value) = value else {
        return Vec::new();
    };
    match value.get_ref() {
        DeValue::Array(items) => items
            .iter()
            .filter_map(|item| super::fields::text(item, out))
            .collect(),
        _ => super::fields::text(value, out).into_iter().collect(),
    }
}
