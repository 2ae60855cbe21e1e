//! `/metrics` for Prometheus. Labels are rooms, reasons, categories and
//! numbers: no address, device or host name.

mod server;
mod totals;

use prometheus::core::Collector;
use prometheus::{Encoder as _, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

pub use server::serve;
pub use totals::Totals;

/// Everything that one scrape shows.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub totals: Totals,
    /// Rooms and whether they are open.
    pub rooms: Vec<(String, bool)>,
    pub generation: u32,
    pub policy_age_seconds: f64,
    pub policy_load_seconds: f64,
    pub apply_failures: u64,
    /// Interface, side, mode (`none` where the filter does not hang).
    pub attached: Vec<(String, String, String)>,
    /// Category, position of the list in it from 1, age in seconds.
    pub lists: Vec<(String, usize, f64)>,
    /// Map, share of its entries in use.
    pub maps: Vec<(&'static str, f64)>,
    pub events: u64,
    pub events_lost: u64,
    pub events_suppressed: u64,
    pub leases: usize,
    pub grants: usize,
    pub blocks: usize,
    pub reports: usize,
    pub incidents_open: usize,
    pub incidents: u64,
    pub notifications_dropped: u64,
    pub store_degraded: bool,
    pub store_set_aside: bool,
    /// Until the kernel's timetable runs out without the agent.
    pub known_seconds: Option<f64>,
}

type Result<T> = std::result::Result<T, prometheus::Error>;

/// The scrape as text (Prometheus' exposition format 0.0.4).
///
/// # Errors
/// When a metric is registered twice or a label is wrong: a mistake in this
/// file.
pub fn render(snapshot: &Snapshot) -> Result<String> {
    let page = Page(Registry::new());
    traffic(&page, &snapshot.totals)?;
    let open = page.flags("room_open", "Whether a room is open.", &["room"])?;
    for (room, is_open) in &snapshot.rooms {
        open.with_label_values(&[room]).set(i64::from(*is_open));
    }
    let attached = page.flags(
        "interface_attached",
        "Whether the filter hangs on an interface of the policy, and how.",
        &["interface", "side", "mode"],
    )?;
    for (interface, side, mode) in &snapshot.attached {
        let hangs = i64::from(mode != "none");
        attached
            .with_label_values(&[interface, side, mode])
            .set(hangs);
    }
    let lists = page.gauges(
        "list_age_seconds",
        "Age of the copy in use, by the list's position in its category.",
        &["category", "list"],
    )?;
    for (category, position, age) in &snapshot.lists {
        let position = position.to_string();
        lists.with_label_values(&[category, &position]).set(*age);
    }
    let maps = page.gauges("map_fill_ratio", "Share of a kernel map in use.", &["map"])?;
    for (map, fill) in &snapshot.maps {
        maps.with_label_values(&[map]).set(*fill);
    }
    singles(&page, snapshot)?;
    let mut text = Vec::new();
    TextEncoder::new().encode(&page.0.gather(), &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn traffic(page: &Page, totals: &Totals) -> Result<()> {
    let labels = ["room", "verdict", "reason"];
    let packets = page.counters("packets_total", "Frames judged.", &labels)?;
    let bytes = page.counters("bytes_total", "Bytes of frames judged.", &labels)?;
    for (room, verdict, reason, count) in totals.rooms() {
        let labels = [room, verdict.name(), reason.name()];
        packets.with_label_values(&labels).inc_by(count.packets);
        bytes.with_label_values(&labels).inc_by(count.bytes);
    }
    let labels = ["category", "verdict"];
    let packets = page.counters(
        "category_packets_total",
        "Frames that a category decided.",
        &labels,
    )?;
    let bytes = page.counters(
        "category_bytes_total",
        "Bytes of frames that a category decided.",
        &labels,
    )?;
    for (category, verdict, count) in totals.categories() {
        let labels = [category, verdict.name()];
        packets.with_label_values(&labels).inc_by(count.packets);
        bytes.with_label_values(&labels).inc_by(count.bytes);
    }
    Ok(())
}

fn singles(page: &Page, snapshot: &Snapshot) -> Result<()> {
    let gauge = |name, help, value: f64| -> Result<()> {
        let gauge = page.gauges(name, help, &[])?;
        gauge.with_label_values::<&str>(&[]).set(value);
        Ok(())
    };
    let s = snapshot;
    let of = |count: usize| count as f64;
    gauge(
        "policy_generation",
        "Number of the image in force.",
        f64::from(s.generation),
    )?;
    gauge(
        "policy_age_seconds",
        "Since the policy was applied.",
        s.policy_age_seconds,
    )?;
    gauge(
        "policy_load_seconds",
        "From reading the policy to its being in force.",
        s.policy_load_seconds,
    )?;
    if let Some(seconds) = s.known_seconds {
        gauge(
            "timetable_known_seconds",
            "How far ahead the kernel knows every timetable without the agent.",
            seconds,
        )?;
    }
    gauge("leases", "Rooms held by a teacher.", of(s.leases))?;
    gauge("grants", "Grants in force.", of(s.grants))?;
    gauge(
        "blocks",
        "Targets blocked by hand or by a report.",
        of(s.blocks),
    )?;
    gauge(
        "council_reports",
        "Reports that wait for the council.",
        of(s.reports),
    )?;
    gauge(
        "incidents_open",
        "Incidents that nobody has closed.",
        of(s.incidents_open),
    )?;
    gauge(
        "store_degraded",
        "Whether the store is in memory because its file fails.",
        f64::from(u8::from(s.store_degraded)),
    )?;
    gauge(
        "store_set_aside",
        "Whether the store's file was corrupt and was set aside since the agent started.",
        f64::from(u8::from(s.store_set_aside)),
    )?;
    let counter = |name, help, value: u64| -> Result<()> {
        let counter = page.counters(name, help, &[])?;
        counter.with_label_values::<&str>(&[]).inc_by(value);
        Ok(())
    };
    counter(
        "policy_apply_failures_total",
        "Policies that were refused.",
        s.apply_failures,
    )?;
    counter("events_total", "Events read from the kernel.", s.events)?;
    counter(
        "events_lost_total",
        "Events that found the ring full, or were not understood.",
        s.events_lost,
    )?;
    counter(
        "events_suppressed_total",
        "Refused packets past a core's share of events in a second.",
        s.events_suppressed,
    )?;
    counter("incidents_total", "Incidents opened.", s.incidents)?;
    counter(
        "notifications_dropped_total",
        "Notifications over the rate limit, or that failed.",
        s.notifications_dropped,
    )
}

struct Page(Registry);

impl Page {
    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.keep(IntCounterVec::new(options(name, help), labels)?)
    }

    fn flags(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.keep(IntGaugeVec::new(options(name, help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec> {
        self.keep(GaugeVec::new(options(name, help), labels)?)
    }

    fn keep<M: Collector + Clone + 'static>(&self, metric: M) -> Result<M> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("school_filter")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use filter_ebpf::abi::{Count, Reason, Verdict};

    use super::*;

    fn snapshot() -> Snapshot {
        let mut totals = Totals::default();
        let count = Count {
            packets: 3,
            bytes: 300,
        };
        totals.add("101", Verdict::Reject, Reason::NameDenied, count);
        totals.add("101", Verdict::Pass, Reason::NameAllowed, count);
        totals.add_category("adult", Verdict::Reject, count);
        Snapshot {
            totals,
            rooms: vec![("101".into(), true), ("кабинет \"7\"".into(), false)],
            attached: vec![("lan0".into(), "lan".into(), "native".into())],
            lists: vec![("adult".into(), 1, 60.0)],
            maps: vec![("override_names", 0.5)],
            ..Snapshot::default()
        }
    }

    #[test]
    fn counts_appear_under_their_labels() {
        let text = render(&snapshot()).unwrap();
        for line in [
            "school_filter_packets_total{reason=\"name_denied\",room=\"101\",verdict=\"reject\"} 3",
            "school_filter_bytes_total{reason=\"name_allowed\",room=\"101\",verdict=\"pass\"} 300",
            "school_filter_category_packets_total{category=\"adult\",verdict=\"reject\"} 3",
            "school_filter_room_open{room=\"101\"} 1",
            "school_filter_room_open{room=\"кабинет \\\"7\\\"\"} 0",
            "school_filter_list_age_seconds{category=\"adult\",list=\"1\"} 60",
            "school_filter_store_degraded 0",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}\n{text}");
        }
    }

    /// Prometheus' own checker, where its package is installed.
    #[test]
    fn promtool_finds_nothing_to_say() {
        let Ok(mut promtool) = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
        else {
            eprintln!("skipped: promtool is not installed (package prometheus)");
            return;
        };
        let text = render(&snapshot()).unwrap();
        let mut input = promtool.stdin.take().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        drop(input);
        let output = promtool.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.trim().is_empty(), "{said}");
    }
}
