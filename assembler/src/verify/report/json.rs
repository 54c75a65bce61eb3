//! JSON, whose names stay.

use serde_json::json;

use crate::verify::Verdict;

/// Write verdicts as JSON. In: `name`, what was tested.
#[must_use]
pub fn json(name: &str, verdicts: &[Verdict]) -> String {
    let (passed, failed, unable) = super::counts(verdicts);
    let counts = json!({ "passed": passed, "failed": failed, "unable": unable });
    let value = json!({ "version": 1, "name": name, "counts": counts, "verdicts": verdicts });
    serde_json::to_string_pretty(&value).unwrap_or_default()
}
