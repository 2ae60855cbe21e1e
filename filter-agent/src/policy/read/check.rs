//! Checks across rooms: two rooms must not share a place, an address or a
//! name, and a room must not be open twice at once.

use super::room::Read;
use crate::calendar::week_spans;
use crate::policy::problem::Problems;
use crate::policy::{Policy, Tag};

pub(super) fn rooms(rooms: &[Read], policy: &Policy, out: &mut Problems<'_>) {
    for (i, read) in rooms.iter().enumerate() {
        let earlier = rooms.get(..i).unwrap_or(&[]);
        place(read, earlier, policy, out);
        subnets(read, earlier, out);
        windows(read, out);
    }
}

fn place(read: &Read, earlier: &[Read], policy: &Policy, out: &mut Problems<'_>) {
    let room = &read.room;
    let clash = earlier.iter().map(|other| &other.room).find(|other| {
        let same_link = match (other.interface, room.interface) {
            (Some(a), Some(b)) => a == b,
            // On every interface: so on this one too.
            _ => true,
        };
        other.tag == room.tag && same_link
    });
    if let Some(other) = clash {
        out.at(
            &read.place,
            format!(
                "{} belongs to the room \"{}\" (line {}) already",
                room.tag, other.name, other.line
            ),
        );
    }
    if room.tag == Tag::Untagged && room.interface.is_none() && policy.network.lan.len() > 1 {
        out.at(
            &read.place,
            "expected `interface` too: an untagged room is one of several interfaces",
        );
    }
}

fn subnets(read: &Read, earlier: &[Read], out: &mut Problems<'_>) {
    for (i, net) in read.subnets.iter().enumerate() {
        let own = read.subnets.iter().take(i);
        if own
            .clone()
            .any(|other| other.value.contains(&net.value) || net.value.contains(&other.value))
        {
            out.at(
                &net.span,
                format!("{} overlaps another network of this room", net.value),
            );
        }
        let clash = earlier.iter().find_map(|other| {
            let theirs = other.room.subnets.iter();
            let found = theirs
                .copied()
                .find(|theirs| theirs.contains(&net.value) || net.value.contains(theirs));
            found.map(|theirs| (theirs, &other.room))
        });
        if let Some((theirs, room)) = clash {
            out.at(
                &net.span,
                format!(
                    "{} overlaps {theirs} of the room \"{}\" (line {})",
                    net.value, room.name, room.line
                ),
            );
        }
    }
}

fn windows(read: &Read, out: &mut Problems<'_>) {
    let spans =
        |window: &crate::calendar::PlainWindow| week_spans(window.days, window.start, window.end);
    for (i, window) in read.windows.iter().enumerate() {
        let mine = spans(&window.value);
        let clash = read.windows.iter().take(i).find(|other| {
            spans(&other.value)
                .iter()
                .any(|a| mine.iter().any(|b| a.0 < b.1 && b.0 < a.1))
        });
        if clash.is_some() {
            out.at(
                &window.span,
                "this window overlaps another one of the room; make them one",
            );
        }
    }
}
