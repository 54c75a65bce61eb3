//! Shell scripts that do by hand what is measured.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};

/// Run a script. Out: what it printed.
pub(crate) fn shell(script: &str, arguments: &[&Path]) -> anyhow::Result<String> {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).args(arguments).stdin(Stdio::null());
    let output = command.output().context("could not run sh")?;
    ensure!(output.status.success(), "a step failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Run a script that makes `to` of `from`, which is not there before. Out: how long that took, in seconds.
pub(crate) fn seconds(script: &str, from: &Path, to: &Path) -> anyhow::Result<f64> {
    shell(r#"rm -f "$1" && sync"#, &[to])?;
    let started = Instant::now();
    shell(script, &[from, to])?;
    Ok(started.elapsed().as_secs_f64())
}

/// Read the numbers in a text.
pub(crate) fn numbers(text: &str) -> Vec<f64> {
    text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Read the uptime that stands behind `before` in a line of the console, once all of it is there: a line is looked at before it is
/// over, and `/proc/uptime` has two digits behind the point.
pub(crate) fn uptime(line: &str, before: &str) -> Option<f64> {
    let (_, number) = line.split_once(before)?;
    let (_, hundredths) = number.trim_end().split_once('.')?;
    (hundredths.len() == 2).then(|| number.trim().parse().ok())?
}
