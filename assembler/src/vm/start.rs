//! A running machine: its process, its console, its control socket.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};

use super::check::check;
use super::outcome::Evidence;
use super::qmp::Qmp;
use super::{Accelerator, Cause, Console, GuestArch, Launcher, Machine, Outcome, Publish, VmError, argv};

/// How long QEMU may take to end in good order before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// How long to wait for the last bytes of a QEMU that is gone, which a child of its own may hold open.
const DRAIN: Duration = Duration::from_secs(2);

/// Pause between reads: a serial port sends byte by byte, and to wake up for each takes twice the processor time of the
/// same bytes a few at a time.
const GATHER: Duration = Duration::from_micros(200);

/// Bytes kept of QEMU's standard error, its last ones.
const STDERR_KEPT: usize = 16 << 10;

/// The programs that make a machine run.
#[derive(Debug, Clone)]
pub struct Tools {
    /// QEMU for the machine's architecture (see [`find_qemu`](super::find_qemu)).
    pub qemu: PathBuf,
    /// What becomes QEMU.
    pub launcher: Launcher,
    /// What runs the guest's instructions.
    pub accelerator: Accelerator,
}

/// Where the console's bytes go, as they come; one that fails is written to no more.
pub type Sink = Box<dyn Write + Send>;

/// A running machine. It ends when this is dropped.
pub struct Vm {
    shared: Arc<Shared>,
    qmp: Qmp,
    serial: UnixStream,
    arch: GuestArch,
    ports: Vec<Publish>,
}

/// Ends a machine from elsewhere, as from another thread.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    arch: GuestArch,
    console: Console,
    ending: Mutex<Ending>,
    changed: Condvar,
    pid: u32,
    process: OwnedFd,
}

/// What is known of the end so far.
#[derive(Debug, Default)]
struct Ending {
    cause: Option<Cause>,
    shutdown: Option<String>,
    exited: Option<Exited>,
    stderr: Vec<u8>,
    /// Threads that still read from QEMU.
    readers: u8,
    sink_error: Option<io::Error>,
}

#[derive(Debug, Clone, Copy)]
struct Exited {
    at: Instant,
    status: Option<ExitStatus>,
}

impl Vm {
    /// Start a machine and let its guest run.
    ///
    /// In: `sinks`, which get every byte of the console. Out: a machine whose guest has just begun.
    ///
    /// # Errors
    ///
    /// [`VmError::Port`]: a published port is taken; [`VmError::Read`]: a file to boot from or a drive's cannot be read;
    /// [`VmError::ForeignKernel`]: the kernel is for another architecture;
    /// [`VmError::NoBios`], [`VmError::NoIde`]: there is no such machine;
    /// [`VmError::Spawn`]: QEMU could not be started; [`VmError::Refused`]: QEMU ended by itself, with its words;
    /// [`VmError::Control`], [`VmError::Silent`], [`VmError::Command`]: QEMU could not be spoken to.
    pub fn start(machine: &Machine, tools: &Tools, sinks: Vec<Sink>) -> Result<Self, VmError> {
        check(machine)?;
        let pair = || UnixStream::pair().map_err(|cause| VmError::Control { cause });
        let ((serial, guest_serial), (control, guest_control)) = (pair()?, pair()?);
        let mut command = tools.launcher.command(&tools.qemu);
        command.args(argv(machine, tools.accelerator));
        command.stdin(OwnedFd::from(guest_serial)).stdout(OwnedFd::from(guest_control)).stderr(Stdio::piped());
        let shared =
            keep(command, machine.arch).map_err(|cause| VmError::Spawn { program: tools.qemu.clone(), cause })?;
        let stopper = Stopper(Arc::clone(&shared));
        let connected = Qmp::connect(control, events_to(&shared), reader_end(&shared))
            .and_then(|qmp| read_console(&shared, serial.try_clone()?, sinks).map(|()| qmp));
        match connected {
            Ok(qmp) => {
                Self { shared, qmp, serial, arch: machine.arch, ports: machine.network.clone().unwrap_or_default() }
                    .begin()
            }
            Err(cause) => {
                stopper.stop(Cause::Killed);
                Err(VmError::Control { cause })
            }
        }
    }

    /// Take control, learn the ports, and let the guest go.
    fn begin(mut self) -> Result<Self, VmError> {
        let begun = self.qmp.greet().and_then(|()| self.learn_ports()).and_then(|()| {
            self.shared.console.restart_clock();
            self.qmp.ask("cont", Value::Null)
        });
        match begun {
            Ok(_) => Ok(self),
            // A socket that closes means that QEMU is gone, and its own words say more.
            Err(VmError::Control { .. }) => Err(VmError::Refused { stderr: self.last_words() }),
            Err(error) => Err(error),
        }
    }

    fn last_words(&self) -> String {
        match self.wait(Some(GRACE)) {
            Outcome::QemuFailed { stderr } => stderr,
            other => format!("it ended at once ({other:?})"),
        }
    }

    fn learn_ports(&mut self) -> Result<(), VmError> {
        if self.ports.iter().all(|port| port.host != 0) {
            return Ok(());
        }
        // The only place where QEMU tells which port it was given is this table for people.
        let table = self.qmp.ask("human-monitor-command", json!({ "command-line": "info usernet" }))?;
        let table = table.as_str().unwrap_or_default();
        self.ports = self.ports.iter().map(|port| port.resolved(table)).collect();
        Ok(())
    }

    /// Tell QEMU's process id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.shared.pid
    }

    /// Look at what the guest wrote.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.shared.console
    }

    /// Tell the published ports, with the host ports that were chosen.
    #[must_use]
    pub fn ports(&self) -> &[Publish] {
        &self.ports
    }

    /// Return a stream whose bytes the guest reads from its serial port.
    ///
    /// # Errors
    ///
    /// As `dup(2)`.
    pub fn keyboard(&self) -> io::Result<UnixStream> {
        self.serial.try_clone()
    }

    /// Return why the console could not be written to a [`Sink`], once.
    #[must_use]
    pub fn sink_error(&self) -> Option<io::Error> {
        self.shared.lock().sink_error.take()
    }

    /// Plug a device in while the machine runs. In: what `-device` takes, of words without a comma.
    ///
    /// # Errors
    ///
    /// QEMU's control socket is closed, or QEMU would not.
    pub fn plug(&self, device: &str) -> Result<(), VmError> {
        let mut words = device.split(',');
        let driver = words.next().unwrap_or_default();
        let mut arguments = serde_json::json!({ "driver": driver });
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            arguments[key] = value.into();
        }
        self.qmp.ask("device_add", arguments).map(drop)
    }

    /// Pull a device out while the machine runs. In: its id.
    ///
    /// # Errors
    ///
    /// As [`Vm::plug`]. That a guest holds on to it is no error.
    pub fn unplug(&self, id: &str) -> Result<(), VmError> {
        self.qmp.ask("device_del", json!({ "id": id })).map(drop)
    }

    /// Tell whether a device with this id is plugged in: one that was pulled out is, until its guest has let go of it.
    ///
    /// # Errors
    ///
    /// As [`Vm::plug`].
    pub fn has_device(&self, id: &str) -> Result<bool, VmError> {
        let devices = self.qmp.ask("qom-list", json!({ "path": "/machine/peripheral" }))?;
        let devices = devices.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(devices.iter().any(|device| device.get("name").and_then(Value::as_str) == Some(id)))
    }

    /// Pull the cable out of the network card, or put it in again.
    ///
    /// # Errors
    ///
    /// As [`Vm::plug`].
    pub fn set_link(&self, up: bool) -> Result<(), VmError> {
        self.qmp.ask("set_link", json!({ "name": "net0", "up": up })).map(drop)
    }

    /// Hold the guest, or let it go on.
    ///
    /// # Errors
    ///
    /// As [`Vm::plug`].
    pub fn hold(&self, held: bool) -> Result<(), VmError> {
        self.qmp.ask(if held { "stop" } else { "cont" }, Value::Null).map(drop)
    }

    /// Take a picture of the screen, as a PNG file.
    ///
    /// # Errors
    ///
    /// As [`Vm::plug`]; QEMU would not: it writes no PNG, or the file.
    pub fn picture(&self, file: &Path) -> Result<(), VmError> {
        let file = std::path::absolute(file).map_err(|cause| VmError::Read { path: file.to_owned(), cause })?;
        self.qmp.ask("screendump", json!({ "filename": file.to_string_lossy(), "format": "png" })).map(drop)
    }

    /// Press the power button.
    ///
    /// # Errors
    ///
    /// [`VmError::Control`], [`VmError::Silent`], [`VmError::Command`]: QEMU could not be told. That a guest does
    /// nothing about it is no error.
    pub fn press_power_button(&self) -> Result<(), VmError> {
        match self.arch {
            GuestArch::Amd64 => self.qmp.ask("system_powerdown", Value::Null),
            GuestArch::Arm64 | GuestArch::Riscv64 => {
                self.qmp.ask("send-key", json!({ "keys": [{ "type": "qcode", "data": "power" }] }))
            }
        }
        .map(drop)
    }

    /// Interrupt its processors in a way that nobody can refuse.
    ///
    /// # Errors
    ///
    /// As [`Vm::plug`].
    pub fn inject_nmi(&self) -> Result<(), VmError> {
        self.qmp.ask("inject-nmi", Value::Null).map(drop)
    }

    /// Return what can end this machine from elsewhere.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.shared))
    }

    /// Wait until the machine has ended by itself, and end it when `limit` is over.
    #[must_use]
    pub fn wait(&self, limit: Option<Duration>) -> Outcome {
        if !self.shared.wait_for_exit(limit) {
            self.stopper().stop(Cause::TimedOut);
        }
        self.shared.wait_for_exit(None);
        self.shared.outcome()
    }

    /// Wait until the machine has ended by itself; nothing if it still runs when `limit` is over.
    #[must_use]
    pub fn ended_within(&self, limit: Duration) -> Option<Outcome> {
        self.shared.wait_for_exit(Some(limit)).then(|| self.shared.outcome())
    }

    /// End the machine now.
    #[must_use]
    pub fn stop(&self) -> Outcome {
        self.stopper().stop(Cause::Killed);
        self.shared.wait_for_exit(None);
        self.shared.outcome()
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.stopper().stop(Cause::Killed);
    }
}

impl fmt::Debug for Vm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Vm").field("arch", &self.arch).field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl Stopper {
    /// End the machine: in good order if QEMU can, by force if it does not. Returns when it is gone.
    ///
    /// The first cause that is given is the one that counts.
    pub fn stop(&self, cause: Cause) {
        self.0.lock().cause.get_or_insert(cause);
        for signal in [Signal::TERM, Signal::KILL] {
            // A process that is gone cannot be signalled, and need not be.
            let _ = pidfd_send_signal(&self.0.process, signal);
            if self.0.wait_for_exit(Some(GRACE)) {
                return;
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Ending)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Wait until QEMU is gone and everything it wrote was read; false if `limit` is over first.
    fn wait_for_exit(&self, limit: Option<Duration>) -> bool {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut ending = self.lock();
        loop {
            let drained = match ending.exited {
                Some(_) if ending.readers == 0 => return true,
                Some(exited) => Some(exited.at + DRAIN),
                None => None,
            };
            let now = Instant::now();
            if drained.is_some_and(|end| end <= now) {
                return true;
            }
            if deadline.is_some_and(|end| end <= now) {
                return false;
            }
            ending = match drained.into_iter().chain(deadline).min() {
                None => self.changed.wait(ending).unwrap_or_else(PoisonError::into_inner),
                Some(end) => self.changed.wait_timeout(ending, end - now).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    fn outcome(&self) -> Outcome {
        let ending = self.lock();
        Outcome::conclude(Evidence {
            arch: Some(self.arch),
            cause: ending.cause,
            shutdown: ending.shutdown.clone(),
            panic: self.console.panic_line(),
            status: ending.exited.and_then(|exited| exited.status),
            stderr: String::from_utf8_lossy(&ending.stderr).into_owned(),
        })
    }
}

/// Start the process on a thread that lives as long as the process does (see [`launch`](super::launch)).
fn keep(command: Command, arch: GuestArch) -> io::Result<Arc<Shared>> {
    let (sender, started) = mpsc::channel();
    thread::Builder::new().name("qemu".to_owned()).spawn(move || match launch(command, arch) {
        Err(error) => drop(sender.send(Err(error))),
        Ok((mut child, shared)) => {
            drop(sender.send(Ok(Arc::clone(&shared))));
            let status = child.wait().ok();
            shared.update(|ending| ending.exited = Some(Exited { at: Instant::now(), status }));
        }
    })?;
    started.recv().map_err(|_| io::ErrorKind::BrokenPipe)?
}

/// Start the process and read what it complains of. Its ends of the sockets are closed here with `command`, or the
/// readers would never see their end.
fn launch(mut command: Command, arch: GuestArch) -> io::Result<(Child, Arc<Shared>)> {
    let mut child = command.spawn()?;
    let watched = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).map_err(io::Error::from);
    let watched = watched.and_then(|process| {
        let shared = Arc::new(Shared {
            arch,
            console: Console::new(),
            ending: Mutex::new(Ending { readers: 3, ..Ending::default() }),
            changed: Condvar::new(),
            pid: child.id(),
            process,
        });
        read_stderr(&shared, child.stderr.take())?;
        Ok(shared)
    });
    match watched {
        Ok(shared) => Ok((child, shared)),
        Err(error) => {
            child.kill()?;
            child.wait()?;
            Err(error)
        }
    }
}

fn read_stderr(shared: &Arc<Shared>, stderr: Option<ChildStderr>) -> io::Result<()> {
    let stderr = stderr.ok_or(io::ErrorKind::BrokenPipe)?;
    let owner = Arc::clone(shared);
    spawn_reader("qemu-stderr", stderr, reader_end(shared), move |bytes| {
        let kept = &mut owner.lock().stderr;
        kept.extend_from_slice(bytes);
        kept.drain(..kept.len().saturating_sub(STDERR_KEPT));
    })
}

fn read_console(shared: &Arc<Shared>, serial: UnixStream, mut sinks: Vec<Sink>) -> io::Result<()> {
    let owner = Arc::clone(shared);
    let ended = reader_end(shared);
    let end = {
        let owner = Arc::clone(shared);
        move || {
            owner.console.end();
            ended();
        }
    };
    spawn_reader("console", serial, end, move |bytes| {
        owner.console.feed(bytes);
        sinks.retain_mut(|sink| match sink.write_all(bytes).and_then(|()| sink.flush()) {
            Ok(()) => true,
            Err(error) => {
                owner.lock().sink_error = Some(error);
                false
            }
        });
    })
}

/// Make what writes QEMU's events into the evidence.
fn events_to(shared: &Arc<Shared>) -> impl FnMut(&str, &Value) + Send + 'static {
    let shared = Arc::clone(shared);
    move |name, data| {
        if name == "SHUTDOWN" {
            let reason = data.get("reason").and_then(Value::as_str).unwrap_or("unknown").to_owned();
            shared.update(|ending| ending.shutdown = Some(reason));
        }
    }
}

/// Make what counts a reader out.
fn reader_end(shared: &Arc<Shared>) -> impl FnOnce() + Send + 'static {
    let shared = Arc::clone(shared);
    move || shared.update(|ending| ending.readers = ending.readers.saturating_sub(1))
}

/// Read a stream to its end on a thread of its own.
fn spawn_reader(
    name: &str,
    mut stream: impl Read + Send + 'static,
    ended: impl FnOnce() + Send + 'static,
    mut each: impl FnMut(&[u8]) + Send + 'static,
) -> io::Result<()> {
    let body = move || {
        let mut buffer = vec![0; 16 << 10];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    each(&buffer[..count]);
                    thread::sleep(GATHER);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        ended();
    };
    thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}
