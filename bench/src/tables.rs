//! `prog.*` rows of the tables alone: one random question per run.

use anyhow::Result;
use filter_agent::kernel::fresh_secret;
use filter_ebpf::tables::Table;

use crate::peers::Peers;
use crate::rows::Rows;
use crate::workload::{Prefixes, image};

const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];
const RUNS: u32 = 500_000;
const TABLES: [&str; 5] = ["ranges4", "lpm4", "ranges6", "lpm6", "names"];

pub(crate) fn measure(rows: &mut Rows, rounds: u32) -> Result<()> {
    let secret = fresh_secret()?;
    for size in SIZES {
        eprintln!("prog: tables of {size}");
        let prefixes = Prefixes::random(size);
        let image = image(&prefixes, size, &secret)?;
        let peers = Peers::load(&image, &prefixes)?;
        let row = |name: &str| format!("prog.{name}.{size}");
        for _ in 0..rounds {
            rows.add(&row("empty"), "ns", peers.time("empty", RUNS)?);
            for table in TABLES {
                let whole = format!("{}.whole", row(table));
                rows.add(&whole, "ns", peers.time(table, RUNS)?);
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
        let v4 = [Table::Ranges4Root, Table::Ranges4];
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
    Ok(())
}
