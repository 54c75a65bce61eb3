//! Annotations for GitHub: it shows them at the line that failed.
//!
//! Source: GitHub Actions, "Workflow commands", "Setting an error message".

use crate::verify::{Outcome, Verdict};

/// Write a line for each verdict that is not good. In: `name`, what was tested, which is pointed at if no line of a test is.
#[must_use]
pub fn github(name: &str, verdicts: &[Verdict]) -> String {
    let bad = verdicts.iter().filter(|verdict| verdict.result != Outcome::Passed);
    let lines = bad.map(|verdict| {
        let at = verdict.failed_step().and_then(|(step, _)| step.at.clone());
        let place = match at {
            Some(at) => format!("file={},line={}", property(&at.file), at.line),
            None => format!("file={}", property(name)),
        };
        let title = property(&format!("{} {}", verdict.cell, verdict.result));
        format!("::error {place},title={title}::{}\n", message(&verdict.why()))
    });
    lines.collect()
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
