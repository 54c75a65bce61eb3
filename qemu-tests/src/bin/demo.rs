//! `make demo`: boots what `hullkit build examples/01-hello.yml` wrote, fetches the page that nginx serves inside the host,
//! prints it with the time it took, and powers the host off.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a demonstration is there to be seen")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};

use hullkit::platform::Arch;
use hullkit::verify::probe;
use hullkit::vm::{Boot, Machine, Outcome, Protocol, Publish, launch, with_console};
use qemu_tests::boot;

/// Emulated, on a busy machine: many times what it takes.
const PATIENCE: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let args: Vec<_> = env::args_os().collect();
    if let Some(error) = launch::requested(&args) {
        eprintln!("could not become QEMU: {error}");
        return ExitCode::FAILURE;
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, arch] = arguments.as_slice() else {
        eprintln!("usage: demo NAME ARCH, where NAME-kernel, NAME-initrd.img and NAME-cmdline are there");
        return ExitCode::from(2);
    };
    match demo(Path::new(name), arch) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demo(name: &Path, arch: &str) -> anyhow::Result<()> {
    let arch: Arch = arch.parse()?;
    let file = |suffix: &str| PathBuf::from(format!("{}{suffix}", name.display()));
    let cmdline = fs::read_to_string(file("-cmdline")).context("there is nothing to boot; build it first")?;
    let boot = Boot::Kernel {
        kernel: file("-kernel"),
        initrd: Some(file("-initrd.img")),
        cmdline: with_console(arch, &cmdline),
    };
    let machine = Machine {
        network: Some(vec![Publish { host: 0, guest: 80, protocol: Protocol::Tcp }]),
        ..Machine::new(arch, "256M".parse()?, boot)
    };
    let console = file("-console.log");
    println!("booting {arch} under emulation, with {}; the console is in {}", machine.memory, console.display());
    let powered_on = Instant::now();
    let vm = boot::start(&machine, &console)?;
    let port = vm.ports().first().context("no port was published")?.host;
    let page = || match vm.ended_within(Duration::ZERO) {
        // A guest that is gone will not answer any more.
        Some(outcome) => Err(format!("the guest ended: {outcome:?}")),
        None => probe::http(port, "/", 200, Some("Hello from nginx")),
    };
    let body = probe::until(powered_on + PATIENCE, page).map_err(|why| anyhow!(why))?;
    let answered = powered_on.elapsed();
    println!("\n{body}");
    println!("http://127.0.0.1:{port}/ answered {:.1} s after power-on", answered.as_secs_f64());
    vm.press_power_button()?;
    match vm.wait(Some(Duration::from_secs(60))) {
        Outcome::PoweredOff => println!("the host powered off in order"),
        other => return Err(anyhow!("the host did not power off: {other:?}")),
    }
    Ok(())
}
