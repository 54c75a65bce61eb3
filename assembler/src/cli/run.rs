//! `hullkit run`: boots a manifest, or files that were built before, in QEMU.

use std::ffi::OsString;
use std::fs::{self, File};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::Global;
use super::build::{self, BuildArgs, Input, LinuxkitArgs, Naming};
use crate::digest::Digest;
use crate::platform::Arch;
use crate::vm::{
    Accel, Cause, HostFacts, Launcher, Machine, Memory, Outcome, Publish, Signal, Sink, Tools, Vm, attach, find_qemu,
    launch, on_signal, with_console,
};
use crate::write::format::Format;
use anyhow::{Context, bail};

/// How long a guest may take to power off after its power button was pressed for SIGTERM.
const POWER_OFF: Duration = Duration::from_secs(10);

/// How often signals are looked for while the guest runs.
const TICK: Duration = Duration::from_millis(50);

const AFTER_HELP: &str = "\
Keys, on a terminal:
  Ctrl-A x  end the machine        Ctrl-A p  press its power button
  Ctrl-A a  send Ctrl-A            Ctrl-A h  show the keys

Signals: SIGTERM presses the power button and ends the machine 10 s later; SIGINT and SIGHUP end it at once.

Exit codes:
  0    the guest powered off
  1    it could not be built or run
  2    wrong usage
  3    the guest's kernel panicked
  4    the guest reset or rebooted
  124  --timeout was over
  130, or 128 + signal number: ended by hand

Examples:
  hullkit run web.yml --publish 8080:80        build what is missing, boot, http://127.0.0.1:8080
  hullkit run web --arch arm64 --mem 512       boot web-kernel, web-initrd.img, web-cmdline
  hullkit run web --timeout 60 --serial log    for scripts: give up after a minute, keep the console
  hullkit run web -- -device usb-ehci          anything else that QEMU can do";

/// Boot a host in QEMU
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct RunArgs {
    /// A manifest, or the NAME of NAME-kernel, NAME-initrd.img and NAME-cmdline
    #[arg(value_name = "MANIFEST|NAME")]
    what: PathBuf,
    /// Architecture of the guest: amd64 or arm64 [default: this machine's]
    #[arg(long)]
    arch: Option<Arch>,
    /// RAM of the guest: MiB as `256`, GiB as `1G`
    #[arg(long, value_name = "SIZE", default_value = "1G")]
    mem: Memory,
    /// Processors of the guest
    #[arg(long, value_name = "COUNT", default_value = "1")]
    cpus: NonZeroU16,
    /// Lead a port of 127.0.0.1 into the guest; without HOST, a free one is chosen and told
    #[arg(long, value_name = "[HOST:]GUEST[/tcp|udp]")]
    publish: Vec<Publish>,
    /// What runs the guest: auto, kvm or tcg
    #[arg(long, value_name = "HOW", default_value = "auto")]
    accel: Accel,
    /// Also write all that the guest prints to FILE
    #[arg(long, value_name = "FILE")]
    serial: Option<PathBuf>,
    /// End the machine after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// What images' names mean, if a manifest is built.
    #[command(flatten)]
    naming: Naming,
    /// More arguments for QEMU
    #[arg(last = true, value_name = "QEMU ARGS")]
    extra: Vec<OsString>,
}

/// The files a machine boots from.
#[derive(Debug)]
pub struct BootFiles {
    /// The kernel.
    pub kernel: PathBuf,
    /// The initial RAM file system.
    pub initrd: PathBuf,
    /// The kernel's command line.
    pub cmdline: PathBuf,
}

impl BootFiles {
    /// Name the files that `hullkit build` makes for a NAME.
    fn of_name(name: &Path) -> Self {
        let file = |suffix: &str| {
            let mut path = name.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        Self { kernel: file("-kernel"), initrd: file("-initrd.img"), cmdline: file("-cmdline") }
    }
}

/// Boot what `args` name and wait until it ends.
///
/// # Errors
///
/// Whatever kept the guest from running; how it ended is the exit code.
pub fn run(args: &RunArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let arch = args.arch.unwrap_or_else(Arch::host);
    // Before anything is built: a missing QEMU should not cost a build.
    let qemu = find_qemu(arch, &std::env::var_os("PATH").unwrap_or_default())?;
    let choice = args.accel.choose(arch, &HostFacts::gather(), &qemu)?;
    if let Some(note) = &choice.note {
        say(note);
    }
    let machine = machine(args, arch, boot_files(args, arch, global)?)?;
    let tools = Tools { qemu, launcher: Launcher::this_program(), accelerator: choice.accelerator };

    let signals = signals()?;
    let started = Instant::now();
    let vm = Vm::start(&machine, &tools, sinks(args)?)?;
    for port in vm.ports() {
        say(&format!("127.0.0.1:{} leads to the guest's port {}/{}", port.host, port.guest, port.protocol));
    }
    let mut signal = None;
    let outcome = attach(&vm, say, |vm| wait(vm, &signals, args.timeout.map(Duration::from_secs), &mut signal))?;
    if let Some(error) = vm.sink_error() {
        say(&format!("the console could not be written to its end: {error}"));
    }
    report(&outcome, signal, started.elapsed())
}

/// Find the files to boot: those of a NAME, or those that a manifest is built into.
fn boot_files(args: &RunArgs, arch: Arch, global: &Global) -> anyhow::Result<BootFiles> {
    let named = BootFiles::of_name(&args.what);
    if args.what.is_file() || args.what.as_os_str() == "-" {
        build_for_run(args, arch, global)
    } else if named.kernel.is_file() {
        Ok(named)
    } else {
        bail!("there is neither a manifest `{}` nor a kernel `{}`", args.what.display(), named.kernel.display())
    }
}

/// Build a manifest into a folder of the store that is its own.
fn build_for_run(args: &RunArgs, arch: Arch, global: &Global) -> anyhow::Result<BootFiles> {
    let place = std::path::absolute(&args.what).context("could not find the working directory")?;
    let key = Digest::of(place.as_os_str().as_encoded_bytes()).short();
    let build = BuildArgs {
        input: Input { manifests: vec![args.what.clone()], naming: args.naming.clone() },
        format: vec![Format::KernelInitrd],
        arch: vec![arch],
        root: None,
        size: None,
        name: None,
        dir: global.store()?.folder("run").join(format!("{key}-{arch}")),
        output: None,
        dry_run: false,
        linuxkit: LinuxkitArgs { no_sbom: true, ..LinuxkitArgs::default() },
        explain: false,
        json: false,
    };
    build::build(&build, global)?;
    Ok(BootFiles::of_name(&build.dir.join(build.base_name())))
}

fn machine(args: &RunArgs, arch: Arch, files: BootFiles) -> anyhow::Result<Machine> {
    let cmdline =
        fs::read_to_string(&files.cmdline).with_context(|| format!("could not read `{}`", files.cmdline.display()))?;
    Ok(Machine {
        arch,
        memory: args.mem,
        cpus: args.cpus,
        kernel: files.kernel,
        initrd: Some(files.initrd),
        cmdline: with_console(arch, &cmdline),
        publish: args.publish.clone(),
        extra: args.extra.clone(),
    })
}

fn sinks(args: &RunArgs) -> anyhow::Result<Vec<Sink>> {
    let mut sinks: Vec<Sink> = vec![Box::new(std::io::stdout())];
    if let Some(path) = &args.serial {
        let file = File::create(path).with_context(|| format!("could not create `{}`", path.display()))?;
        sinks.push(Box::new(file));
    }
    Ok(sinks)
}

fn signals() -> anyhow::Result<Receiver<Signal>> {
    let (sender, signals) = mpsc::channel();
    // Once nobody listens any more, the program is about to end anyway.
    on_signal(move |signal| {
        let _ = sender.send(signal);
    })?;
    Ok(signals)
}

/// Wait for the guest's end, for a signal, or for the time to be over.
fn wait(vm: &Vm, signals: &Receiver<Signal>, limit: Option<Duration>, received: &mut Option<Signal>) -> Outcome {
    let mut deadline = limit.map(|limit| (Instant::now() + limit, Cause::TimedOut));
    loop {
        if let Some(outcome) = vm.ended_within(TICK) {
            return outcome;
        }
        if let Ok(signal) = signals.try_recv() {
            let polite = signal == Signal::Terminate && received.is_none() && vm.press_power_button().is_ok();
            let grace = if polite { POWER_OFF } else { Duration::ZERO };
            deadline = Some((Instant::now() + grace, Cause::Killed));
            *received = Some(signal);
        }
        if let Some((_, cause)) = deadline.filter(|(end, _)| *end <= Instant::now()) {
            vm.stopper().stop(cause);
        }
    }
}

/// Tell how the guest ended, in a line and as an exit code.
fn report(outcome: &Outcome, signal: Option<Signal>, ran: Duration) -> anyhow::Result<ExitCode> {
    let after = format!("after {:.1} s", ran.as_secs_f64());
    let (code, line) = match outcome {
        Outcome::PoweredOff => (0, format!("the guest powered off {after}")),
        Outcome::Panicked { line } => (3, format!("the guest's kernel panicked {after}: {line}")),
        Outcome::Rebooted => (4, format!("the guest reset {after}")),
        Outcome::TimedOut => (124, format!("the guest was ended {after}: its time was over")),
        Outcome::Killed => (128 + signal.map_or(2, Signal::number), format!("the guest was ended {after}")),
        Outcome::QemuFailed { stderr } => bail!("QEMU failed {after}: {stderr}"),
    };
    say(&line);
    Ok(ExitCode::from(code))
}

#[expect(clippy::print_stderr, reason = "what a command tells its user")]
fn say(line: &str) {
    eprintln!("hullkit: {line}");
}

/// Become QEMU, on behalf of another hullkit (see [`launch`])
#[derive(Debug, clap::Args)]
pub struct LaunchArgs {
    /// Process id of the parent
    parent: i32,
    /// QEMU
    program: OsString,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Become QEMU. Hook this to a hidden subcommand named [`launch::WORD`].
///
/// # Errors
///
/// Always: if there was nothing to report, it would not return.
pub fn become_qemu(args: &LaunchArgs) -> anyhow::Result<ExitCode> {
    let cause = launch::become_program(args.parent, &args.program, &args.arguments);
    Err(cause).with_context(|| format!("could not become `{}`", args.program.display()))
}
