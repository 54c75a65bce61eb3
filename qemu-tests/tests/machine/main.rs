//! The `vm` module against QEMU itself, with guests of a few dozen bytes in place of a kernel.

mod disks;
mod guest;

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use guest::Then;
use hullkit::platform::Arch;
use hullkit::vm::{
    Accelerator, Boot, Launcher, Machine, Outcome, Publish, Sink, Tools, Vm, VmError, find_qemu, launch,
};

/// How long anything here may take; a busy machine emulates slowly.
const PATIENCE: Duration = Duration::from_secs(60);

/// First argument of the copy of this program that runs a machine until it is killed.
const HOLD: &str = "hold-a-machine";

type Test = fn(&Path);

fn main() -> ExitCode {
    let args: Vec<_> = env::args_os().collect();
    if let Some(error) = launch::requested(&args) {
        panic!("could not become QEMU: {error}");
    }
    if args.get(1).is_some_and(|word| word == HOLD) {
        hold(Path::new(&args[2]));
    }
    let trials: [(&str, Test); 15] = [
        ("a_guest_that_powers_off_is_told_and_no_byte_is_lost", powers_off),
        ("a_guest_that_resets_is_told", resets),
        ("a_kernel_panic_is_told_from_a_reset", panics),
        ("a_guest_that_sleeps_runs_out_of_time", sleeps),
        ("a_guest_that_is_not_wanted_is_ended", stops),
        ("what_is_typed_reaches_the_guest", echoes),
        ("a_flood_is_kept_within_bounds", floods),
        ("ports_are_chosen_free_and_a_taken_one_is_named", ports),
        ("arguments_that_qemu_refuses_are_told_in_its_words", refused),
        ("a_kernel_that_is_not_there_is_named", no_kernel),
        ("a_disk_boots_from_every_bus_of_a_pc", disks::boots),
        ("what_is_written_to_a_disk_is_kept_only_if_asked_for", disks::keeps),
        ("a_pc_boots_from_a_folder_over_the_network", disks::network),
        ("a_machine_outlives_the_thread_that_started_it", thread_ends),
        ("a_machine_dies_with_the_program_that_started_it", program_dies),
    ];
    let trials = trials.map(|(name, test)| {
        Trial::test(name, move || {
            let folder = TempDir::new()?;
            test(folder.path());
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn machine(kernel: PathBuf) -> Machine {
    let boot = Boot::Kernel { kernel, initrd: None, cmdline: String::new() };
    Machine::new(Arch::Amd64, "16".parse().expect("an amount"), boot)
}

fn start_with(machine: &Machine, sinks: Vec<Sink>) -> Result<Vm, VmError> {
    let qemu = find_qemu(machine.arch, &env::var_os("PATH").unwrap_or_default())?;
    Vm::start(machine, &Tools { qemu, launcher: Launcher::this_program(), accelerator: Accelerator::Tcg }, sinks)
}

fn start(folder: &Path, text: &str, then: Then) -> Vm {
    start_with(&machine(guest::write(folder, text, then)), Vec::new()).expect("a machine")
}

/// Wait for a text on the console.
fn see(vm: &Vm, text: &str) {
    let seen = vm.console().wait_for(&mut 0, |line| line.contains(text), Instant::now() + PATIENCE);
    seen.unwrap_or_else(|missed| panic!("`{text}`: {missed}"));
}

fn gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    let end = Instant::now() + PATIENCE;
    while test_kill_process(pid).is_ok() && Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
    }
    test_kill_process(pid).is_err()
}

fn powers_off(folder: &Path) {
    let log = folder.join("log");
    let file = Box::new(fs::File::create(&log).expect("a file"));
    let text = "first line\r\nsecond line\r\n";
    let vm = start_with(&machine(guest::write(folder, text, Then::PowerOff)), vec![file]).expect("a machine");
    assert_eq!(vm.wait(Some(PATIENCE)), Outcome::PoweredOff);
    let lines: Vec<_> = vm.console().tail(9).into_iter().map(|line| line.text).collect();
    assert_eq!(lines, ["first line", "second line"]);
    assert_eq!(fs::read_to_string(log).expect("the log"), text);
}

fn resets(folder: &Path) {
    assert_eq!(start(folder, "hello\n", Then::Reset).wait(Some(PATIENCE)), Outcome::Rebooted);
}

fn panics(folder: &Path) {
    let line = "[    1.000000] Kernel panic - not syncing: a test";
    let vm = start(folder, &format!("{line}\r\n"), Then::Reset);
    assert_eq!(vm.wait(Some(PATIENCE)), Outcome::Panicked { line: line.to_owned() });
}

fn sleeps(folder: &Path) {
    let vm = start(folder, "hello\n", Then::Sleep);
    see(&vm, "hello");
    assert_eq!(vm.ended_within(Duration::ZERO), None);
    assert_eq!(vm.wait(Some(Duration::from_millis(200))), Outcome::TimedOut);
    assert!(gone(vm.process_id()));
}

fn stops(folder: &Path) {
    let vm = start(folder, "hello\n", Then::Sleep);
    assert_eq!(vm.stop(), Outcome::Killed);
    let vm = start(folder, "hello\n", Then::Sleep);
    let pid = vm.process_id();
    drop(vm);
    assert!(gone(pid));
}

fn echoes(folder: &Path) {
    let vm = start(folder, "ready\n", Then::Echo);
    see(&vm, "ready");
    vm.keyboard().expect("a keyboard").write_all(b"knock knock\n").expect("a guest");
    see(&vm, "knock knock");
}

/// Bytes that the console keeps at most.
const KEPT: usize = 1 << 19;

fn floods(folder: &Path) {
    let (sender, bytes) = mpsc::channel();
    let machine = machine(guest::write(folder, "all work and no play makes a dull guest\n", Then::Again));
    let vm = start_with(&machine, vec![Box::new(Counter(sender))]).expect("a machine");
    let mut written = 0;
    while written < 2 * KEPT {
        written += bytes.recv().expect("an endless flood");
    }
    assert_eq!(vm.stop(), Outcome::Killed);
    let kept: usize = vm.console().tail(usize::MAX).iter().map(|line| line.text.len()).sum();
    assert!(kept <= KEPT, "{kept} of {written}");
}

/// A sink that only says how much it got.
struct Counter(mpsc::Sender<usize>);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ports(folder: &Path) {
    let any: Publish = "80".parse().expect("a port");
    let mut machine = machine(guest::write(folder, "hello\n", Then::Sleep));
    machine.network = Some(vec![any, "80/udp".parse().expect("a port")]);
    let (one, two) =
        (start_with(&machine, Vec::new()).expect("one"), start_with(&machine, Vec::new()).expect("another"));
    let hosts: Vec<u16> = one.ports().iter().chain(two.ports()).map(|port| port.host).collect();
    assert!(hosts.iter().all(|port| *port != 0), "{hosts:?}");
    assert!(hosts[0] != hosts[2] && hosts[1] != hosts[3], "{hosts:?}");
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let taken = holder.local_addr().expect("an address").port();
    machine.network = Some(vec![Publish { host: taken, ..any }]);
    let error = start_with(&machine, Vec::new()).expect_err("the port is taken");
    assert_eq!(error.to_string(), format!("port {taken}/tcp of 127.0.0.1 cannot be published"));
}

fn refused(folder: &Path) {
    let mut machine = machine(guest::write(folder, "hello\n", Then::Sleep));
    machine.extra = vec!["-device".into(), "no-such-device".into()];
    let error = start_with(&machine, Vec::new()).expect_err("no such device");
    let want =
        "QEMU did not start the guest: -device no-such-device: 'no-such-device' is not a valid device model name";
    assert_eq!(error.to_string(), want);
}

fn no_kernel(folder: &Path) {
    let path = folder.join("absent");
    let error = start_with(&machine(path.clone()), Vec::new()).expect_err("no kernel");
    assert_eq!(error.to_string(), format!("could not read `{}`", path.display()));
}

fn thread_ends(folder: &Path) {
    let folder = folder.to_owned();
    let vm = thread::spawn(move || start(&folder, "ready\n", Then::Echo)).join().expect("a machine");
    see(&vm, "ready");
    vm.keyboard().expect("a keyboard").write_all(b"still here\n").expect("a guest");
    see(&vm, "still here");
}

fn program_dies(folder: &Path) {
    let this = env::current_exe().expect("this program");
    let mut holder = Command::new(this).arg(HOLD).arg(folder).stdout(Stdio::piped()).spawn().expect("a copy of it");
    let mut line = String::new();
    BufReader::new(holder.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let qemu: u32 = line.trim().parse().expect("a process id");
    kill_process(Pid::from_child(&holder), Signal::KILL).expect("it runs");
    holder.wait().expect("it is dead");
    assert!(gone(qemu));
}

/// Run a machine, say QEMU's process id, and wait to be killed.
fn hold(folder: &Path) -> ! {
    let vm = start(folder, "hello\n", Then::Sleep);
    see(&vm, "hello");
    writeln!(io::stdout(), "{}", vm.process_id()).expect("a reader");
    loop {
        thread::park();
    }
}
