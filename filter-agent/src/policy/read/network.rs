//! `[network]`, the agent's settings, roles and persons.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use filter_ebpf::abi::{MAX_LINKS, Verdict};
use ipnet::IpNet;
use jiff::tz::TimeZone;

use super::fields::{At, Fields, Value, text};
use super::names::{Context, decision, one_or_more};
use crate::policy::problem::Problems;
use crate::policy::{Network, Person, Roles, Settings};
use crate::words::closest;

/// Own networks at most.
const MAX_OWN: usize = 256;

const VERDICTS: &[(&str, Verdict)] = &[
    ("pass", Verdict::Pass),
    ("drop", Verdict::Drop),
    ("reject", Verdict::Reject),
];

pub(super) fn timezone(top: &mut Fields<'_, '_>, out: &mut Problems<'_>) -> TimeZone {
    let Some(name) = top.need_text("timezone", "\"Asia/Bishkek\"", out) else {
        return TimeZone::UTC;
    };
    match TimeZone::get(&name.value) {
        Ok(zone) => zone,
        Err(_) => {
            let known: Vec<_> = jiff::tz::db().available().collect();
            let near = closest(&name.value, known.iter().map(|zone| zone.as_str()));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
            out.at(
                &name.span,
                format!("expected a time zone of the IANA database such as \"Asia/Bishkek\", found \"{}\"{hint}", name.value),
            );
            TimeZone::UTC
        }
    }
}

/// The table, and whether it says which networks are the school's own.
pub(super) fn network(top: &mut Fields<'_, '_>, out: &mut Problems<'_>) -> (Network, bool) {
    let mut network = Network {
        lan: Vec::new(),
        wan: Vec::new(),
        generic: false,
        own: Vec::new(),
        resolvers: Vec::new(),
        // A VLAN that nobody wrote down belongs to nobody who answers for it.
        unknown_vlan: Verdict::Drop,
        // Pupils without a known timetable are pupils without a teacher.
        when_stale: Verdict::Reject,
        // Eight times the longest hello measured with post-quantum keys.
        hello_cap: 16 * 1024,
        // About a tenth of a core.
        quic_budget: 2000,
    };
    if !top.has("network") {
        out.at(
            &top.span,
            "expected a table [network] with the interfaces, such as lan = [\"eth1\"]",
        );
    }
    let Some(mut fields) = top.table("network", out) else {
        return (network, false);
    };
    network.lan = interfaces(&mut fields, "lan", out);
    network.wan = interfaces(&mut fields, "wan", out);
    if fields.is_empty_list("lan") {
        out.at(
            &fields.spot("lan"),
            "expected at least one interface that carries the rooms, such as lan = [\"eth1\"]",
        );
    }
    if network.lan.len() > MAX_LINKS {
        out.at(
            &fields.spot("lan"),
            format!(
                "expected at most {MAX_LINKS} interfaces, found {}",
                network.lan.len()
            ),
        );
    }
    if let Some(both) = network.lan.iter().find(|name| network.wan.contains(name)) {
        out.at(
            &fields.spot("wan"),
            format!("\"{both}\" stands in `lan` already; the two sides need an interface each"),
        );
    }
    network.generic = fields.flag("generic", out).unwrap_or(network.generic);
    let own_is_written = fields.has("own");
    if own_is_written {
        network.own = fields.list("own", out, net);
        if network.own.len() > MAX_OWN {
            out.at(
                &fields.spot("own"),
                format!(
                    "expected at most {MAX_OWN} own networks, found {}",
                    network.own.len()
                ),
            );
        }
    }
    network.resolvers = fields.list("resolvers", out, address);
    if let Some(verdict) = fields.word("unknown_vlan", VERDICTS, out) {
        network.unknown_vlan = verdict;
    }
    if let Some(verdict) = fields.word("when_stale", VERDICTS, out) {
        network.when_stale = verdict;
    }
    if let Some(cap) = fields.number("hello_cap", 2048..=65_536, out) {
        network.hello_cap = cap as u32;
    }
    if let Some(budget) = fields.number("quic_budget", 1..=1_000_000, out) {
        network.quic_budget = budget as u32;
    }
    fields.finish(out);
    (network, own_is_written)
}

fn interfaces(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    out: &mut Problems<'_>,
) -> Vec<String> {
    let found = one_or_more(fields.take(key), out);
    let mut names: Vec<String> = Vec::new();
    for name in found {
        // IFNAMSIZ of linux/if.h is 16 with the closing zero.
        if name.value.len() > 15 || name.value.contains(['/', ' ', ':']) {
            out.at(&name.span, format!("expected the name of an interface (at most 15 bytes, no space, / or :), found \"{}\"", name.value));
        } else if names.contains(&name.value) {
            out.at(&name.span, format!("\"{}\" stands here twice", name.value));
        } else {
            names.push(name.value);
        }
    }
    names
}

/// A network; a single address is a network of one.
pub(super) fn net(value: &Value<'_>, out: &mut Problems<'_>) -> Option<IpNet> {
    let found = text(value, out)?;
    if let Ok(address) = found.value.parse::<IpAddr>() {
        return Some(address.into());
    }
    let Ok(net) = found.value.parse::<IpNet>() else {
        out.at(&found.span, format!("expected an IPv4 or IPv6 network such as 10.1.12.0/24 or 2001:db8:12::/64, found \"{}\"", found.value));
        return None;
    };
    if net.trunc() != net {
        out.at(
            &found.span,
            format!(
                "the address has bits set beyond its prefix; write \"{}\"",
                net.trunc()
            ),
        );
        return None;
    }
    Some(net)
}

fn address(value: &Value<'_>, out: &mut Problems<'_>) -> Option<IpAddr> {
    let found = text(value, out)?;
    let address = found.value.parse::<IpAddr>().ok();
    if address.is_none() {
        out.at(
            &found.span,
            format!(
                "expected an IPv4 or IPv6 address such as 10.0.0.53, found \"{}\"",
                found.value
            ),
        );
    }
    address
}

pub(super) fn settings(top: &mut Fields<'_, '_>, out: &mut Problems<'_>) -> Settings {
    let day = Duration::from_secs(24 * 60 * 60);
    let mut settings = Settings {
        metrics: Some(SocketAddr::from(([127, 0, 0, 1], 9478))),
        socket: PathBuf::from("/run/school-filter/control.sock"),
        state: PathBuf::from("/var/lib/school-filter"),
        lists_every: day,
        lists_proxy: None,
        lists_max: 256 << 20,
        retention: day * 30,
        audit_retention: day * 3 * 365,
        // One blocked try is an accident.
        incident_tries: 5,
        incident_within: Duration::from_secs(10 * 60),
        webhook: None,
        mail_command: Vec::new(),
        notify_per_hour: 12,
        contact: None,
    };
    if let Some(mut fields) = top.table("metrics", out) {
        let on = fields.flag("enabled", out).unwrap_or(true);
        if let Some(listen) = fields.text("listen", out) {
            match listen.value.parse() {
                Ok(address) => settings.metrics = Some(address),
                Err(_) => out.at(
                    &listen.span,
                    format!(
                        "expected an address and port such as 127.0.0.1:9478, found \"{}\"",
                        listen.value
                    ),
                ),
            }
        }
        if !on {
            settings.metrics = None;
        }
        fields.finish(out);
    }
    if let Some(mut fields) = top.table("control", out) {
        path(&mut fields, "socket", &mut settings.socket, out);
        path(&mut fields, "state", &mut settings.state, out);
        settings.contact = fields.text("contact", out).map(|contact| contact.value);
        fields.finish(out);
    }
    if let Some(mut fields) = top.table("lists", out) {
        if let Some(hours) = fields.number("update_hours", 1..=24 * 31, out) {
            settings.lists_every = Duration::from_secs(hours as u64 * 3600);
        }
        if let Some(mib) = fields.number("max_mib", 1..=2048, out) {
            settings.lists_max = (mib as u64) << 20;
        }
        settings.lists_proxy = url(
            &mut fields,
            "proxy",
            &["http://", "https://", "socks5://"],
            out,
        );
        fields.finish(out);
    }
    if let Some(mut fields) = top.table("privacy", out) {
        if let Some(days) = fields.number("retention_days", 1..=366, out) {
            settings.retention = day * days as u32;
        }
        if let Some(days) = fields.number("audit_days", 30..=3660, out) {
            settings.audit_retention = day * days as u32;
        }
        fields.finish(out);
    }
    if let Some(mut fields) = top.table("incidents", out) {
        if let Some(tries) = fields.number("tries", 2..=1000, out) {
            settings.incident_tries = tries as u32;
        }
        if let Some(minutes) = fields.number("minutes", 1..=240, out) {
            settings.incident_within = Duration::from_secs(minutes as u64 * 60);
        }
        fields.finish(out);
    }
    if let Some(mut fields) = top.table("notify", out) {
        settings.webhook = url(&mut fields, "webhook", &["http://", "https://"], out);
        settings.mail_command = fields
            .texts("mail_command", out)
            .into_iter()
            .map(|part| part.value)
            .collect();
        if let Some(rate) = fields.number("per_hour", 1..=1000, out) {
            settings.notify_per_hour = rate as u32;
        }
        fields.finish(out);
    }
    settings
}

fn path(fields: &mut Fields<'_, '_>, key: &'static str, to: &mut PathBuf, out: &mut Problems<'_>) {
    if let Some(found) = fields.text(key, out) {
        let path = PathBuf::from(&found.value);
        if path.is_absolute() {
            *to = path;
        } else {
            out.at(
                &found.span,
                format!(
                    "expected a path from the root such as {}, found \"{}\"",
                    to.display(),
                    found.value
                ),
            );
        }
    }
}

pub(super) fn is_url(text: &At<String>, schemes: &[&str], out: &mut Problems<'_>) -> bool {
    let rest = schemes
        .iter()
        .find_map(|scheme| text.value.strip_prefix(scheme));
    let fine = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && !text.value.contains(' ');
    if !fine {
        out.at(
            &text.span,
            format!(
                "expected a URL that begins with {}, found \"{}\"",
                schemes.join(" or "),
                text.value
            ),
        );
    }
    fine
}

fn url(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    schemes: &[&str],
    out: &mut Problems<'_>,
) -> Option<String> {
    let found = fields.text(key, out)?;
    is_url(&found, schemes, out).then_some(found.value)
}

pub(super) fn roles(top: &mut Fields<'_, '_>, out: &mut Problems<'_>) -> Roles {
    let Some(mut fields) = top.table("roles", out) else {
        return Roles::default();
    };
    let mut take = |key, out: &mut Problems<'_>| -> Vec<String> {
        let mut groups = Vec::new();
        for group in one_or_more(fields.take(key), out) {
            if group.value.len() > 32 || group.value.contains([' ', ':', '/']) {
                out.at(
                    &group.span,
                    format!(
                        "expected the name of a Unix group, found \"{}\"",
                        group.value
                    ),
                );
            } else {
                groups.push(group.value);
            }
        }
        groups
    };
    let roles = Roles {
        read_only: take("read_only", out),
        teacher: take("teacher", out),
        responsible: take("responsible", out),
        admin: take("admin", out),
    };
    fields.finish(out);
    roles
}

pub(super) fn persons(
    top: &mut Fields<'_, '_>,
    cx: &Context,
    out: &mut Problems<'_>,
) -> Vec<Person> {
    let mut persons = Vec::new();
    for mut fields in top.tables("person", out) {
        let name = fields.need_text("name", "\"A. Asanova\"", out);
        let duty = fields.need_text("duty", "\"responsible for Internet access\"", out);
        let user = fields.text("user", out).map(|user| user.value);
        let decision = decision(&mut fields, cx, out);
        fields.finish(out);
        if let (Some(name), Some(duty)) = (name, duty) {
            persons.push(Person {
                name: name.value,
                duty: duty.value,
                user,
                decision,
            });
        }
    }
    persons
}
