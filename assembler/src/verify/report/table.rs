//! A table for people, and what failed in full.

use std::fmt::Write as _;

use crate::verify::{Outcome, StepResult, Verdict};

/// Write a line for each verdict.
#[must_use]
pub fn table(verdicts: &[Verdict]) -> String {
    let rounds = verdicts.iter().any(|verdict| verdict.round > 1);
    let head = ["BOOT", "RESULT", "STEPS", "READY", "SIZE", "SECONDS"].map(str::to_owned);
    let rows: Vec<[String; 6]> =
        std::iter::once(head).chain(verdicts.iter().map(|verdict| row(verdict, rounds))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let [one, two, three, four, five, six] = [0, 1, 2, 3, 4, 5].map(width);
    let mut text = String::new();
    for [cell, result, steps, ready, size, seconds] in &rows {
        // A String takes all.
        let _ = writeln!(
            text,
            "{cell:one$}  {result:two$}  {steps:>three$}  {ready:>four$}  {size:>five$}  {seconds:>six$}"
        );
    }
    text
}

fn row(verdict: &Verdict, rounds: bool) -> [String; 6] {
    let passed = verdict.steps.iter().filter(|step| step.result == StepResult::Passed).count();
    let ready = verdict.hosts.iter().filter_map(|host| host.boot_time).max();
    let size: u64 = verdict.hosts.iter().map(|host| host.size).sum();
    let cell = if rounds { format!("{} #{}", verdict.cell, verdict.round) } else { verdict.cell.clone() };
    [
        cell,
        verdict.result.to_string(),
        format!("{passed}/{}", verdict.steps.len()),
        ready.map_or_else(|| "-".to_owned(), |ready| format!("{:.2}", ready.as_secs_f64())),
        format!("{}.{} MB", size / 1_000_000, size / 100_000 % 10),
        format!("{:.2}", verdict.took.as_secs_f64()),
    ]
}

/// Tell all that is known of a verdict that is not good; nothing of one that is.
#[must_use]
pub fn failure(verdict: &Verdict) -> String {
    let mut text = String::new();
    if verdict.result == Outcome::Passed {
        return text;
    }
    let _ = writeln!(text, "{} {}: {}", verdict.cell, verdict.result, verdict.why());
    text.push_str(&steps(verdict));
    for host in &verdict.hosts {
        let whose = host.name.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
        for (who, lines) in host.logs.iter().filter(|(_, lines)| !lines.is_empty()) {
            let _ = writeln!(text, "  last lines of `{who}`{whose}:");
            indented(&mut text, lines);
        }
        let _ = writeln!(text, "  last lines of the console{whose}, all of it in `{}`:", host.console.display());
        indented(&mut text, &host.last_lines);
        if let Some(screen) = &host.screen {
            let _ = writeln!(text, "  screen{whose}: `{}`", screen.display());
        }
    }
    text
}

/// Tell what was looked at and done, in order, with the time it took.
#[must_use]
pub fn steps(verdict: &Verdict) -> String {
    let mut text = String::new();
    for step in &verdict.steps {
        let (mark, why) = match &step.result {
            StepResult::Passed => ("passed", String::new()),
            StepResult::Failed(why) => ("FAILED", format!(": {why}")),
            StepResult::Skipped => ("-", String::new()),
        };
        let at = step.at.as_ref().filter(|_| !why.is_empty()).map(|at| format!(" ({at})")).unwrap_or_default();
        let _ = writeln!(text, "  {mark:6}  {:>6.2} s  {}{why}{at}", step.took.as_secs_f64(), step.name);
    }
    text
}

fn indented(text: &mut String, lines: &[String]) {
    for line in lines {
        let _ = writeln!(text, "    {}", plain(line));
    }
}

/// What a guest printed must not move the cursor.
fn plain(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '?' } else { c }).collect()
}
