//! `hullkit test`: builds what is missing, boots it once for each cell of a matrix, and tells whether it is what its test says.

mod file;
mod subjects;
mod trials;

use std::ffi::OsString;
use std::fs;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use linuxkit_yaml::test::Test;
use linuxkit_yaml::{Period, Spanned};

use super::Global;
use super::build::Naming;
use super::report::report;
use crate::platform::Arch;
use crate::verify::report as reports;
use crate::verify::{Cell, Outcome, Verdict, VerifyError, matrix};
use crate::vm::{Accel, Memory};
use file::What;
use trials::Setting;

/// Exit codes, but for that of success.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const UNABLE: u8 = 3;

const AFTER_HELP: &str = "\
Without a test, a host passes if its boot ends well, all of its services work, and it powers off in order. NAME.test.yml beside NAME.yml
says more: docs/test.md.

A matrix is words of formats, firmware (bios, uefi), buses (virtio, ide, ahci, nvme, usb, scsi, cdrom) and architectures in any order;
words parted by commas are each tried with all the others. What is not said is what `hullkit run` takes.

Exit codes:
  0    passed
  1    something was not true
  2    wrong usage, or a mistake in the test
  3    it could not be tested: it was not built, or there is no QEMU or firmware

Examples:
  hullkit test web.yml                               boot, wait for its services, power off
  hullkit test web.yml --matrix 'raw bios,uefi virtio,nvme'
                                                     four boots of one disk
  hullkit test web.yml --matrix raw --matrix iso --junit results.xml
  hullkit test web.yml --arch amd64,arm64 --jobs 2   two machines at once
  hullkit test web.raw                               a file that was built before; its test is web.test.yml beside it
  hullkit test web.yml --repeat 50                   how often is it red?
  hullkit test web.yml --keep                        if it fails, leave the machine to look around in";

/// Boot hosts and decide whether they are what their tests say
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct TestArgs {
    /// Manifests, merged left to right; or one image, one NAME of NAME-kernel, or one test of several hosts
    #[arg(required = true, value_name = "MANIFEST|NAME|IMAGE|TEST")]
    what: Vec<PathBuf>,
    /// What must be true [default: NAME.test.yml beside NAME.yml, if it is there]
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// What is booted; may be repeated [default: the test's `matrix`, or what is there: a kernel that QEMU hands over, a disk if volumes are kept]
    #[arg(long, value_name = "WORDS")]
    matrix: Vec<String>,
    /// Architecture where the matrix names none; may be repeated [default: this machine's]
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    arch: Vec<Arch>,
    /// RAM: MiB as `256`, GiB as `1G` [default: the test's, or 1G]
    #[arg(long, value_name = "SIZE")]
    mem: Option<Memory>,
    /// Processors [default: the test's, or 1]
    #[arg(long, value_name = "COUNT")]
    cpus: Option<NonZeroU16>,
    /// How long one boot may take, with all that is done to it [default: the test's, or 2m]
    #[arg(long, value_name = "TIME")]
    timeout: Option<Period>,
    /// What runs the machines: auto, kvm or tcg
    #[arg(long, value_name = "HOW", default_value = "auto")]
    accel: Accel,
    /// Start by UEFI that starts only what is signed: by Microsoft's keys, or by those in FILE, the firmware's variables
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    secure_boot: Option<Option<PathBuf>>,
    /// Do it so many times
    #[arg(long, value_name = "N", default_value = "1")]
    repeat: NonZeroU32,
    /// If a test fails, leave its machine running until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Folder for consoles, pictures and what is built [default: one in the content store]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Write JUnit's XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print JSON in place of the table
    #[arg(long)]
    json: bool,
    /// Print annotations for GitHub [default: if $GITHUB_ACTIONS is true]
    #[arg(long)]
    github: bool,
    /// Public keys that may log in by SSH, if a manifest is built; may be repeated
    #[arg(long, value_name = "FILE")]
    ssh_key: Vec<PathBuf>,
    /// What images' names mean, if a manifest is built.
    #[command(flatten)]
    naming: Naming,
    /// More arguments for QEMU
    #[arg(last = true, value_name = "QEMU ARGS")]
    extra: Vec<OsString>,
}

/// Test, tell what came of it, and give the exit code.
#[must_use]
pub fn run(args: &TestArgs, global: &Global) -> ExitCode {
    match decide(args, global) {
        Ok(code) => code,
        Err(Stopped { code, error }) => {
            eprintln!("{}", report(&error));
            ExitCode::from(code)
        }
    }
}

/// Why nothing was tested, and the exit code for it.
struct Stopped {
    code: u8,
    error: anyhow::Error,
}

impl From<anyhow::Error> for Stopped {
    fn from(error: anyhow::Error) -> Self {
        Self { code: UNABLE, error }
    }
}

fn usage(error: impl Into<anyhow::Error>) -> Stopped {
    Stopped { code: USAGE, error: error.into() }
}

fn decide(args: &TestArgs, global: &Global) -> Result<ExitCode, Stopped> {
    let asked = file::read(args).map_err(usage)?;
    let test = settled(asked.test, args);
    let cells = cells(args, &asked.what, &test).map_err(usage)?;
    let setting = Setting::new(args, global, asked.what, &test)?;
    let verdicts = setting.verdicts(&cells)?;
    tell(args, global, &setting.name(), &verdicts)?;
    let (_, failed, unable) = reports::counts(&verdicts);
    Ok(match (failed, unable) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(UNABLE),
        _ => ExitCode::from(FAILED),
    })
}

/// Put in what the command line says.
fn settled(test: Test, args: &TestArgs) -> Test {
    Test { timeout: args.timeout.map(Spanned::unplaced).or(test.timeout.clone()), ..test }
}

/// Every boot that is wanted, once.
fn cells(args: &TestArgs, what: &What, test: &Test) -> anyhow::Result<Vec<Cell>> {
    let arches = if args.arch.is_empty() { vec![Arch::host()] } else { args.arch.clone() };
    let mut cells = Vec::new();
    if args.matrix.is_empty() {
        for line in &test.matrix {
            for arch in &arches {
                let refused = |error: VerifyError| test.diagnose(&line.at, error.to_string());
                cells.extend(matrix(line, *arch).map_err(|error| linuxkit_yaml::ManifestError::from(refused(error)))?);
            }
        }
    }
    for line in &args.matrix {
        for arch in &arches {
            cells.extend(matrix(line, *arch)?);
        }
    }
    if cells.is_empty() {
        cells.extend(arches.into_iter().filter_map(|arch| subjects::usual(what, arch)));
    }
    if args.secure_boot.is_some() {
        cells = cells.into_iter().map(Cell::by_secure_boot).collect::<Result<_, _>>()?;
    }
    // Lines may mean the same boot, and with Secure Boot by BIOS and by UEFI are one.
    let mut once = Vec::new();
    for cell in cells {
        if !once.contains(&cell) {
            once.push(cell);
        }
    }
    Ok(once)
}

/// Print and write what came of it.
fn tell(args: &TestArgs, global: &Global, name: &str, verdicts: &[Verdict]) -> anyhow::Result<()> {
    if let Some(path) = &args.junit {
        let written = fs::write(path, reports::junit(name, verdicts));
        written.with_context(|| format!("could not write `{}`", path.display()))?;
    }
    if args.json {
        println!("{}", reports::json(name, verdicts));
    } else if !global.quiet {
        // One boot is looked at by a person; what failed has told its steps already.
        if let [verdict] = verdicts
            && verdict.result == Outcome::Passed
        {
            println!("{}", reports::steps(verdict));
        }
        print!("{}", reports::table(verdicts));
    }
    let on_github = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    if args.github || on_github {
        // Where GitHub looks for them, and what JSON leaves alone.
        eprint!("{}", reports::github(name, verdicts));
    }
    if verdicts.len() > 1 && !args.json && !global.quiet {
        let (passed, failed, unable) = reports::counts(verdicts);
        let took: Duration = verdicts.iter().map(|verdict| verdict.took).sum();
        println!("{passed} passed, {failed} failed, {unable} unable, {:.1} s of machines", took.as_secs_f64());
    }
    Ok(())
}
