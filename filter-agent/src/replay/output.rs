//! Outcomes as a table for people or one JSON object a line.

use std::io::{self, Write};

use filter_ebpf::abi::Verdict;
use serde::Serialize;

use super::run::Judged;

/// How outcomes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A line of columns for each frame.
    Table,
    /// A JSON object for each frame.
    Json,
}

/// One frame's outcome with the policy's names in the place of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line<'a> {
    pub packet: u64,
    pub verdict: Option<&'static str>,
    pub reason: &'static str,
    pub room: Option<&'a str>,
    pub group: Option<&'a str>,
    pub vlan: Vlan,
    pub src: Option<String>,
    pub sport: Option<u16>,
    pub dst: Option<String>,
    pub dport: Option<u16>,
    pub proto: &'static str,
    pub host: Option<&'a str>,
    pub category: Option<&'a str>,
    /// `in`: from the room; `out`: towards it.
    pub direction: &'static str,
    /// Bytes that the recorder cut off the frame.
    #[serde(skip_serializing_if = "is_zero")]
    pub cut: u32,
}

/// A tag stack: nothing, one number, or `outer.inner`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Vlan {
    Untagged,
    Single(u16),
    Stacked(String),
}

impl<'a> Line<'a> {
    /// Puts names in; `rooms`, `groups` and `categories` by their index.
    pub fn new(
        judged: &'a Judged,
        rooms: &'a [String],
        groups: &'a [String],
        categories: &'a [String],
    ) -> Self {
        let port = |end: Option<(_, u16)>| end.map(|(_, port)| port).filter(|port| *port != 0);
        let name = |names: &'a [String], index: Option<usize>| {
            index.and_then(|index| names.get(index)).map(String::as_str)
        };
        Self {
            packet: judged.packet,
            verdict: judged.verdict.map(Verdict::name),
            reason: judged
                .verdict
                .map_or("unsupported_link_type", |_| judged.reason.name()),
            room: name(rooms, judged.room.map(usize::from)),
            group: name(groups, judged.group.map(usize::from)),
            vlan: match judged.vlan {
                (Some(outer), Some(inner)) => Vlan::Stacked(format!("{outer}.{inner}")),
                (Some(vlan), None) | (None, Some(vlan)) => Vlan::Single(vlan),
                (None, None) => Vlan::Untagged,
            },
            src: judged.source.map(|(address, _)| address.to_string()),
            sport: port(judged.source),
            dst: judged.target.map(|(address, _)| address.to_string()),
            dport: port(judged.target),
            proto: judged.protocol,
            host: judged.host.as_deref(),
            category: name(categories, judged.category.map(usize::from)),
            direction: if judged.egress { "out" } else { "in" },
            cut: judged.cut,
        }
    }
}

/// Writes one outcome; the table's head goes before packet 1.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(out: &mut impl Write, style: Style, line: &Line<'_>) -> io::Result<()> {
    if style == Style::Json {
        serde_json::to_writer(&mut *out, line)?;
        return writeln!(out);
    }
    if line.packet == 1 {
        writeln!(
            out,
            "{:>7}  {:<7} {:<16} {:<12} {:<9} {:<6} {:<43} {:<43} host",
            "packet", "verdict", "reason", "room", "vlan", "proto", "from", "to"
        )?;
    }
    let vlan = match &line.vlan {
        Vlan::Untagged => String::new(),
        Vlan::Single(vlan) => vlan.to_string(),
        Vlan::Stacked(vlans) => vlans.clone(),
    };
    writeln!(
        out,
        "{:>7}  {:<7} {:<16} {:<12} {:<9} {:<6} {:<43} {:<43} {}{}{}",
        line.packet,
        line.verdict.unwrap_or("-"),
        line.reason,
        line.room.unwrap_or("-"),
        vlan,
        line.proto,
        end(line.src.as_deref(), line.sport),
        end(line.dst.as_deref(), line.dport),
        line.host.unwrap_or_default(),
        line.category
            .map(|category| format!(" [{category}]"))
            .unwrap_or_default(),
        if line.cut > 0 {
            format!(" ({} bytes cut off by the recorder)", line.cut)
        } else {
            String::new()
        },
    )
}

fn end(address: Option<&str>, port: Option<u16>) -> String {
    match (address, port) {
        (Some(address), Some(port)) if address.contains(':') => format!("[{address}]:{port}"),
        (Some(address), Some(port)) => format!("{address}:{port}"),
        (Some(address), None) => address.to_owned(),
        _ => "-".to_owned(),
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands fields by reference"
)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use filter_ebpf::abi::Reason;

    fn judged() -> Judged {
        Judged {
            packet: 3,
            time: 0,
            verdict: Some(Verdict::Reject),
            reason: Reason::NameDenied,
            room: Some(1),
            group: Some(0),
            vlan: (Some(20), None),
            source: Some(("10.0.0.1".parse().unwrap(), 40_000)),
            target: Some(("2001:db8::1".parse().unwrap(), 443)),
            protocol: "tls",
            host: Some("www.example".to_owned()),
            category: Some(0),
            egress: false,
            reply: None,
            cut: 0,
            link_type: 1,
        }
    }

    #[test]
    fn a_json_line_has_the_agreed_fields() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let (rooms, groups, categories) = (names(&["a", "b"]), names(&["g"]), names(&["c"]));
        let mut out = Vec::new();
        let frame = judged();
        let line = Line::new(&frame, &rooms, &groups, &categories);
        write(&mut out, Style::Json, &line).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"packet":3,"verdict":"reject","reason":"name_denied","room":"b","group":"g","#,
                r#""vlan":20,"src":"10.0.0.1","sport":40000,"dst":"2001:db8::1","dport":443,"#,
                r#""proto":"tls","host":"www.example","category":"c","direction":"in"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn what_is_not_known_is_null() {
        let frame = Judged {
            vlan: (None, None),
            source: None,
            target: None,
            room: None,
            group: None,
            host: None,
            category: None,
            ..judged()
        };
        let line = Line::new(&frame, &[], &[], &[]);
        let value = serde_json::to_value(&line).unwrap();
        for field in ["vlan", "src", "dst", "room", "group", "host", "category"] {
            assert!(value[field].is_null(), "{field}: {value}");
        }
        let frame = Judged {
            vlan: (Some(100), Some(7)),
            ..judged()
        };
        let line = Line::new(&frame, &[], &[], &[]);
        assert_eq!(serde_json::to_value(&line).unwrap()["vlan"], "100.7");
    }

    #[test]
    fn the_table_shows_both_ends() {
        let mut out = Vec::new();
        let frame = judged();
        write(&mut out, Style::Table, &Line::new(&frame, &[], &[], &[])).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("10.0.0.1:40000"), "{text}");
        assert!(text.contains("[2001:db8::1]:443"), "{text}");
    }
}
