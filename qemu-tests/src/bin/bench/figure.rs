//! A figure, its target, and the table of them.

use std::fmt::Write as _;

use serde::Serialize;

/// One measured figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) what: &'static str,
    /// How much.
    pub(crate) value: f64,
    /// Of what.
    pub(crate) unit: &'static str,
    /// What it must not exceed; none if it is there for comparison.
    pub(crate) target: Option<f64>,
}

impl Figure {
    fn verdict(&self) -> &'static str {
        match self.target {
            None => "",
            Some(target) if self.value <= target => "reached",
            Some(_) => "MISSED",
        }
    }
}

/// Write figures down for people.
pub(crate) fn table(figures: &[Figure]) -> String {
    let width = figures.iter().map(|figure| figure.what.len()).max().unwrap_or(0);
    let mut out = String::new();
    for figure in figures {
        let target = figure.target.map_or_else(String::new, |target| format!("<= {target} {}", figure.unit));
        let (what, value, unit) = (figure.what, figure.value, figure.unit);
        // A String takes all that is written to it.
        let _ = writeln!(out, "{what:width$}  {value:>9.3} {unit:<3}  {target:<12}  {}", figure.verdict());
    }
    out
}

/// Give the value in the middle; 0 for none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
