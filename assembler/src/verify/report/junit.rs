//! JUnit's XML, as continuous integration reads it: a suite for each boot, a case for each step.
//!
//! Source: the schema of Jenkins' xUnit plugin, `junit-10.xsd`; XML 1.0, 2.2.

use std::fmt::Write as _;
use std::time::Duration;

use crate::verify::{Outcome, StepResult, Verdict};

/// Write verdicts as JUnit's XML. In: `name`, what was tested.
#[must_use]
pub fn junit(name: &str, verdicts: &[Verdict]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<Counts> = verdicts.iter().map(Counts::of).collect();
    let sum = |part: fn(&Counts) -> usize| all.iter().map(part).sum::<usize>();
    let took = verdicts.iter().map(|verdict| verdict.took).sum();
    // A String takes all.
    let _ = writeln!(
        xml,
        "<testsuites name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\">",
        escaped(name),
        sum(|one| one.tests),
        sum(|one| one.failures),
        sum(|one| one.errors),
        sum(|one| one.skipped),
        seconds(took)
    );
    for (verdict, counts) in verdicts.iter().zip(&all) {
        suite(&mut xml, name, verdict, counts);
    }
    xml.push_str("</testsuites>\n");
    xml
}

struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Counts {
    fn of(verdict: &Verdict) -> Self {
        let count = |wanted: fn(&StepResult) -> bool| verdict.steps.iter().filter(|step| wanted(&step.result)).count();
        let errors = usize::from(verdict.result == Outcome::Unable);
        Self {
            tests: verdict.steps.len() + errors,
            failures: count(|result| matches!(result, StepResult::Failed(_))),
            errors,
            skipped: count(|result| *result == StepResult::Skipped),
        }
    }
}

fn suite(xml: &mut String, name: &str, verdict: &Verdict, counts: &Counts) {
    let round = if verdict.round > 1 { format!(" #{}", verdict.round) } else { String::new() };
    let suite = escaped(&format!("{name} {}{round}", verdict.cell));
    let Counts { tests, failures, errors, skipped } = counts;
    let time = seconds(verdict.took);
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{suite}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{time}\">"
    );
    if verdict.result == Outcome::Unable {
        let cause = escaped(verdict.cause.as_deref().unwrap_or_default());
        let _ = writeln!(
            xml,
            "    <testcase classname=\"{suite}\" name=\"boot\" time=\"0\"><error message=\"{cause}\"/></testcase>"
        );
    }
    for step in &verdict.steps {
        let (step_name, time) = (escaped(&step.name), seconds(step.took));
        let _ = write!(xml, "    <testcase classname=\"{suite}\" name=\"{step_name}\" time=\"{time}\"");
        match &step.result {
            StepResult::Passed => xml.push_str("/>\n"),
            StepResult::Skipped => xml.push_str("><skipped/></testcase>\n"),
            StepResult::Failed(why) => {
                let cause = verdict.cause.as_deref().unwrap_or_default();
                let at = step.at.as_ref().map(|at| format!("\n{at}")).unwrap_or_default();
                let text = escaped(&format!("{cause}{at}"));
                let _ = writeln!(xml, "><failure message=\"{}\">{text}</failure></testcase>", escaped(why));
            }
        }
    }
    for host in &verdict.hosts {
        if host.last_lines.is_empty() && host.logs.is_empty() {
            continue;
        }
        let logs = host.logs.iter().flat_map(|(who, lines)| lines.iter().map(move |line| format!("{who} | {line}")));
        let lines: Vec<String> = host.last_lines.iter().cloned().chain(logs).collect();
        let _ = writeln!(xml, "    <system-out>{}</system-out>", escaped(&lines.join("\n")));
    }
    xml.push_str("  </testsuite>\n");
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// Write a text so that XML holds it: what XML has no character for is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push(c),
            _ if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}
