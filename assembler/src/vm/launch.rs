//! Starts QEMU so that it cannot outlive the program that wants it.
//!
//! Linux kills a process when its parent dies if the process asks for it, but asking is for the child to do, after it
//! exists and before QEMU runs. So the program starts *itself* with [`WORD`] and its own process id; that second
//! self ([`become_program`]) asks, checks that the parent is still the same, and turns into QEMU.
//!
//! The kernel takes "parent" to mean the *thread* that made the child, so that thread must live as long as QEMU does:
//! [`Vm`](super::Vm) keeps one for it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// First argument by which a program recognises that it is to become QEMU; then its parent's process id follows, and
/// the program with its arguments.
pub const WORD: &str = "vm-launch";

/// The program that becomes QEMU: one whose `main` calls [`become_program`] when its first argument is [`WORD`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher(PathBuf);

impl Launcher {
    /// Use the running program, also if its file was replaced since it started.
    #[must_use]
    pub fn this_program() -> Self {
        Self(PathBuf::from("/proc/self/exe"))
    }

    /// Use another program.
    #[must_use]
    pub fn program(path: PathBuf) -> Self {
        Self(path)
    }

    /// Say how `program` is to be started: arguments come after.
    pub(super) fn command(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new(&self.0);
        command.arg(WORD).arg(getpid().as_raw_pid().to_string()).arg(program);
        // A terminal's Ctrl-C is for the program that runs the machine, which then decides.
        command.process_group(0);
        command
    }
}

/// Turn this process into `program`, to be killed when its parent dies.
///
/// In: the parent's process id, as [`WORD`] is followed by; the program and its arguments. Returns only the error that
/// kept it from happening; a parent that is gone already is one.
#[must_use]
pub fn become_program(parent: i32, program: &OsString, arguments: &[OsString]) -> io::Error {
    if let Err(errno) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return errno.into();
    }
    // The parent may have died before the kernel was asked to watch it.
    if getppid().map(rustix::process::Pid::as_raw_pid) != Some(parent) {
        return io::Error::other("the program that wanted it is gone");
    }
    Command::new(program).args(arguments).exec()
}

/// Become QEMU if a program's arguments ask for it; for programs that read their arguments themselves.
///
/// In: all arguments, the program's own name first. Out: nothing if they ask for something else, else the error that
/// kept it from happening.
#[must_use]
pub fn requested(args: &[OsString]) -> Option<io::Error> {
    let [_, word, parent, program, arguments @ ..] = args else { return None };
    if word != WORD {
        return None;
    }
    match parent.to_str().and_then(|parent| parent.parse().ok()) {
        Some(parent) => Some(become_program(parent, program, arguments)),
        None => Some(io::ErrorKind::InvalidInput.into()),
    }
}
