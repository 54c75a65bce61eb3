//! Shell scripts that do by hand what is measured.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// Run a script. Out: what it printed.
pub(crate) fn shell(script: &str, arguments: &[&Path]) -> anyhow::Result<String> {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).args(arguments).stdin(Stdio::null());
    let output = command.output().context("could not run sh")?;
    ensure!(output.status.success(), "a step failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Run a script that prints when it started and when it ended. Out: how long that was, in seconds.
pub(crate) fn seconds(script: &str, from: &Path, to: &Path) -> anyhow::Result<f64> {
    let [start, end] = numbers(&shell(script, &[from, to])?)[..] else { anyhow::bail!("a script printed no times") };
    Ok(end - start)
}

/// Read the numbers in a text.
pub(crate) fn numbers(text: &str) -> Vec<f64> {
    text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}
