//! One test for each folder of `cases/` and each boot of its matrix, as `vm_010_initrd_reaches_init::amd64` or
//! `vm_200_every_format_boots::amd64-bios-raw-nvme`.
//!
//! `cargo test -p qemu-tests --test cases -- 050` runs those whose name contains `050`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use hullkit::platform::Arch;
use hullkit::verify::Cell;
use hullkit::vm::launch;
use qemu_tests::build::Build;
use qemu_tests::case::Case;
use qemu_tests::checker;
use qemu_tests::pages;
use qemu_tests::place::Place;

/// Machines that run side by side on two processors unless `--test-threads` says otherwise: an emulated processor fills a real one, but
/// half of the time one waits for a service, a disk or a clock.
const MACHINES: usize = 4;

fn main() -> ExitCode {
    // Each machine is started by a copy of this program, which then becomes QEMU.
    let args: Vec<_> = std::env::args_os().collect();
    if let Some(error) = launch::requested(&args) {
        return fail(&format!("could not become QEMU: {error}"));
    }
    // Servers on a machine's link are copies of it as well.
    match pages::requested(&args) {
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(error)) => return fail(&format!("could not answer: {error:#}")),
        None => {}
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
    let trials = cases.iter().map(|case| case_trials(case, &place)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(trials.into_iter().flatten().collect())
}

/// One test for each boot of a case; those of one architecture share what is built.
fn case_trials(case: &Case, place: &Place) -> anyhow::Result<Vec<Trial>> {
    let boots = case.boots()?;
    let builds = Arch::ALL.map(|arch| (arch, Arc::new(Build::new(&boots, arch))));
    let trial = |cell: Cell| {
        let build = builds.iter().find(|(arch, _)| *arch == cell.arch).map(|(_, build)| Arc::clone(build));
        let (name, case, place) = (format!("{}::{cell}", case.name()), case.clone(), place.clone());
        Trial::test(name, move || {
            let build = build.ok_or("there is nothing to build for this architecture")?;
            qemu_tests::run(&case, &cell, &build, &place).map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    Ok(boots.into_iter().map(trial).collect())
}

#[expect(clippy::print_stderr, reason = "the test program's own voice")]
fn fail(line: &str) -> ExitCode {
    eprintln!("{line}");
    ExitCode::FAILURE
}
