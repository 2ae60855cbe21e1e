//! Outcomes as a table for people or one JSON object a line.

use std::io::{self, Write};

use filter_ebpf::abi::{Protocol, Reason, Verdict};
use serde::Serialize;

use super::run::Judged;
use crate::words::{Language, Message, Said, Word};

/// How outcomes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A line of columns for each frame, for people.
    Table(Language),
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
            reason: match judged.verdict {
                None => "unsupported_link_type",
                Some(_) if is_unjudged(judged) => "unjudged",
                Some(_) => judged.reason.name(),
            },
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

/// An answer to something that was not judged, or that the capture lacks. In
/// TCP that is a handshake; other protocols have none.
fn is_unjudged(judged: &Judged) -> bool {
    judged.egress && judged.reason == Reason::Handshake && judged.protocol != Protocol::Tcp.name()
}

/// Lines of a table that are looked at before its columns are laid out; what
/// comes later may be wider.
const LOOKED_AT: usize = 500;
const COLUMNS: usize = 9;
/// What is not known, or not there.
const NOTHING: &str = "–";

/// Writes outcomes.
pub struct Printer<W> {
    out: W,
    style: Style,
    /// The table's first lines.
    held: Vec<[String; COLUMNS]>,
    widths: Option<[usize; COLUMNS]>,
}

impl<W: Write> Printer<W> {
    pub fn new(out: W, style: Style) -> Self {
        Self {
            out,
            style,
            held: Vec::new(),
            widths: None,
        }
    }

    /// Writes one outcome, perhaps later.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        let language = match self.style {
            Style::Json => {
                serde_json::to_writer(&mut self.out, line)?;
                return writeln!(self.out);
            }
            Style::Table(language) => language,
        };
        if self.held.is_empty() && self.widths.is_none() {
            self.held.push(head(language));
        }
        let row = row(line, language);
        if let Some(widths) = self.widths {
            return write_row(&mut self.out, &widths, &row);
        }
        self.held.push(row);
        if self.held.len() > LOOKED_AT {
            return self.lay_out();
        }
        Ok(())
    }

    /// Writes what is still held.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.widths.is_none() {
            self.lay_out()?;
        }
        self.out.flush()
    }

    fn lay_out(&mut self) -> io::Result<()> {
        let mut widths = [0; COLUMNS];
        for row in &self.held {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        self.widths = Some(widths);
        for row in self.held.drain(..) {
            write_row(&mut self.out, &widths, &row)?;
        }
        Ok(())
    }
}

fn head(language: Language) -> [String; COLUMNS] {
    let word = |word: Word| word.text(language).to_uppercase();
    [
        word(Word::Packet),
        word(Word::Verdict),
        word(Word::Reason),
        word(Word::Room),
        "VLAN".to_owned(),
        word(Word::Protocol),
        word(Word::Source),
        word(Word::Destination),
        word(Word::Host),
    ]
}

fn row(line: &Line<'_>, language: Language) -> [String; COLUMNS] {
    let mut host = line.host.unwrap_or_default().to_owned();
    if let Some(category) = line.category {
        host += &format!(" [{category}]");
    }
    if line.cut > 0 {
        let cut = Said::new(Message::ReplayCut).with("bytes", line.cut);
        host += &format!(" ({})", cut.in_language(language));
    }
    [
        line.packet.to_string(),
        line.verdict
            .map_or(NOTHING, |verdict| Word::of_verdict(verdict, language))
            .to_owned(),
        line.reason.to_owned(),
        line.room.unwrap_or(NOTHING).to_owned(),
        match &line.vlan {
            Vlan::Untagged => NOTHING.to_owned(),
            Vlan::Single(vlan) => vlan.to_string(),
            Vlan::Stacked(vlans) => vlans.clone(),
        },
        line.proto.to_owned(),
        end(line.src.as_deref(), line.sport),
        end(line.dst.as_deref(), line.dport),
        host.trim_start().to_owned(),
    ]
}

fn write_row(
    out: &mut impl Write,
    widths: &[usize; COLUMNS],
    row: &[String; COLUMNS],
) -> io::Result<()> {
    let mut text = String::new();
    for (column, (cell, width)) in row.iter().zip(*widths).enumerate() {
        if column == 0 {
            text += &format!("{cell:>width$}  ");
        } else {
            text += &format!("{cell:<width$}  ");
        }
    }
    writeln!(out, "{}", text.trim_end())
}

fn end(address: Option<&str>, port: Option<u16>) -> String {
    match (address, port) {
        (Some(address), Some(port)) if address.contains(':') => format!("[{address}]:{port}"),
        (Some(address), Some(port)) => format!("{address}:{port}"),
        (Some(address), None) => address.to_owned(),
        _ => NOTHING.to_owned(),
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
        Printer::new(&mut out, Style::Json).line(&line).unwrap();
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
    fn only_tcp_has_handshakes() {
        let answer = |protocol| Judged {
            verdict: Some(Verdict::Pass),
            reason: Reason::Handshake,
            protocol,
            egress: true,
            ..judged()
        };
        for (frame, reason) in [
            (answer("tcp"), "handshake"),
            (answer("udp"), "unjudged"),
            (answer("icmp"), "unjudged"),
            (
                Judged {
                    egress: false,
                    ..answer("icmp")
                },
                "handshake",
            ),
        ] {
            assert_eq!(Line::new(&frame, &[], &[], &[]).reason, reason, "{frame:?}");
        }
    }

    #[test]
    fn the_table_speaks_the_readers_language() {
        for (language, head) in [(Language::Russian, "РЕШЕНИЕ"), (Language::Kyrgyz, "ЧЕЧИМ")]
        {
            let mut out = Vec::new();
            let frame = Judged { cut: 7, ..judged() };
            let mut printer = Printer::new(&mut out, Style::Table(language));
            printer.line(&Line::new(&frame, &[], &[], &[])).unwrap();
            printer.finish().unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(
                text.contains(head)
                    && text.contains(Word::Reject.text(language))
                    && !text.contains("cut off"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_table_is_as_wide_as_it_must_be() {
        let mut out = Vec::new();
        let (frame, short) = (
            judged(),
            Judged {
                target: None,
                host: None,
                ..judged()
            },
        );
        let mut printer = Printer::new(&mut out, Style::Table(Language::English));
        for frame in [&frame, &short] {
            printer.line(&Line::new(frame, &[], &[], &[])).unwrap();
        }
        printer.finish().unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "PACKET  VERDICT  REASON       ROOM  VLAN  PROTOCOL  FROM            TOWARDS            HOST\n\
             \u{20}    3  reject   name_denied  –     20    tls       10.0.0.1:40000  [2001:db8::1]:443  www.example\n\
             \u{20}    3  reject   name_denied  –     20    tls       10.0.0.1:40000  –\n"
        );
    }

    #[test]
    fn a_long_table_is_not_held_in_memory() {
        let mut out = Vec::new();
        let frame = judged();
        let mut printer = Printer::new(&mut out, Style::Table(Language::English));
        for _ in 0..LOOKED_AT + 1 {
            printer.line(&Line::new(&frame, &[], &[], &[])).unwrap();
        }
        assert!(printer.held.is_empty());
        printer.finish().unwrap();
        assert_eq!(
            out.iter().filter(|byte| **byte == b'\n').count(),
            LOOKED_AT + 2
        );
    }
}
