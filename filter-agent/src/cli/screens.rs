//! Every screen in every language, as files that can be read and corrected by
//! somebody who speaks it: `screens/LANGUAGE.txt`. With `UPDATE_EXPECTED=1`
//! they are written anew, to be read before they are committed.

use filter_ebpf::abi::Reason;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::output::Screen;
use super::*;
use crate::calendar::picture::week_text;
use crate::control::Role;
use crate::policy::Policy;
use crate::words::{Message, Said};

const NOW: &str = "2026-11-24T03:00:00Z";

fn screen(language: Language) -> Screen {
    Screen {
        language,
        zone: TimeZone::fixed(jiff::tz::offset(6)),
        now: NOW.parse().unwrap(),
    }
}

/// A reply as it comes over the socket.
fn reply<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn said(said: Said) -> Value {
    serde_json::to_value(said).unwrap()
}

fn status(screen: &Screen) -> String {
    let problem = Said::new(Message::ListProblem)
        .with("category", "adult")
        .with("problem", "HTTP 503");
    let status = reply(json!({
        "version": "0.1.0", "school": "School No. 12", "started": NOW, "generation": 7,
        "policy": "/etc/school-filter/policy.toml", "applied": "2026-11-23T10:00:00Z",
        "applied_by": "asanova", "load_ms": 412,
        "interfaces": [{"name": "eth1", "side": "lan", "mode": "native"}],
        "rooms": 12, "rooms_open": 3, "known_until": "2026-12-02T03:00:00Z",
        "leases": 2, "grants": 1, "blocks": 4, "reports": 1, "incidents_open": 2,
        "passed": 1234567, "refused": 890, "events_lost": 0,
        "warnings": [said(problem)],
        "shadow": {
            "policy": "new.toml", "until": "2026-11-24T03:45:00Z", "compared": 100,
            "different": 2, "would_pass": 2, "rooms": [
                {"room": "101", "reason": "name_denied", "category": "social",
                 "would_refuse": 0, "would_pass": 2}], "examples": [
                {"room": "101", "host": "vk.com", "now": "reject", "then": "pass", "flows": 2}]},
    }));
    status::text(screen, &status)
}

fn rooms(screen: &Screen) -> String {
    let room = |name: &str, open: bool, because: Said, until: Option<&str>| {
        json!({
            "name": name, "title": "Physics", "tag": "VLAN 101", "group": "students",
            "open": open, "because": said(because), "until": until,
            "lesson": open.then_some("first, №3 (8-A)"), "holder": open.then_some("bekov"),
            "held": null, "passed": 1200, "refused": 3,
        })
    };
    let by = |message: Message| Said::new(message).with("by", "asanova");
    let holiday =
        Said::new(Message::ClosedHoliday).with_texts("name", ["New Year", "Новый год", "Жаңы жыл"]);
    let doors = [
        (true, Said::new(Message::HeldBy).with("teacher", "bekov")),
        (true, Said::new(Message::ByTimetable)),
        (true, Said::new(Message::AlwaysOpen)),
        (true, by(Message::OpenedBy)),
        (false, by(Message::ClosedByFor).with("reason", "exam")),
        (false, Said::new(Message::NoHolder)),
        (false, Said::new(Message::NoTimetable)),
        (false, Said::new(Message::BetweenLessons)),
        (
            false,
            Said::new(Message::ClosedBreak).with("name", "autumn break"),
        ),
        (false, holiday),
    ];
    let rooms: Vec<_> = (101..)
        .zip(doors)
        .map(|(name, (open, because))| {
            let until = (name != 103).then_some("2026-11-24T03:45:00Z");
            reply(room(&name.to_string(), open, because, until))
        })
        .collect();
    [room::table(screen, &rooms), room::table(screen, &[])].concat()
}

fn explain(screen: &Screen) -> String {
    let explanation = |verdict: &str, because: Said| {
        let decision = Said::new(Message::DecisionOf)
            .with("number", 3)
            .with("date", "2026-08-25")
            .with("body", "Methodical council");
        reply(json!({
            "at": NOW, "room": "101", "group": "students", "target": "vk.com",
            "verdict": verdict, "reason": because.key.clone(), "because": said(because),
            "lesson": "first, №3 (8-A)", "holder": "bekov", "category": "social",
            "rule": "policy.toml:42", "list": "lists/social.txt", "line": 3,
            "entry": "vk.com", "decision": said(decision),
            "until": "2026-11-24T03:45:00Z",
        }))
    };
    let denied = explanation("reject", Said::reason(Reason::NameDenied));
    let mut text = explain::text(screen, &denied);
    for reason in Reason::ALL {
        text += &format!(
            "{}: {}\n",
            reason.name(),
            screen.say(&Said::reason(*reason))
        );
    }
    text
}

fn incident(open: bool) -> Value {
    json!({
        "id": 3, "opened": NOW, "last": "2026-11-24T03:10:00Z", "room": "101",
        "lesson": "2026-11-24 first, №3 (8-A)", "class_teacher": "A. Asanova",
        "category": "adult", "tries": 7, "hosts": ["a.example", "b.example"],
        "pseudonym": "k3v9x2mp", "state": if open { "open" } else { "closed" },
        "closed": (!open).then_some("2026-11-24T04:00:00Z"),
        "closed_by": (!open).then_some("asanova"), "note": null,
    })
}

fn incidents(screen: &Screen) -> String {
    let list = [reply(incident(true)), reply(incident(false))];
    [
        incidents::table(screen, &list),
        incidents::table(screen, &[]),
        incidents::one(screen, &list[0]),
        incidents::one(screen, &list[1]),
    ]
    .join("\n")
}

fn decisions(screen: &Screen) -> String {
    let block = |state: &str| {
        reply(json!({
            "id": 8, "target": "found.example", "kind": "report", "state": state,
            "by": "bekov", "reason": "by accident", "since": NOW, "decided": null,
            "decided_by": null, "decision": null,
        }))
    };
    let grant = |what: Value, scope: Value, revoked: Option<&str>| {
        reply(json!({
            "id": 5, "what": what, "scope": scope, "by": "asanova", "reason": "film lesson",
            "since": NOW, "until": "2026-11-24T03:45:00Z", "revoked": revoked,
            "revoked_by": null,
        }))
    };
    let grants = [
        grant(
            json!({"category": "multimedia"}),
            json!({"room": "101"}),
            None,
        ),
        grant(
            json!({"host": "mail.example"}),
            json!({"group": "students"}),
            Some(NOW),
        ),
    ];
    let audit = reply(json!({
        "entries": [{
            "id": 12, "at": NOW, "uid": 1001, "who": "bekov", "action": "lease.take",
            "target": "101", "why": null, "before": null, "after": null}],
        "broken_at": 9,
    }));
    let blocks = ["active", "queued", "confirmed", "lifted"].map(block);
    [
        council::table(screen, &blocks),
        council::table(screen, &[]),
        grant::table(screen, &grants),
        grant::table(screen, &[]),
        audit::text(screen, &audit),
        lists::table(screen, &[]),
    ]
    .join("\n")
}

fn week(screen: &Screen) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let policy = Policy::load(&folder.join("../docs/examples/school-12-rooms.toml")).unwrap();
    let week = "2026-11-10".parse().unwrap();
    ["101", "staff room"]
        .map(|name| {
            week_text(
                &policy,
                policy.room(name).unwrap(),
                week,
                screen.language,
                120,
            )
        })
        .concat()
}

/// Every sentence, with the names of its places as details, so that a reader
/// sees them all.
fn sentences(screen: &Screen) -> String {
    let mut text = String::new();
    for message in Message::ALL {
        let said = Said::new(*message)
            .with_texts("need", Role::Responsible.names())
            .with_texts("have", Role::Teacher.names());
        text += &format!("{}: {}\n", message.key(), screen.say(&said));
    }
    text
}

fn screens(language: Language) -> String {
    let screen = screen(language);
    [
        ("status", status(&screen)),
        ("room list", rooms(&screen)),
        ("explain", explain(&screen)),
        ("schedule show", week(&screen)),
        ("incidents", incidents(&screen)),
        ("council, grant, audit, lists", decisions(&screen)),
        ("sentences", sentences(&screen)),
    ]
    .map(|(name, text)| format!("=== {name}\n{}\n", text.trim_end()))
    .concat()
}

#[test]
fn every_screen_is_as_its_file_says() {
    for language in Language::ALL {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("src/cli/screens/{}.txt", language.code()));
        let seen = screens(language);
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&path, &seen).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        let pairs = seen.lines().zip(expected.lines());
        let first = pairs.clone().position(|(seen, expected)| seen != expected);
        assert!(
            seen == expected,
            "{} differs from line {}: {:?}",
            path.display(),
            first.unwrap_or_else(|| pairs.count()) + 1,
            first.and_then(|line| seen.lines().nth(line)),
        );
    }
}

/// What programs read does not depend on who started them.
#[test]
fn json_is_the_same_in_every_language() {
    let status: crate::control::api::Room = reply(json!({
        "name": "101", "title": null, "tag": "VLAN 101", "group": "students", "open": false,
        "because": said(Said::new(Message::NoHolder)), "until": null, "lesson": null,
        "holder": null, "held": null, "passed": 0, "refused": 0,
    }));
    let text = serde_json::to_string(&status).unwrap();
    assert!(text.is_ascii(), "{text}");
    let failure = Failure::new(
        Code::NotFound,
        Said::new(Message::NoSuchIncident).with("id", 3),
    );
    let text = serde_json::to_string(&failure).unwrap();
    assert!(text.is_ascii(), "{text}");
    let back: Failure = serde_json::from_str(&text).unwrap();
    assert!(back.in_language(Language::Kyrgyz).starts_with("3-окуя жок"));
}
