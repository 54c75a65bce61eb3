//! Verdicts as texts: a table for people, JUnit's XML and JSON for programs, annotations for GitHub. Pure.

mod github;
mod json;
mod junit;
mod table;

use super::{Outcome, Verdict};

pub use github::github;
pub use json::json;
pub use junit::junit;
pub use table::{failure, steps, table};

/// Count the verdicts of each kind: passed, failed, unable.
#[must_use]
pub fn counts(verdicts: &[Verdict]) -> (usize, usize, usize) {
    let count = |outcome| verdicts.iter().filter(|verdict| verdict.result == outcome).count();
    (count(Outcome::Passed), count(Outcome::Failed), count(Outcome::Unable))
}

#[cfg(test)]
mod tests;
