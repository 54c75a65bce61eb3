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
use std::process::ExitCode;

use anyhow::Context as _;

use hullkit::vm::launch;
use qemu_tests::place::{self, Place};

fn main() -> ExitCode {
    let args: Vec<_> = env::args_os().collect();
    if let Some(error) = launch::requested(&args) {
        eprintln!("could not become QEMU: {error}");
        return ExitCode::FAILURE;
    }
    let runs = match args.get(1).map(|word| word.to_string_lossy().parse()) {
        None => 7,
        Some(Ok(runs @ 1..)) => runs,
        Some(_) => {
            eprintln!("usage: bench [RUNS]");
            return ExitCode::from(2);
        }
    };
    match bench(runs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(runs: usize) -> anyhow::Result<()> {
    let place = Place::find()?;
    let work = place.target.join("bench");
    place::empty(&work)?;
    let mut figures = Vec::new();
    for part in
        [boots::measure, builds::measure, registry::measure, disks::measure, firmware::measure, services::measure]
    {
        figures.extend(part(&place, &work, runs)?);
    }
    println!();
    print!("{}", figure::table(&figures));
    let path = place.target.join("bench.json");
    let json = serde_json::to_string_pretty(&figures).context("figures are plain data")?;
    fs::write(&path, json).with_context(|| format!("could not write `{}`", path.display()))?;
    println!("\nwritten to {}", path.display());
    Ok(())
}
