//! `make bench`: the figures the project promises, each beside what it must not exceed.
//!
//! Prints a table and writes `target/bench.json`. Boots are timed from the guest's first instruction to the byte on the
//! serial port, on the same kernel, with the runs of what is compared taking turns; figures are medians. The floor is
//! the same kernel with one busybox `echo` for its init, so what firmware and kernel take cancels out.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a report is there to be read")]

mod boots;
mod builds;
mod disks;
mod figure;
mod firmware;
mod registry;
mod script;
mod services;

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use figure::Figure;
use hullkit::vm::launch;
use qemu_tests::place::{self, Place};

/// Measures some figures, in a folder, in so many runs.
type Part = fn(&Place, &Path, usize) -> anyhow::Result<Vec<Figure>>;

/// Everything that is measured.
const PARTS: [(&str, Part); 6] = [
    ("boots", boots::measure),
    ("builds", builds::measure),
    ("registry", registry::measure),
    ("disks", disks::measure),
    ("firmware", firmware::measure),
    ("services", services::measure),
];

fn main() -> ExitCode {
    let args: Vec<_> = env::args_os().collect();
    if let Some(error) = launch::requested(&args) {
        eprintln!("could not become QEMU: {error}");
        return ExitCode::FAILURE;
    }
    let mut words = args.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
    let runs = words.next().map_or(Ok(7), |word| word.parse());
    let named: Vec<String> = words.collect();
    let runs = match runs {
        Ok(runs @ 1..) if named.iter().all(|name| PARTS.iter().any(|(known, _)| known == name)) => runs,
        _ => {
            let parts: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
            eprintln!(
                "usage: bench [RUNS [PART]...]\n\nparts, of which later ones use what earlier ones left: {}",
                parts.join(", ")
            );
            return ExitCode::from(2);
        }
    };
    match bench(runs, &named) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(runs: usize, named: &[String]) -> anyhow::Result<()> {
    let place = Place::find()?;
    let work = place.target.join("bench");
    if named.is_empty() {
        place::empty(&work)?;
    }
    fs::create_dir_all(&work).with_context(|| format!("could not make `{}`", work.display()))?;
    let mut figures = Vec::new();
    for (name, part) in PARTS {
        if named.is_empty() || named.iter().any(|wanted| wanted == name) {
            figures.extend(part(&place, &work, runs)?);
        }
    }
    println!();
    print!("{}", figure::table(&figures));
    let path = place.target.join("bench.json");
    let json = serde_json::to_string_pretty(&figures).context("figures are plain data")?;
    fs::write(&path, json).with_context(|| format!("could not write `{}`", path.display()))?;
    println!("\nwritten to {}", path.display());
    Ok(())
}
