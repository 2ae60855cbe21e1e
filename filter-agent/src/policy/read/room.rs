//! `[[room]]`: where it is, who is in it, when it is open.

use ipnet::IpNet;
use toml::de::DeValue;

use super::fields::{At, Fields, Span, expected, number};
use super::lesson::{timetable, windows};
use super::names::{Context, decision};
use super::network::net;
use crate::calendar::{Bells, PlainWindow, Timetable};
use crate::policy::problem::Problems;
use crate::policy::{Door, MAX_ROOMS, Network, Room, Tag};

/// VLAN identifiers (IEEE 802.1Q §9.6).
const VLANS: std::ops::RangeInclusive<i64> = 1..=4094;
/// What `abi::Room` has space for.
const MAX_SUBNETS4: usize = 6;
const MAX_SUBNETS6: usize = 4;
/// Windows of a room.
const MAX_WINDOWS: usize = 200;

/// A room and where its parts stand, for the checks across rooms.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) room: Room,
    pub(super) place: Span,
    pub(super) subnets: Vec<At<IpNet>>,
    pub(super) windows: Vec<At<PlainWindow>>,
}

/// Rooms that bring their lessons along add a timetable of their own.
pub(super) fn rooms(
    top: &mut Fields<'_, '_>,
    cx: &Context,
    network: &Network,
    bells: &[Bells],
    timetables: &mut Vec<Timetable>,
    out: &mut Problems<'_>,
) -> Vec<Read> {
    let found = top.tables("room", out);
    if found.is_empty() {
        out.at(
            &top.spot("room"),
            "expected at least one [[room]] with name, vlan and group",
        );
    }
    if let Some(over) = found.get(MAX_ROOMS) {
        out.at(
            &over.span,
            format!("expected at most {MAX_ROOMS} rooms, found {}", found.len()),
        );
    }
    let mut list = Vec::new();
    for mut fields in found {
        let read = room(&mut fields, cx, network, bells, timetables, out);
        fields.finish(out);
        // A room that cannot be read keeps its place; nobody sees it.
        list.extend(read);
    }
    list
}

fn room(
    fields: &mut Fields<'_, '_>,
    cx: &Context,
    network: &Network,
    bells: &[Bells],
    timetables: &mut Vec<Timetable>,
    out: &mut Problems<'_>,
) -> Option<Read> {
    let name = fields.take("name").and_then(|name| name.get_ref().as_str());
    let name = name.unwrap_or_default().trim().to_string();
    let title = fields.text("title", out).map(|title| title.value);
    let interface = fields.text("interface", out).and_then(|name| {
        let at = network.lan.iter().position(|lan| *lan == name.value);
        if at.is_none() {
            out.at(
                &name.span,
                format!(
                    "expected an interface of `lan`: {}, found \"{}\"",
                    network.lan.join(", "),
                    name.value
                ),
            );
        }
        at
    });
    let tag = tag(fields, out);
    let group = fields.need_text("group", "\"students\"", out);
    let group = group.and_then(|group| cx.groups.find(&group, out));
    let subnets = fields.list("subnets", out, |value, out| {
        let net = net(value, out)?;
        Some(At {
            value: net,
            span: value.span(),
        })
    });
    let v4 = subnets
        .iter()
        .filter(|net| net.value.addr().is_ipv4())
        .count();
    if v4 > MAX_SUBNETS4 || subnets.len() - v4 > MAX_SUBNETS6 {
        out.at(
            &fields.spot("subnets"),
            format!("expected at most {MAX_SUBNETS4} IPv4 and {MAX_SUBNETS6} IPv6 networks"),
        );
    }
    let class_teacher = fields
        .text("class_teacher", out)
        .map(|teacher| teacher.value);
    let windows = windows(fields, out);
    if windows.len() > MAX_WINDOWS {
        out.at(
            &fields.spot("open"),
            format!(
                "expected at most {MAX_WINDOWS} windows, found {}",
                windows.len()
            ),
        );
    }
    let timed = fields.has("open") || fields.has("timetable") || fields.has("lessons");
    let table = own_timetable(fields, &name, cx, bells, timetables, out);
    let supervised = fields.flag("supervised", out).unwrap_or(false);
    if supervised && !timed {
        out.at(
            &fields.spot("supervised"),
            "a supervised room needs a timetable: give it `timetable`, `lessons` or `open`",
        );
    }
    let follows_calendar = fields.flag("follows_calendar", out).unwrap_or(true);
    // With lessons of its own the decision was read with them.
    let decision = match table.filter(|_| fields.has("lessons")) {
        Some(own) => timetables.get(own).and_then(|own| own.decision.clone()),
        None => decision(fields, cx, out),
    };
    let (tag, place) = tag?;
    let door = if timed {
        Door::Timed {
            timetable: table,
            windows: windows.iter().map(|window| window.value.clone()).collect(),
        }
    } else {
        Door::Always
    };
    Some(Read {
        room: Room {
            name,
            title,
            interface,
            tag,
            group: group?,
            subnets: subnets.iter().map(|net| net.value).collect(),
            class_teacher,
            supervised,
            door,
            follows_calendar,
            decision,
            line: out.line(fields.span.start),
        },
        place,
        subnets,
        windows,
    })
}

fn own_timetable(
    fields: &mut Fields<'_, '_>,
    name: &str,
    cx: &Context,
    bells: &[Bells],
    timetables: &mut Vec<Timetable>,
    out: &mut Problems<'_>,
) -> Option<usize> {
    if fields.has("lessons") {
        if fields.has("timetable") {
            out.at(
                &fields.spot("timetable"),
                "a room has either a `timetable` or `lessons` of its own",
            );
        }
        let own = timetable(fields, name.to_string(), cx, bells, out)?;
        timetables.push(own);
        return Some(timetables.len() - 1);
    }
    let named = fields.text("timetable", out)?;
    cx.timetables.find(&named, out)
}

fn tag(fields: &mut Fields<'_, '_>, out: &mut Problems<'_>) -> Option<(Tag, Span)> {
    let untagged = fields.flag("untagged", out).unwrap_or(false);
    let Some(value) = fields.take("vlan") else {
        if !untagged {
            out.at(&fields.span, "expected `vlan`, such as vlan = 12, vlan = [100, 12] for two tags, or untagged = true");
            return None;
        }
        return Some((Tag::Untagged, fields.spot("untagged")));
    };
    if untagged {
        out.at(
            &fields.spot("untagged"),
            "a room is either untagged or has a VLAN",
        );
    }
    let tag = match value.get_ref() {
        DeValue::Integer(_) => Tag::Vlan(number(value, VLANS, out)? as u16),
        DeValue::Array(tags) if tags.len() == 2 => {
            let mut tags = tags.iter().map(|tag| number(tag, VLANS, out));
            let (outer, inner) = (tags.next()?, tags.next()?);
            Tag::QinQ(outer? as u16, inner? as u16)
        }
        other => {
            out.at(
                &value.span(),
                expected("a VLAN from 1 to 4094, or a pair [outer, inner]", other),
            );
            return None;
        }
    };
    Some((tag, value.span()))
}
