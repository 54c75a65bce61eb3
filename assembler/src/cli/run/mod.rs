//! `hullkit run`: boots a manifest, or files that were built before, in QEMU.

mod detach;
mod launch;
mod machine;
mod net;

use std::ffi::OsString;
use std::fs::File;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::Global;
use super::build::Naming;
use crate::platform::Arch;
use crate::vm::{
    Accel, Bus, Cause, ControlSocket, GuestArch, HostFacts, Launcher, Memory, Outcome, Publish, Record, Share,
    SharedConsole, Signal, Sink, Tools, Vm, attach, find_qemu, on_signal,
};
use anyhow::{Context, bail};

pub use launch::{LaunchArgs, become_qemu};

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
  hullkit run web.yml --detach --name web      the same without a terminal: `hullkit ps`, `attach`, `stop`, `rm`
  hullkit run office.yml --ssh-key ~/.ssh/id_ed25519.pub --publish 2222:22
  hullkit run web --arch arm64 --mem 512       boot web-kernel, web-initrd.img, web-cmdline
  hullkit run web.raw                          boot a virtio disk, by BIOS (arm64: by UEFI)
  hullkit run web.qcow2 --uefi --bus nvme      boot an NVMe disk, by UEFI
  hullkit run web.iso --bus usb                boot an ISO as a USB stick; without --bus it is a CD
  hullkit run web.efi                          boot a unified kernel image, by UEFI
  hullkit run web.efi --secure-boot=keys.fd    the same, if it is signed by a key of the firmware's variables keys.fd
  hullkit run web.raw --disk data --persist    add a disk; both keep what is written to them
  hullkit run web.yml --metadata me.yml --tpm  user data on a CD, and a TPM
  hullkit run web --timeout 60 --serial log    for scripts: give up after a minute, keep the console
  hullkit run web -- -device usb-ehci          anything else that QEMU can do";

/// Boot a host in QEMU
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct RunArgs {
    /// A manifest, the NAME of NAME-kernel, NAME-initrd.img and NAME-cmdline, or an image: .raw, .img, .iso, .qcow2,
    /// .vmdk, .vhd, .vhdx, .vdi, .efi
    #[arg(value_name = "MANIFEST|NAME|IMAGE")]
    what: PathBuf,
    /// Architecture of the guest: amd64, arm64, or riscv64 for a kernel that was built elsewhere [default: this machine's]
    #[arg(long)]
    arch: Option<GuestArch>,
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
    /// What the machine is called by `hullkit ctl` [default: as the file].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Run it without a terminal, and return once the guest runs
    #[arg(short, long, conflicts_with = "timeout")]
    detach: bool,
    /// Public keys that may log in by SSH, if a manifest is built; may be repeated.
    #[arg(long, value_name = "FILE")]
    ssh_key: Vec<PathBuf>,
    /// What images' names mean, if a manifest is built.
    #[command(flatten)]
    naming: Naming,
    /// More arguments for QEMU
    #[arg(last = true, value_name = "QEMU ARGS")]
    extra: Vec<OsString>,
    /// What it is made of.
    #[command(flatten)]
    hardware: Hardware,
}

/// What a machine is made of.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The machine")]
struct Hardware {
    /// Start the machine by UEFI
    #[arg(long)]
    uefi: bool,
    /// Start an x86 machine by BIOS, as it does for all but .efi
    #[arg(long, conflicts_with = "uefi")]
    bios: bool,
    /// Start the machine by UEFI that starts only what is signed: by Microsoft's keys, or by those in FILE, the firmware's variables
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, conflicts_with = "bios")]
    secure_boot: Option<Option<PathBuf>>,
    /// What the image is found on: virtio, ide, ahci, nvme, usb, scsi or cdrom [default: cdrom for .iso, else virtio]
    #[arg(long)]
    bus: Option<Bus>,
    /// One more disk; may be repeated
    #[arg(long, value_name = "FILE")]
    disk: Vec<PathBuf>,
    /// Keep in the files what the guest writes to its disks; else it is gone with the machine
    #[arg(long)]
    persist: bool,
    /// Give the machine a TPM 2.0 (needs swtpm), which with --persist knows in each run what it knew in the one before
    #[arg(long)]
    tpm: bool,
    /// Show its screen: gtk, sdl, vnc=:1, or whatever else QEMU's `-display` takes
    #[arg(long, value_name = "HOW")]
    display: Option<String>,
    /// User data, which the machine finds on a CD labelled `cidata`
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
    /// A folder that the guest can mount over 9P by its tag; may be repeated
    #[arg(long, value_name = "TAG=DIR[:ro]")]
    share: Vec<Share>,
    /// Its network card: user, none, tap=INTERFACE, socket=GROUP:PORT for all machines of that group, or what QEMU's `-netdev` takes
    /// without `id`
    #[arg(long, value_name = "HOW", default_value = "user")]
    net: String,
}

/// Boot what `args` name and wait until it ends.
///
/// # Errors
///
/// Whatever kept the guest from running; how it ended is the exit code.
pub fn run(args: &RunArgs, global: &Global) -> anyhow::Result<ExitCode> {
    if args.detach {
        if !detach::is_second() {
            return detach::start();
        }
        detach::leave_terminal();
    }
    let arch = args.arch.unwrap_or_else(|| Arch::host().into());
    // Before anything is built: a missing QEMU should not cost a build.
    let qemu = find_qemu(arch, &std::env::var_os("PATH").unwrap_or_default())?;
    let choice = args.accel.choose(arch, &HostFacts::gather(), &qemu)?;
    if let Some(note) = &choice.note {
        say(note);
    }
    let mut control = match &args.name {
        Some(name) => ControlSocket::claim(name)?,
        None => ControlSocket::claim_any(&args.what.file_stem().unwrap_or_default().to_string_lossy())?,
    };
    let mut machine = machine::machine(args, arch, &control, global)?;
    let tools = Tools { qemu, launcher: Launcher::this_program(), accelerator: choice.accelerator };
    // Both have to be there as long as the machine is.
    let beside = machine::beside(args, &mut machine, &control.name(), global)?;
    let tpm = machine::tpm(args, &mut machine, &beside, &tools)?;

    let signals = signals()?;
    let started = Instant::now();
    let shared = args.detach.then(SharedConsole::default);
    let vm = Vm::start(&machine, &tools, sinks(args, shared.as_ref())?)?;
    let record = Record {
        name: control.name(),
        pid: std::process::id(),
        arch: arch.to_string(),
        what: args.what.display().to_string(),
        ports: vm.ports().iter().map(ToString::to_string).collect(),
        detached: args.detach,
        ended: None,
    };
    control.describe(&record)?;
    let lines = greeting(&vm, &control);
    let mut signal = None;
    let limit = args.timeout.map(Duration::from_secs);
    let outcome = match shared {
        Some(shared) => {
            shared.serve(&control.console(), vm.keyboard().context("the machine has no keyboard")?)?;
            detach::settle(&lines)?;
            wait(&vm, &signals, limit, &mut signal)
        }
        None => {
            lines.iter().for_each(|line| say(line));
            attach(&vm, say, |vm| wait(vm, &signals, limit, &mut signal))?
        }
    };
    if let Some(error) = vm.sink_error() {
        say(&format!("the console could not be written to its end: {error}"));
    }
    drop((tpm, beside));
    let (line, code) = report(&outcome, signal, started.elapsed());
    if args.detach {
        control.describe(&Record { ended: Some(line.clone()), ..record })?;
    }
    match code {
        Some(code) => {
            say(&line);
            Ok(ExitCode::from(code))
        }
        None => bail!(line),
    }
}

/// What the user is told of a machine that has just begun.
fn greeting(vm: &Vm, control: &ControlSocket) -> Vec<String> {
    let ports = vm.ports().iter();
    let ports =
        ports.map(|port| format!("127.0.0.1:{} leads to the guest's port {}/{}", port.host, port.guest, port.protocol));
    std::iter::once(format!("`hullkit ctl --vm {} ps` shows its containers", control.name())).chain(ports).collect()
}

fn sinks(args: &RunArgs, shared: Option<&SharedConsole>) -> anyhow::Result<Vec<Sink>> {
    let mut sinks: Vec<Sink> = match shared {
        Some(shared) => vec![shared.sink()],
        None => vec![Box::new(std::io::stdout())],
    };
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

/// Tell how the guest ended, in a line and as an exit code; none if the machine itself failed.
fn report(outcome: &Outcome, signal: Option<Signal>, ran: Duration) -> (String, Option<u8>) {
    let after = format!("after {:.1} s", ran.as_secs_f64());
    match outcome {
        Outcome::PoweredOff => (format!("the guest powered off {after}"), Some(0)),
        Outcome::Panicked { line } => (format!("the guest's kernel panicked {after}: {line}"), Some(3)),
        Outcome::Rebooted => (format!("the guest reset {after}"), Some(4)),
        Outcome::TimedOut => (format!("the guest was ended {after}: its time was over"), Some(124)),
        Outcome::Killed => (format!("the guest was ended {after}"), Some(128 + signal.map_or(2, Signal::number))),
        Outcome::QemuFailed { stderr } => (format!("QEMU failed {after}: {stderr}"), None),
    }
}

#[expect(clippy::print_stderr, reason = "what a command tells its user")]
fn say(line: &str) {
    eprintln!("hullkit: {line}");
}
