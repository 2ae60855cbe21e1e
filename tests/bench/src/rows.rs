//! What was measured: samples by row, one a round.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Samples of all rows; a row has one sample per round, in order.
#[derive(Default)]
pub(crate) struct Rows {
    rows: BTreeMap<String, Row>,
    refused: BTreeMap<String, String>,
}

struct Row {
    unit: &'static str,
    samples: Vec<f64>,
}

/// The middle of a row's rounds, and their ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Rows {
    pub(crate) fn add(&mut self, name: &str, unit: &'static str, sample: f64) {
        self.rows
            .entry(name.to_owned())
            .or_insert_with(|| Row {
                unit,
                samples: Vec::new(),
            })
            .samples
            .push(sample);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.refused.is_empty()
    }

    /// The row has no figure, and why.
    pub(crate) fn refuse(&mut self, name: &str, why: &str) {
        self.refused.insert(name.to_owned(), why.to_owned());
    }

    /// Rows without a figure.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (&str, &str)> {
        self.refused
            .iter()
            .map(|(name, why)| (name.as_str(), why.as_str()))
    }

    /// Adds the row `name`: `a` divided by `b`, both of the same round.
    pub(crate) fn ratio(&mut self, name: &str, a: &str, b: &str) {
        self.combine(name, "×", a, b, |a, b| a / b);
    }

    /// Adds the row `name`: what `a` takes above `b` in the same round.
    pub(crate) fn above(&mut self, name: &str, a: &str, b: &str) {
        self.combine(name, "ns", a, b, |a, b| a - b);
    }

    fn combine(
        &mut self,
        name: &str,
        unit: &'static str,
        a: &str,
        b: &str,
        join: impl Fn(f64, f64) -> f64,
    ) {
        let samples = match (self.rows.get(a), self.rows.get(b)) {
            (Some(a), Some(b)) => a.samples.iter().zip(&b.samples).map(|(a, b)| join(*a, *b)),
            _ => return,
        }
        .collect();
        self.rows.insert(name.to_owned(), Row { unit, samples });
    }

    /// One line per row: name, unit, spread.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'static str, Spread)> {
        self.rows.iter().filter_map(|(name, row)| {
            spread(&row.samples).map(|spread| (name.as_str(), row.unit, spread))
        })
    }

    pub(crate) fn json(&self) -> Value {
        self.rows
            .iter()
            .filter_map(|(name, row)| {
                let Spread { median, min, max } = spread(&row.samples)?;
                let value = json!({
                    "unit": row.unit, "median": median, "min": min, "max": max,
                    "samples": row.samples,
                });
                Some((name.clone(), value))
            })
            .chain(
                self.refused
                    .iter()
                    .map(|(name, why)| (name.clone(), json!({ "refused": why }))),
            )
            .collect()
    }
}

fn spread(samples: &[f64]) -> Option<Spread> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = if sorted.len().is_multiple_of(2) {
        f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, *sorted.get(middle)?)
    } else {
        *sorted.get(middle)?
    };
    Some(Spread {
        median,
        min: *sorted.first()?,
        max: *sorted.last()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let of = |rows: &Rows, name: &str| {
            let found = rows.iter().find(|(row, _, _)| *row == name);
            found.map(|(_, _, spread)| spread)
        };
        let mut rows = Rows::default();
        for (a, b) in [(10.0, 1.0), (20.0, 4.0), (90.0, 30.0)] {
            rows.add("a", "ns", a);
            rows.add("b", "ns", b);
        }
        rows.ratio("ratio", "a", "b");
        rows.ratio("missing", "a", "c");
        let spread = |median, min, max| Some(Spread { median, min, max });
        assert_eq!(of(&rows, "a"), spread(20.0, 10.0, 90.0));
        assert_eq!(of(&rows, "ratio"), spread(5.0, 3.0, 10.0));
        assert_eq!(of(&rows, "missing"), None);
        rows.add("b", "ns", 5.0);
        assert_eq!(of(&rows, "b"), spread(4.5, 1.0, 30.0));
    }
}
