//! What is asked of the filter's speed and memory, beside what was reached.

use std::fmt::Write as _;

use crate::rows::Rows;

enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

use Goal::{AtLeast, AtMost};

/// What, its row, and the goal in the row's unit.
const GOALS: &[(&str, &str, Goal)] = &[
    (
        "dropping by 100k ranges, against a bare XDP_DROP",
        "veth.ours-against-drop.100000",
        AtLeast(0.8),
    ),
    (
        "the same by 1M ranges",
        "veth.ours-against-drop.1000000",
        AtLeast(0.7),
    ),
    (
        "the same against the LPM trie, 100k",
        "veth.ours-against-lpm.100000",
        AtLeast(3.0),
    ),
    (
        "the same against nftables, 100k",
        "veth.ours-against-nft.100000",
        AtLeast(6.0),
    ),
    (
        "forwarding one tagged flow, against a bare XDP_PASS",
        "veth.forward-against-pass.1",
        AtLeast(0.9),
    ),
    (
        "forwarding 64k tagged flows, against a bare XDP_PASS",
        "veth.forward-against-pass.65536",
        AtLeast(0.9),
    ),
    (
        "established flow, program alone, hot",
        "prog.established.1",
        AtMost(50.0),
    ),
    (
        "Chromium's hello in two segments, 1M hosts",
        "prog.hello.1000000",
        AtMost(1500.0),
    ),
    (
        "IPv6 ranges against the LPM trie, 100k",
        "prog.ranges6-against-lpm.100000",
        AtLeast(3.0),
    ),
    (
        "table memory per host name",
        "memory.names.1000000",
        AtMost(9.0),
    ),
    (
        "table memory per IPv4 range, 100k",
        "memory.ranges4.100000",
        AtMost(8.0),
    ),
    (
        "table memory per IPv4 range, 1M",
        "memory.ranges4.1000000",
        AtMost(8.0),
    ),
    (
        "apply 1M hosts and 100k ranges",
        "apply.1000000",
        AtMost(1000.0),
    ),
    (
        "apply 5M hosts and 100k ranges",
        "apply.5000000",
        AtMost(5000.0),
    ),
    ("tables of 5M hosts", "memory.hosts.5000000", AtMost(48.0)),
    (
        "agent's peak, 5M hosts",
        "apply.peak.5000000",
        AtMost(400.0),
    ),
    (
        "agent, steady, 1M hosts",
        "apply.steady.1000000",
        AtMost(64.0),
    ),
    ("`block` in force", "apply.block", AtMost(10.0)),
    ("`room close` in force", "apply.room-close", AtMost(10.0)),
    (
        "importing a list of 1M lines, the slowest format",
        "lists.slowest",
        AtLeast(2.0),
    ),
    (
        "a year of the example timetable",
        "schedule.year",
        AtMost(100.0),
    ),
    (
        "timetable that the kernel holds",
        "schedule.days",
        AtLeast(8.0),
    ),
];

/// The table of goals whose rows are wanted, by the rows' medians.
pub(crate) fn markdown(rows: &Rows, wants: impl Fn(&str) -> bool) -> String {
    let mut text = String::from("| goal | row | at | reached | |\n|---|---|---:|---:|---|\n");
    for (what, row, goal) in GOALS.iter().filter(|(_, row, _)| wants(row)) {
        let found = rows.iter().find(|(name, _, _)| name == row);
        let (sign, bound) = match goal {
            AtLeast(bound) => ("≥", bound),
            AtMost(bound) => ("≤", bound),
        };
        let (reached, word) = match found {
            Some((_, unit, spread)) => {
                let met = match goal {
                    AtLeast(bound) => spread.median >= *bound,
                    AtMost(bound) => spread.median <= *bound,
                };
                let word = if met { "reached" } else { "missed" };
                (format!("{:.2} {unit}", spread.median), word)
            }
            None => ("—".to_owned(), "not measured"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {what} | {row} | {sign} {bound} | {reached} | {word} |"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_judged_by_their_direction() {
        let mut rows = Rows::default();
        rows.add("apply.block", "ms", 9.0);
        rows.add("apply.room-close", "ms", 11.0);
        rows.add("veth.ours-against-drop.100000", "×", 0.9);
        let text = markdown(&rows, |row| row != "apply.1000000");
        let line = |row: &str| {
            text.lines()
                .find(|line| line.contains(&format!(" {row} ")))
                .unwrap_or_default()
        };
        assert!(line("apply.block").ends_with("| reached |"));
        assert!(line("apply.room-close").ends_with("| missed |"));
        assert!(line("veth.ours-against-drop.100000").ends_with("| reached |"));
        assert!(line("prog.established.1").ends_with("| not measured |"));
        assert_eq!(line("apply.1000000"), "");
    }
}
