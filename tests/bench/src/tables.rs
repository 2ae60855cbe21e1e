//! `prog.*` rows of the tables alone: one random question per run.

use anyhow::Result;
use filter_agent::kernel::fresh_secret;
use filter_ebpf::tables::Table;

use crate::Effort;
use crate::peers::Peers;
use crate::rows::Rows;
use crate::workload::{Prefixes, image};

const TABLES: [&str; 5] = ["ranges4", "lpm4", "ranges6", "lpm6", "names"];

/// What the rows' names begin with.
pub(crate) const ROWS: &[&str] = &[
    "prog.ranges4",
    "prog.ranges6",
    "prog.lpm4",
    "prog.lpm6",
    "prog.names",
    "memory",
];

pub(crate) fn measure(rows: &mut Rows, effort: &Effort) -> Result<()> {
    let secret = fresh_secret()?;
    for &size in effort.ranges {
        eprintln!("prog: tables of {size}");
        let prefixes = Prefixes::random(size);
        let image = image(&prefixes, size, &secret)?;
        let peers = Peers::load(&image, &prefixes)?;
        let row = |name: &str| format!("prog.{name}.{size}");
        for _ in 0..effort.rounds {
            rows.add(&row("empty"), "ns", peers.time("empty", effort.runs)?);
            for table in TABLES {
                let whole = format!("{}.whole", row(table));
                rows.add(&whole, "ns", peers.time(table, effort.runs)?);
            }
        }
        for table in TABLES {
            let whole = format!("{}.whole", row(table));
            rows.above(&row(table), &whole, &row("empty"));
        }
        rows.ratio(&row("ranges4-against-lpm"), &row("lpm4"), &row("ranges4"));
        rows.ratio(&row("ranges6-against-lpm"), &row("lpm6"), &row("ranges6"));
        let bytes = |tables: &[Table], entries: usize| {
            let lines: usize = tables.iter().map(|table| image.table(*table).len()).sum();
            lines as f64 * 64.0 / entries as f64
        };
        let v4 = [Table::Ranges4Root, Table::Ranges4, Table::Ranges4Kinds];
        let v6 = [
            Table::Ranges6Tree,
            Table::Ranges6Values,
            Table::Ranges6Lower,
        ];
        for (name, tables, entries) in [
            ("names", &[Table::Names][..], size as usize),
            ("ranges4", &v4, prefixes.v4.len()),
            ("ranges6", &v6, prefixes.v6.len()),
        ] {
            let row = format!("memory.{name}.{size}");
            rows.add(&row, "bytes", bytes(tables, entries));
        }
    }
    for &count in effort.hosts {
        let image = image(&Prefixes::default(), count, &secret)?;
        let mebibytes = image.table(Table::Names).len() as f64 * 64.0 / f64::from(1 << 20);
        rows.add(&format!("memory.hosts.{count}"), "MiB", mebibytes);
    }
    Ok(())
}
