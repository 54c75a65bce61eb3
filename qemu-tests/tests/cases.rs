//! One test for each folder of `cases/` and each architecture it runs on: `vm_010_initrd_reaches_init::amd64`.
//!
//! `cargo test -p qemu-tests --test cases -- 050` runs those whose name contains `050`.

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use hullkit::vm::launch;
use qemu_tests::case::Case;
use qemu_tests::checker;
use qemu_tests::place::Place;

/// Machines that run side by side unless `--test-threads` says otherwise: an emulated processor fills a real one.
const MACHINES: usize = 2;

fn main() -> ExitCode {
    // Each machine is started by a copy of this program, which then becomes QEMU.
    let args: Vec<_> = std::env::args_os().collect();
    if let Some(error) = launch::requested(&args) {
        return fail(&format!("could not become QEMU: {error}"));
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(MACHINES);
    match trials() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => fail(&format!("{error:#}")),
    }
}

fn trials() -> anyhow::Result<Vec<Trial>> {
    let place = Place::find()?;
    checker::publish(&place)?;
    let cases = Case::read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"))?;
    let trial = |case: &Case, arch| {
        let (case, place) = (case.clone(), place.clone());
        let run = move || qemu_tests::run(&case, arch, &place).map_err(|error| Failed::from(format!("{error:#}")));
        (arch, run)
    };
    let trials = cases.iter().flat_map(|case| {
        let runs = case.arch.iter().map(move |arch| trial(case, *arch));
        runs.map(|(arch, run)| Trial::test(format!("{}::{arch}", case.name()), run))
    });
    Ok(trials.collect())
}

#[expect(clippy::print_stderr, reason = "the test program's own voice")]
fn fail(line: &str) -> ExitCode {
    eprintln!("{line}");
    ExitCode::FAILURE
}
