//! System calls, and the only unsafe code of the crate.
//!
//! In: a request. Out: what the kernel answered. PID 1 reaches the kernel through [`Sys`] alone, so that a recorder can stand
//! in its place and a test can read the order of a whole boot without root. [`Linux`] is the real one.

#![expect(unsafe_code, reason = "the few system calls that have no safe wrapper; nothing else in the crate may")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::net::addr::SocketAddrStorage;
use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType, socket_with};
use rustix::process::{Gid, Pid, PidfdFlags, Resource, Rlimit, Uid, WaitId, WaitIdOptions, WaitOptions, setrlimit};
use rustix::system::RebootCommand;

use crate::button::Buttons;
use crate::container::{self, Section};
use crate::contract::{Container, Filter};
use crate::control::protocol::Exec;
use crate::control::socket;
use crate::disk::Disk;
use crate::early::modules::{Loader, ModulesError, Report};
use crate::pstore;

/// Largest file that PID 1 reads whole, in bytes: a contract of a thousand containers is a tenth of it.
const LONGEST_FILE: u64 = 64 << 20;

/// Files that one process may have open: the kernel's own bound (`fs.nr_open`).
const OPEN_FILES: u64 = 1 << 20;

/// Largest number of bytes taken from one descriptor before the others have their turn.
pub const CHUNK: usize = 16 << 10;

/// One mount, as the kernel wants it.
#[derive(Debug, Clone, Copy)]
pub struct MountCall<'a> {
    /// What is mounted.
    pub source: &'a str,
    /// Where.
    pub target: &'a str,
    /// File system type; ignored for bind mounts, moves and remounts.
    pub kind: &'a str,
    /// Flags.
    pub flags: MountFlags,
    /// Options of the file system itself, comma-separated.
    pub data: &'a str,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Exit {
    /// Tell whether this is success.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "killed by {name}"),
                None => write!(f, "killed by signal {number}"),
            },
        }
    }
}

/// What PID 1 holds of a process it started.
#[derive(Debug)]
pub struct Started {
    /// Process id.
    pub pid: u32,
    /// Read end: one line about how the start went, then the end of the file. Non-blocking.
    pub report: OwnedFd,
    /// Read ends of the output: `stdout`, then `stderr`. Non-blocking.
    pub output: [OwnedFd; 2],
}

/// What the kernel kept of a crash: a piece of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The piece, below a line that says which; at most [`pstore::MOST`] bytes.
    pub text: Vec<u8>,
    /// When it was written, since 1970, by the clock of that boot.
    pub time: Duration,
}

/// What PID 1 holds of a program that it runs in a container for somebody.
#[derive(Debug)]
pub struct Executed {
    /// Process id of the helper that waits for it, and leads its session.
    pub pid: u32,
    /// Write end of its input. Non-blocking.
    pub input: Option<OwnedFd>,
    /// Read ends of its output; a terminal has one. Non-blocking.
    pub output: [Option<OwnedFd>; 2],
}

/// What the machine does when PID 1 is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Switch off.
    Off,
    /// Start again.
    Reboot,
    /// Stop the processors, leave the power on.
    Halt,
}

/// Which end of a descriptor is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Something to read, or the end.
    Read,
    /// Room to write.
    Write,
    /// Only that the other side is gone.
    End,
}

/// The kernel, as PID 1 uses it.
///
/// Every method returns the error of the call beneath it and does nothing else; the meaning is the caller's.
#[expect(clippy::missing_errors_doc, reason = "each is the kernel's own error for the call that names the method")]
pub trait Sys {
    /// Time since the kernel started.
    fn uptime(&self) -> Duration;
    /// Time since 1970; none if the clock is before.
    fn clock(&self) -> Duration;
    /// Listen on a Unix socket that root alone may connect to, in place of what is there.
    fn listen(&mut self, path: &str) -> io::Result<OwnedFd>;
    /// Take a connection that waits, if there is one.
    fn accept(&mut self, listener: &OwnedFd) -> Option<OwnedFd>;
    /// Tell whether the other side of a connection is gone.
    fn is_over(&mut self, fd: BorrowedFd<'_>) -> bool;
    /// Open the virtio port of the control protocol, if the machine has it; SIGIO comes when its other end changes.
    fn control_port(&mut self) -> Option<OwnedFd>;
    /// Open the kernel's log from its oldest record on, for reading that never blocks.
    fn kernel_log(&mut self) -> io::Result<OwnedFd>;
    /// Run a program in a container whose first process this is, and whose system calls this program decides over.
    fn exec(&mut self, container: &Container, filter: Option<&Filter>, pid: u32, exec: &Exec) -> io::Result<Executed>;
    /// Create a directory; one that is there already is success.
    fn mkdir(&mut self, path: &str, mode: u32) -> io::Result<()>;
    /// Create a symbolic link; anything there already is success.
    fn symlink(&mut self, target: &str, path: &str) -> io::Result<()>;
    /// Mount.
    fn mount(&mut self, call: &MountCall<'_>) -> io::Result<()>;
    /// Make a mount and all below it shared with the mount namespaces made from now on.
    fn share(&mut self, target: &str) -> io::Result<()>;
    /// Show what lies at a path at another one too, read-only there.
    fn bind_readonly(&mut self, source: &str, target: &str) -> io::Result<()>;
    /// Make a directory with the owner and the mode of another; one that is there stays as it is.
    fn make_like(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Unmount at once, open files or not.
    fn detach(&mut self, target: &str) -> io::Result<()>;
    /// Unmount.
    fn unmount(&mut self, target: &str) -> io::Result<()>;
    /// Let nobody write to what is mounted.
    fn make_readonly(&mut self, target: &str) -> io::Result<()>;
    /// Processes that hold files of what is mounted: process ids and names, the first few.
    fn users(&mut self, target: &str) -> Vec<(u32, String)>;
    /// Let every loop device go, at once or with its last user.
    fn release_loops(&mut self);
    /// Take all that the kernel kept of its crashes: it is not there any more afterwards.
    fn crash_records(&mut self) -> Vec<Record>;
    /// Bind `/` over itself and make that mount the root (see [`crate::early::ramfs`]).
    fn move_root(&mut self, over: &str) -> io::Result<()>;
    /// Read a whole file.
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>>;
    /// Write to a file that exists, in one call.
    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Switch the loopback interface on; the kernel then gives it its addresses.
    fn loopback(&mut self) -> io::Result<()>;
    /// Load these kernel modules and the drivers of every device, out of the modules of this index, which takes the place of an
    /// earlier one (see [`crate::early::modules`]); `None` if there is no such file.
    fn load_modules(&mut self, index: &str, wanted: &[String]) -> Result<Option<Report>, ModulesError>;
    /// Load the drivers of the devices that have appeared since the last call; returns at once if there are none.
    fn load_for_new_devices(&mut self) -> Report;
    /// Disks and CDs that have a medium: path below `/dev` and size in bytes, sorted.
    fn block_devices(&mut self) -> Vec<(String, u64)>;
    /// Open a block device or a file for reading.
    fn open_disk(&mut self, path: &str) -> io::Result<Box<dyn Disk>>;
    /// Write to a block device: offsets and bytes, each piece on it before the next is begun.
    fn write_disk(&mut self, path: &str, pieces: &[(u64, Vec<u8>)]) -> io::Result<()>;
    /// Let an ext4 file system that is mounted have so many of its blocks.
    fn resize(&mut self, target: &str, blocks: u64) -> io::Result<()>;
    /// Make a part of a block device or file, in bytes, a block device, which goes with its last user.
    fn attach(&mut self, path: &str, offset: u64, size: u64, access: Access) -> io::Result<Attached>;
    /// Let this process and all it starts open as many files as the kernel allows, and fork without a limit per user.
    fn raise_limits(&mut self) -> io::Result<()>;
    /// Create an empty file; one that is there already is success, and stays as it is.
    fn touch(&mut self, path: &str) -> io::Result<()>;
    /// Set the clock, in seconds since 1970.
    fn set_clock(&mut self, seconds: u64) -> io::Result<()>;
    /// Set the host's name.
    fn hostname(&mut self, name: &str) -> io::Result<()>;
    /// Make Ctrl-Alt-Del a signal to PID 1, and have signals queued instead of delivered.
    fn take_signals(&mut self) -> io::Result<()>;
    /// Open the console for writing that never blocks, and make it this process's own output.
    fn console(&mut self) -> io::Result<OwnedFd>;
    /// Numbers of the signals that arrived.
    fn signals(&mut self) -> Vec<i32>;
    /// Wait until a descriptor is ready, a signal arrives or the time is over; tells which descriptors are ready.
    fn poll(&mut self, fds: &[(BorrowedFd<'_>, Want)], timeout: Option<Duration>) -> Vec<bool>;
    /// Take the status of one child that ended, if there is one.
    fn reap(&mut self) -> Option<(u32, Exit)>;
    /// Tell whether there is any child, running or ended.
    fn has_children(&mut self) -> bool;
    /// The power buttons of the machine.
    fn buttons(&mut self) -> Buttons;
    /// Wait, for a bounded time, until the console has sent what it took.
    fn drain_console(&mut self);
    /// Start the helper process that creates a container, whose system calls this program decides over.
    fn start(&mut self, section: Section, container: &Container, filter: Option<&Filter>) -> io::Result<Started>;
    /// Start the helper process that probes a container, given its process, in a session of its own: exit code 0 is success.
    fn probe(&mut self, container: &Container, filter: Option<&Filter>, pid: u32) -> io::Result<Started>;
    /// Start a program; its standard output is its report, its standard error its log.
    fn program(&mut self, path: &str, args: &[&str]) -> io::Result<Started>;
    /// As `program`, with a standard input, whose write end never blocks.
    fn pipe_into(&mut self, path: &str, args: &[&str]) -> io::Result<(Started, OwnedFd)>;
    /// Replace PID 1's own console by a shell and wait for its end.
    fn shell(&mut self) -> io::Result<()>;
    /// Have the machine reset unless it is fed again and again; tells how many seconds it will wait, which may be others.
    fn arm(&mut self, seconds: u32) -> io::Result<u32>;
    /// Feed what resets the machine.
    fn feed(&mut self);
    /// Let go what resets the machine.
    fn disarm(&mut self) -> io::Result<()>;
    /// Send a signal to one process.
    fn kill(&mut self, pid: u32, signal: i32) -> io::Result<()>;
    /// Kill a process that leads a session, and all that it has started there.
    fn kill_session(&mut self, leader: u32) -> io::Result<()>;
    /// Send a signal to every process but this one.
    fn kill_all(&mut self, signal: i32) -> io::Result<()>;
    /// Write everything that is cached to its disk.
    fn sync(&mut self);
    /// Switch off, start again or halt; returns only if the kernel refused.
    fn power(&mut self, power: Power) -> io::Result<()>;
}

/// The real kernel.
#[derive(Debug, Default)]
pub struct Linux {
    signals: Option<File>,
    /// Knows the modules, and hears of devices.
    loader: Option<Loader>,
    /// Resets the machine unless it is fed.
    watchdog: Option<File>,
}

impl Sys for Linux {
    fn uptime(&self) -> Duration {
        uptime()
    }

    fn clock(&self) -> Duration {
        Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::Realtime)).unwrap_or_default()
    }

    fn listen(&mut self, path: &str) -> io::Result<OwnedFd> {
        socket::listen(path)
    }

    fn accept(&mut self, listener: &OwnedFd) -> Option<OwnedFd> {
        socket::accept(listener)
    }

    fn is_over(&mut self, fd: BorrowedFd<'_>) -> bool {
        socket::is_over(fd)
    }

    fn control_port(&mut self) -> Option<OwnedFd> {
        let port = socket::port()?;
        signal_on_change(&port).ok()?;
        Some(port)
    }

    fn kernel_log(&mut self) -> io::Result<OwnedFd> {
        Ok(rustix::fs::open("/dev/kmsg", OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?)
    }

    fn exec(&mut self, container: &Container, filter: Option<&Filter>, pid: u32, exec: &Exec) -> io::Result<Executed> {
        let target = process(pid)?;
        let ends = Ends::new(container, pid, exec)?;
        match fork()? {
            Some(pid) => Ok(Executed { pid, input: ends.input, output: ends.output }),
            None => {
                let ready = rustix::process::setsid().map_err(io::Error::from).and_then(|_| ends.take());
                close_others(&target);
                release_signals();
                leave(container::exec(container, filter, (pid, &target), &exec.command, ready.err()))
            }
        }
    }

    fn mkdir(&mut self, path: &str, mode: u32) -> io::Result<()> {
        match rustix::fs::mkdir(path, Mode::from_raw_mode(mode)) {
            Ok(()) => Ok(rustix::fs::chmod(path, Mode::from_raw_mode(mode))?),
            Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(cause) => Err(cause.into()),
        }
    }

    fn symlink(&mut self, target: &str, path: &str) -> io::Result<()> {
        match rustix::fs::symlink(target, path) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(cause) => Err(cause.into()),
        }
    }

    fn mount(&mut self, call: &MountCall<'_>) -> io::Result<()> {
        mount(call)
    }

    fn share(&mut self, target: &str) -> io::Result<()> {
        Ok(rustix::mount::mount_change(target, MountPropagationFlags::SHARED | MountPropagationFlags::REC)?)
    }

    fn bind_readonly(&mut self, source: &str, target: &str) -> io::Result<()> {
        rustix::mount::mount_bind(source, target)?;
        // The first call of a bind mount ignores the flag.
        Ok(rustix::mount::mount_remount(target, MountFlags::BIND | MountFlags::RDONLY, c"")?)
    }

    fn make_like(&mut self, from: &str, to: &str) -> io::Result<()> {
        if Path::new(to).exists() {
            return Ok(());
        }
        // It gets its name last: a machine that loses power meanwhile finds none, and makes it again.
        let new = format!("{to}.new");
        self.mkdir(&new, 0o700)?;
        copy_owner(Path::new(from), Path::new(&new))?;
        Ok(rustix::fs::rename(&new, to)?)
    }

    fn detach(&mut self, target: &str) -> io::Result<()> {
        Ok(rustix::mount::unmount(target, UnmountFlags::DETACH)?)
    }

    fn unmount(&mut self, target: &str) -> io::Result<()> {
        Ok(rustix::mount::unmount(target, UnmountFlags::empty())?)
    }

    fn make_readonly(&mut self, target: &str) -> io::Result<()> {
        Ok(rustix::mount::mount_remount(target, MountFlags::RDONLY, c"")?)
    }

    fn users(&mut self, target: &str) -> Vec<(u32, String)> {
        let Ok(device) = std::fs::metadata(target).map(|about| about.dev()) else { return Vec::new() };
        let processes = entries(Path::new("/proc")).into_iter().filter_map(|path| {
            let pid = path.file_name()?.to_str()?.parse().ok()?;
            let files = ["root", "cwd", "exe"].map(|name| path.join(name));
            let mut files = files.into_iter().chain(entries(&path.join("fd")));
            let holds = files.any(|file| std::fs::metadata(file).is_ok_and(|about| about.dev() == device));
            let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
            holds.then(|| (pid, name.trim_end().to_owned()))
        });
        processes.take(USERS_MAX).collect()
    }

    fn release_loops(&mut self) {
        for path in entries(Path::new("/sys/block")) {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if path.join("loop/backing_file").exists()
                && let Ok(device) = File::open(format!("/dev/{name}"))
            {
                // SAFETY: the command takes no argument and touches no memory.
                unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CLR_FD as _) };
            }
        }
    }

    fn crash_records(&mut self) -> Vec<Record> {
        let mut room = pstore::MOST;
        let mut records = Vec::new();
        for path in entries(Path::new(pstore::FOLDER)) {
            let Ok(file) = File::open(&path) else { continue };
            let time = file.metadata().and_then(|about| about.modified()).ok();
            let time = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
            let mut text = Vec::new();
            // What is too much is lost: who does not make room gets nothing of the next crash.
            if room > 0 && file.take(room as u64).read_to_end(&mut text).is_ok() {
                room -= text.len();
                records.push(Record { text, time });
            }
            let _ = std::fs::remove_file(&path);
        }
        records
    }

    fn move_root(&mut self, over: &str) -> io::Result<()> {
        rustix::mount::mount_bind_recursive("/", over)?;
        rustix::process::chdir(over)?;
        rustix::mount::mount_move(".", "/")?;
        rustix::process::chroot(".")?;
        Ok(rustix::process::chdir("/")?)
    }

    fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        read_whole(path)
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        let written = rustix::io::write(&file, bytes)?;
        if written == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    fn loopback(&mut self) -> io::Result<()> {
        loopback()
    }

    fn load_modules(&mut self, index: &str, wanted: &[String]) -> Result<Option<Report>, ModulesError> {
        let path = Path::new(index);
        let known = match &mut self.loader {
            Some(loader) => loader.reopen(path)?,
            None => {
                self.loader = Loader::open(path)?;
                true
            }
        };
        Ok(self.loader.as_mut().filter(|_| known).map(|loader| {
            let mut report = Report::default();
            loader.load_all(wanted, &mut report);
            report
        }))
    }

    fn load_for_new_devices(&mut self) -> Report {
        let mut report = Report::default();
        // Where the kernel tells of nothing there is no news, and no reason to search all devices at every event.
        if let Some(loader) = self.loader.as_mut().filter(|loader| loader.watch().is_some()) {
            loader.load_for_new_devices(Path::new("/sys/devices"), &mut report);
            report.news = loader.heard();
        }
        report
    }

    fn block_devices(&mut self) -> Vec<(String, u64)> {
        block_devices(Path::new("/sys/class/block"))
    }

    fn open_disk(&mut self, path: &str) -> io::Result<Box<dyn Disk>> {
        let file = File::open(path)?;
        // The length of a block device, too; that of a CD is known only once it was opened.
        let size = rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))?;
        Ok(Box::new(Opened { file, size }))
    }

    fn attach(&mut self, path: &str, offset: u64, size: u64, access: Access) -> io::Result<Attached> {
        attach_blocks(path, offset, size, access, BLOCK_SIZE)
    }

    fn write_disk(&mut self, path: &str, pieces: &[(u64, Vec<u8>)]) -> io::Result<()> {
        let file = File::options().write(true).open(path)?;
        for (offset, bytes) in pieces {
            file.write_all_at(bytes, *offset)?;
            file.sync_data()?;
        }
        Ok(())
    }

    fn resize(&mut self, target: &str, blocks: u64) -> io::Result<()> {
        resize(target, blocks)
    }

    fn raise_limits(&mut self) -> io::Result<()> {
        let files = Rlimit { current: Some(OPEN_FILES), maximum: Some(OPEN_FILES) };
        setrlimit(Resource::Nofile, files)?;
        Ok(setrlimit(Resource::Nproc, Rlimit { current: None, maximum: None })?)
    }

    fn touch(&mut self, path: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(rustix::fs::open(path, flags, Mode::from_raw_mode(0o644)).map(drop)?)
    }

    fn set_clock(&mut self, seconds: u64) -> io::Result<()> {
        let tv_sec = i64::try_from(seconds).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok(rustix::time::clock_settime(rustix::time::ClockId::Realtime, Timespec { tv_sec, tv_nsec: 0 })?)
    }

    fn hostname(&mut self, name: &str) -> io::Result<()> {
        Ok(rustix::system::sethostname(name.as_bytes())?)
    }

    fn take_signals(&mut self) -> io::Result<()> {
        // Outside a machine of its own (a container) this is refused, and nothing is lost.
        let _ = rustix::system::reboot(RebootCommand::CadOff);
        self.signals = Some(signal_file(&HANDLED)?);
        Ok(())
    }

    fn console(&mut self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let own = rustix::fs::open("/dev/console", flags, Mode::empty())?;
        rustix::stdio::dup2_stdin(&own)?;
        rustix::stdio::dup2_stdout(&own)?;
        rustix::stdio::dup2_stderr(&own)?;
        // Opened a second time: O_NONBLOCK belongs to the open file, and a panic's last words should still block.
        Ok(rustix::fs::open("/dev/console", flags | OFlags::NONBLOCK, Mode::empty())?)
    }

    fn signals(&mut self) -> Vec<i32> {
        // `struct signalfd_siginfo` is 128 bytes and starts with the signal's number.
        let mut buffer = [0_u8; 128 * 8];
        let mut numbers = Vec::new();
        let Some(file) = &mut self.signals else { return numbers };
        while let Ok(length) = file.read(&mut buffer) {
            if length == 0 {
                break;
            }
            let heads = buffer[..length].chunks_exact(128).filter_map(|record| record.first_chunk::<4>());
            numbers.extend(heads.map(|head| i32::from_ne_bytes(*head)));
        }
        numbers
    }

    fn poll(&mut self, fds: &[(BorrowedFd<'_>, Want)], timeout: Option<Duration>) -> Vec<bool> {
        let mut set: Vec<PollFd<'_>> = Vec::with_capacity(fds.len() + 1);
        for (fd, want) in fds {
            let flags = match want {
                Want::Read => PollFlags::IN,
                Want::Write => PollFlags::OUT,
                Want::End => PollFlags::empty(),
            };
            set.push(PollFd::from_borrowed_fd(*fd, flags));
        }
        if let Some(signals) = &self.signals {
            set.push(PollFd::new(signals, PollFlags::IN));
        }
        if let Some(news) = self.loader.as_ref().and_then(Loader::watch) {
            set.push(PollFd::from_borrowed_fd(news, PollFlags::IN));
        }
        let timeout = timeout.and_then(|time| Timespec::try_from(time).ok());
        // An error (EINTR, ENOMEM) means that nothing is known to be ready; the caller's loop comes back.
        if rustix::event::poll(&mut set, timeout.as_ref()).is_err() {
            return vec![false; fds.len()];
        }
        set.iter().take(fds.len()).map(|entry| !entry.revents().is_empty()).collect()
    }

    fn reap(&mut self) -> Option<(u32, Exit)> {
        let (pid, status) = rustix::process::wait(WaitOptions::NOHANG).ok()??;
        let exit = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => return None,
        };
        Some((pid.as_raw_pid().unsigned_abs(), exit))
    }

    fn has_children(&mut self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        rustix::process::waitid(WaitId::All, options).is_ok()
    }

    fn buttons(&mut self) -> Buttons {
        Buttons::find()
    }

    fn drain_console(&mut self) {
        // `tcdrain` could wait for ever for a serial line that nobody reads.
        for _ in 0..50 {
            if unsent() == 0 {
                return;
            }
            pause_for(Duration::from_millis(20));
        }
    }

    fn start(&mut self, section: Section, container: &Container, filter: Option<&Filter>) -> io::Result<Started> {
        let (report, report_end) = pipe()?;
        let (stdout, stdout_end) = output_pipe(container)?;
        let (stderr, stderr_end) = output_pipe(container)?;
        let null = null()?;
        // A forked helper needs neither a second copy of the contract nor the time to read it again.
        match fork()? {
            Some(pid) => Ok(Started { pid, report, output: [stdout, stderr] }),
            None => {
                let ready = rustix::stdio::dup2_stdin(&null)
                    .and_then(|()| rustix::stdio::dup2_stdout(&stdout_end))
                    .and_then(|()| rustix::stdio::dup2_stderr(&stderr_end));
                close_others(&report_end);
                release_signals();
                container::helper(section, container, filter, &report_end, ready.err().map(io::Error::from));
                leave(0)
            }
        }
    }

    fn probe(&mut self, container: &Container, filter: Option<&Filter>, pid: u32) -> io::Result<Started> {
        let (output, end) = output_pipe(container)?;
        let (null, report, spare) = (null()?, null()?, null()?);
        let target = process(pid)?;
        match fork()? {
            Some(helper) => Ok(Started { pid: helper, report, output: [output, spare] }),
            None => {
                let ready = rustix::stdio::dup2_stdin(&null)
                    .and_then(|()| rustix::stdio::dup2_stdout(&end))
                    .and_then(|()| rustix::stdio::dup2_stderr(&end))
                    .and_then(|()| rustix::process::setsid());
                close_others(&target);
                release_signals();
                leave(container::probe(container, filter, (pid, &target), ready.err().map(io::Error::from)))
            }
        }
    }

    fn program(&mut self, path: &str, args: &[&str]) -> io::Result<Started> {
        program(path, args, Stdio::null())
    }

    fn pipe_into(&mut self, path: &str, args: &[&str]) -> io::Result<(Started, OwnedFd)> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&write, true)?;
        Ok((program(path, args, read.into())?, write))
    }

    fn shell(&mut self) -> io::Result<()> {
        Command::new("/bin/sh").spawn()?.wait().map(|_| ())
    }

    fn arm(&mut self, seconds: u32) -> io::Result<u32> {
        let device = File::options().write(true).open("/dev/watchdog")?;
        // It counts from now on, so it is kept even if it takes no other time.
        let waits = watchdog_timeout(&device, seconds);
        self.watchdog = Some(device);
        waits
    }

    fn feed(&mut self) {
        if let Some(device) = &mut self.watchdog {
            // If it is refused, the machine resets: which is what is meant.
            let _ = device.write(&[0]);
        }
    }

    fn disarm(&mut self) -> io::Result<()> {
        let Some(mut device) = self.watchdog.take() else { return Ok(()) };
        // The letter means that the end of the file is meant.
        device.write_all(b"V")
    }

    fn kill(&mut self, pid: u32, signal: i32) -> io::Result<()> {
        let raw = i32::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
        // 0 and -1 would mean a group or everyone.
        if raw > 1 { send(raw, signal) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    fn kill_session(&mut self, leader: u32) -> io::Result<()> {
        let raw = i32::try_from(leader).map_err(|_| io::ErrorKind::InvalidInput)?;
        // A helper that was not yet so far as to lead a session is alone.
        if raw <= 1 {
            Err(io::ErrorKind::InvalidInput.into())
        } else {
            send(-raw, libc::SIGKILL).or_else(|_| send(raw, libc::SIGKILL))
        }
    }

    fn kill_all(&mut self, signal: i32) -> io::Result<()> {
        send(-1, signal)
    }

    fn sync(&mut self) {
        rustix::fs::sync();
    }

    fn power(&mut self, power: Power) -> io::Result<()> {
        Ok(rustix::system::reboot(match power {
            Power::Off => RebootCommand::PowerOff,
            Power::Reboot => RebootCommand::Restart,
            Power::Halt => RebootCommand::Halt,
        })?)
    }
}

/// A file or block device whose length is known.
struct Opened {
    file: File,
    size: u64,
}

impl Disk for Opened {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, offset)
    }
}

/// Names of block devices that are never looked at: they are empty until somebody fills them, or a drive that takes seconds to
/// say that it is empty.
const NOT_DISKS: [&str; 4] = ["loop", "ram", "zram", "fd"];

/// Most processes that are named as the users of a file system.
const USERS_MAX: usize = 8;

/// Paths in a folder, sorted; none if it cannot be listed.
fn entries(folder: &Path) -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "what is found is sorted")]
    let Ok(listing) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = listing.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The whole devices of a folder like `/sys/class/block`.
fn block_devices(folder: &Path) -> Vec<(String, u64)> {
    #[expect(clippy::disallowed_methods, reason = "what is found is sorted")]
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let whole = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let numbered =
            |kind: &&str| name.strip_prefix(*kind).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if NOT_DISKS.iter().any(numbered) || entry.path().join("partition").exists() {
            return None;
        }
        // Always in sectors of 512 bytes, whatever the device has.
        let sectors: u64 = std::fs::read_to_string(entry.path().join("size")).ok()?.trim_end().parse().ok()?;
        // A name with a slash is written with an exclamation mark.
        (sectors > 0).then(|| (format!("/dev/{}", name.replace('!', "/")), sectors.saturating_mul(512)))
    });
    let mut devices: Vec<_> = whole.collect();
    devices.sort();
    devices
}

/// What a block device may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To be read only.
    Read,
    /// To be written, too.
    Write,
}

/// A block device that shows a part of something else. While it is held, it stays.
#[derive(Debug)]
pub struct Attached {
    path: String,
    _held: OwnedFd,
}

impl Attached {
    /// A device at this path, which stays at least as long as this descriptor is open.
    #[must_use]
    pub fn new(path: String, held: OwnedFd) -> Self {
        Self { path, _held: held }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// `struct loop_info64` of linux/loop.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    sizelimit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}
const _: () = assert!(size_of::<LoopInfo>() == 232);

/// `struct loop_config` of linux/loop.h.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}
const _: () = assert!(size_of::<LoopConfig>() == 304);

/// Lets a loop device go, or lets it go with its last user.
const LOOP_CLR_FD: libc::c_ulong = 0x4c01;

/// Block of a loop device that a file system is read from, in bytes: that of the file system, so that direct reads fit disks of any sector.
const BLOCK_SIZE: u32 = 4096;

/// Make a part of a file a loop device, which goes with its last user. In: the part, and the device's block, all in bytes.
///
/// # Errors
///
/// The error of open(2) or ioctl(2).
///
/// # Source
///
/// Linux, `include/uapi/linux/loop.h` and `drivers/block/loop.c`.
pub fn attach_blocks(path: &str, offset: u64, size: u64, access: Access, block: u32) -> io::Result<Attached> {
    const CTL_GET_FREE: libc::c_ulong = 0x4c82;
    const CONFIGURE: libc::c_ulong = 0x4c0a;
    const SET_FD: libc::c_ulong = 0x4c00;
    const SET_STATUS: libc::c_ulong = 0x4c04;
    const READ_ONLY: u32 = 1;
    const AUTOCLEAR: u32 = 4;
    // Else every page would be in memory twice: as the disk's and as the file's. The kernel reads through its cache where it must.
    const DIRECT_IO: u32 = 16;
    let write = access == Access::Write;
    let read_only = if write { 0 } else { READ_ONLY };
    let backing = File::options().read(true).write(write).open(path)?;
    let control = File::open("/dev/loop-control")?;
    // SAFETY: the command takes no argument and touches no memory.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), CTL_GET_FREE as _) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    let device = format!("/dev/loop{number}");
    let held = File::options().read(true).write(write).open(&device)?;
    let mut file_name = [0; 64];
    for (to, from) in file_name.iter_mut().take(63).zip(path.bytes()) {
        *to = from;
    }
    let info = LoopInfo {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset,
        sizelimit: size,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: read_only | AUTOCLEAR | DIRECT_IO,
        file_name,
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    };
    let fd = backing.as_raw_fd();
    let config = LoopConfig { fd: fd.cast_unsigned(), block_size: block, info, reserved: [0; 8] };
    // SAFETY: the command reads one `loop_config`, which outlives the call.
    if unsafe { libc::ioctl(held.as_raw_fd(), CONFIGURE as _, &raw const config) } == 0 {
        return Ok(Attached::new(device, held.into()));
    }
    let cause = io::Error::last_os_error();
    // Before Linux 5.8 it takes two steps, between which the device shows the whole.
    if !matches!(cause.raw_os_error(), Some(libc::EINVAL | libc::ENOTTY)) {
        return Err(cause);
    }
    // SAFETY: the command takes a descriptor and touches no memory.
    if unsafe { libc::ioctl(held.as_raw_fd(), SET_FD as _, fd) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let info = LoopInfo { flags: read_only | AUTOCLEAR, ..info };
    // SAFETY: the command reads one `loop_info64`, which outlives the call.
    if unsafe { libc::ioctl(held.as_raw_fd(), SET_STATUS as _, &raw const info) } == 0 {
        return Ok(Attached::new(device, held.into()));
    }
    let cause = io::Error::last_os_error();
    // SAFETY: the command takes no argument and touches no memory.
    unsafe { libc::ioctl(held.as_raw_fd(), LOOP_CLR_FD as _) };
    Err(cause)
}

/// Let a mounted ext4 file system have so many blocks.
///
/// # Source
///
/// Linux, `include/uapi/linux/ext4.h`.
fn resize(target: &str, blocks: u64) -> io::Result<()> {
    const RESIZE_FS: libc::c_ulong = 0x4008_6610;
    let folder = File::open(target)?;
    // SAFETY: the command reads one `u64`, which outlives the call.
    if unsafe { libc::ioctl(folder.as_raw_fd(), RESIZE_FS as _, &raw const blocks) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// Set how long a watchdog waits. Out: how long it will, in seconds.
///
/// # Source
///
/// Linux, `include/uapi/linux/watchdog.h`: `_IOWR('W', 6, int)` and `_IOR('W', 7, int)`.
fn watchdog_timeout(device: &File, seconds: u32) -> io::Result<u32> {
    const SET_TIMEOUT: libc::c_ulong = 0xc004_5706;
    const GET_TIMEOUT: libc::c_ulong = 0x8004_5707;
    let mut time = libc::c_int::try_from(seconds).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the command reads and writes one int, which outlives the call.
    if unsafe { libc::ioctl(device.as_raw_fd(), SET_TIMEOUT as _, &raw mut time) } == 0 {
        return u32::try_from(time).map_err(io::Error::other);
    }
    // Some have one time only, or do not take this one.
    // SAFETY: the command writes one int, which outlives the call.
    if unsafe { libc::ioctl(device.as_raw_fd(), GET_TIMEOUT as _, &raw mut time) } == 0 {
        return u32::try_from(time).map_err(io::Error::other);
    }
    Ok(seconds)
}

/// Signals that PID 1 acts on; all others keep their default, which for PID 1 is to be ignored.
const HANDLED: [i32; 7] =
    [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGPWR, libc::SIGIO];

/// Name of a signal, as `kill -l` knows it.
#[must_use]
pub fn signal_name(number: i32) -> Option<&'static str> {
    SIGNALS.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}

/// The signals that have names in messages.
const SIGNALS: [(&str, i32); 20] = [
    ("SIGHUP", libc::SIGHUP),
    ("SIGINT", libc::SIGINT),
    ("SIGQUIT", libc::SIGQUIT),
    ("SIGILL", libc::SIGILL),
    ("SIGTRAP", libc::SIGTRAP),
    ("SIGABRT", libc::SIGABRT),
    ("SIGBUS", libc::SIGBUS),
    ("SIGFPE", libc::SIGFPE),
    ("SIGKILL", libc::SIGKILL),
    ("SIGUSR1", libc::SIGUSR1),
    ("SIGSEGV", libc::SIGSEGV),
    ("SIGUSR2", libc::SIGUSR2),
    ("SIGPIPE", libc::SIGPIPE),
    ("SIGALRM", libc::SIGALRM),
    ("SIGTERM", libc::SIGTERM),
    ("SIGCHLD", libc::SIGCHLD),
    ("SIGCONT", libc::SIGCONT),
    ("SIGWINCH", libc::SIGWINCH),
    ("SIGPWR", libc::SIGPWR),
    ("SIGSYS", libc::SIGSYS),
];

/// Time since the kernel started.
#[must_use]
pub fn uptime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

/// Give a directory the owner, group and mode of another: an overlay's root takes them from its upper directory.
///
/// # Errors
///
/// The error of stat(2), chmod(2) or chown(2).
pub fn copy_owner(from: &Path, to: &Path) -> io::Result<()> {
    let stat = rustix::fs::stat(from)?;
    rustix::fs::chmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    Ok(rustix::fs::chown(to, Some(owner), Some(group))?)
}

/// Have the kernel run a program whenever a process of a cgroup wants to use a device; it takes the place of an earlier one.
///
/// In: the cgroup's folder; the program, whose words are instructions of the kernel's, eight bytes each.
///
/// # Errors
///
/// The error of open(2) or bpf(2).
///
/// # Source
///
/// Linux, `include/uapi/linux/bpf.h`: `union bpf_attr`.
pub fn restrict_devices(cgroup: &Path, program: &[u64]) -> io::Result<()> {
    const PROG_LOAD: libc::c_int = 5;
    const PROG_ATTACH: libc::c_int = 8;
    const TYPE_CGROUP_DEVICE: u32 = 15;
    const ATTACH_CGROUP_DEVICE: u32 = 6;
    // A container that has cgroups of its own below may restrict those further.
    const ALLOW_OVERRIDE: u32 = 1;

    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        program: u64,
        license: u64,
        log: [u64; 2],
        version: u32,
        flags: u32,
    }
    #[repr(C)]
    struct Attach {
        target: u32,
        program: u32,
        kind: u32,
        flags: u32,
    }

    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(cgroup, flags, Mode::empty())?;
    let count = u32::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let license = c"Apache-2.0";
    let load = Load {
        kind: TYPE_CGROUP_DEVICE,
        count,
        program: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log: [0; 2],
        version: 0,
        flags: 0,
    };
    // SAFETY: `load` is the start of `union bpf_attr` for this command, as long as is said, and outlives the call, as do the
    // `count` instructions and the text that it points to; the kernel only reads them.
    let loaded = unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const load, size_of::<Load>()) };
    let loaded = i32::try_from(loaded).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: bpf just returned this descriptor, and nobody else knows it.
    let loaded = unsafe { OwnedFd::from_raw_fd(loaded) };
    let attach = Attach {
        target: folder.as_raw_fd().cast_unsigned(),
        program: loaded.as_raw_fd().cast_unsigned(),
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_OVERRIDE,
    };
    // SAFETY: `attach` is the start of `union bpf_attr` for this command, as long as is said, and outlives the call.
    let attached = unsafe { libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw const attach, size_of::<Attach>()) };
    if attached == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Have the kernel run a program before every system call of this process, and of all that it starts.
///
/// # Errors
///
/// The error of seccomp(2). Without "no new privileges" it takes CAP_SYS_ADMIN.
pub fn filter_calls(filter: &Filter) -> io::Result<()> {
    // The words have the first field of an instruction in their lowest bits.
    const _: () = assert!(cfg!(target_endian = "little") && size_of::<libc::sock_filter>() == size_of::<u64>());

    let len = u16::try_from(filter.0.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: filter.0.as_ptr().cast_mut().cast() };
    // SAFETY: the kernel reads `len` instructions of eight bytes each, as many as there are words, and writes none; they and
    // `program` outlive the call.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Mount; an empty string stands for an absent source, type or option text.
///
/// # Errors
///
/// The error of mount(2).
pub fn mount(call: &MountCall<'_>) -> io::Result<()> {
    let data = std::ffi::CString::new(call.data)?;
    Ok(rustix::mount::mount(call.source, call.target, call.kind, call.flags, Some(data.as_c_str()))?)
}

/// Read a whole file of at most 64 MiB.
///
/// # Errors
///
/// The error of open(2) or read(2); [`io::ErrorKind::FileTooLarge`].
pub fn read_whole(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_FILE { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Read what is there, at most [`CHUNK`] bytes, from a non-blocking descriptor.
///
/// Out: the bytes, none at the end of the file.
///
/// # Errors
///
/// The error of read(2); [`io::ErrorKind::WouldBlock`] if there is nothing now.
pub fn read_some(fd: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; CHUNK];
    let length = rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut bytes[..]))?;
    bytes.truncate(length);
    Ok(bytes)
}

/// Start a program with its output in pipes that never block.
fn program(path: &str, args: &[&str], stdin: Stdio) -> io::Result<Started> {
    let mut child = Command::new(path).args(args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (Some(report), Some(log)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let (report, log) = (OwnedFd::from(report), OwnedFd::from(log));
    let spare = null()?;
    for fd in [&report, &log] {
        rustix::io::ioctl_fionbio(fd, true)?;
    }
    Ok(Started { pid: child.id(), report, output: [log, spare] })
}

/// Hold a child of this process that was not reaped yet, and so stays what it is.
fn process(pid: u32) -> io::Result<OwnedFd> {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::pidfd_open(raw, PidfdFlags::empty())?)
}

/// Have SIGIO sent to this process when something changes at the other end of a descriptor.
fn signal_on_change(fd: &OwnedFd) -> io::Result<()> {
    let (fd, own) = (fd.as_raw_fd(), rustix::process::getpid().as_raw_pid());
    // SAFETY: the descriptor is open, and no memory is passed.
    let owned = unsafe { libc::fcntl(fd, libc::F_SETOWN, own) };
    // SAFETY: as above.
    let set = unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK | libc::O_ASYNC) };
    if owned < 0 || set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Input and output of a program in a container: PID 1's ends, and the program's.
struct Ends {
    input: Option<OwnedFd>,
    output: [Option<OwnedFd>; 2],
    program: [OwnedFd; 3],
    terminal: bool,
}

impl Ends {
    fn new(container: &Container, pid: u32, exec: &Exec) -> io::Result<Self> {
        if let Some(size) = exec.terminal {
            let (ours, theirs) = socket::terminal(pid, size)?;
            let program = [theirs.try_clone()?, theirs.try_clone()?, theirs];
            return Ok(Self { input: Some(ours.try_clone()?), output: [Some(ours), None], program, terminal: true });
        }
        let (stdout, stdout_end) = output_pipe(container)?;
        let (stderr, stderr_end) = output_pipe(container)?;
        let (stdin, stdin_end) = if exec.input {
            let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(&write, true)?;
            (read, Some(write))
        } else {
            (null()?, None)
        };
        let program = [stdin, stdout_end, stderr_end];
        Ok(Self { input: stdin_end, output: [Some(stdout), Some(stderr)], program, terminal: false })
    }

    /// Make the program's ends this process's own.
    fn take(&self) -> io::Result<()> {
        let [stdin, stdout, stderr] = &self.program;
        if self.terminal {
            rustix::process::ioctl_tiocsctty(stdin)?;
        }
        rustix::stdio::dup2_stdin(stdin)?;
        rustix::stdio::dup2_stdout(stdout)?;
        Ok(rustix::stdio::dup2_stderr(stderr)?)
    }
}

/// Open what gives nothing and keeps nothing.
fn null() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

/// Make a pipe for the output of a container.
///
/// `/dev/stdout` in the container is this pipe, which is opened anew: by a user who need not be root, and by the processes of
/// other users that it starts. Who may reach its links in `/proc` at all is decided elsewhere.
fn output_pipe(container: &Container) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe()?;
    let (user, group) = container::owner(container);
    rustix::fs::fchown(&write, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
    rustix::fs::fchmod(&write, Mode::from_raw_mode(0o622))?;
    Ok((read, write))
}

/// Make a pipe whose read end never blocks.
///
/// # Errors
///
/// The error of pipe2(2).
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&read, true)?;
    Ok((read, write))
}

/// Address of a packet socket: one interface, one Ethernet protocol (`ETH_P_...`, host byte order).
///
/// # Source
///
/// Linux, `packet(7)`: `struct sockaddr_ll`, 20 bytes; the protocol is in network byte order.
#[must_use]
pub fn packet_address(index: u32, protocol: u16) -> SocketAddrAny {
    let mut storage = [0u8; size_of::<SocketAddrStorage>()];
    storage[..2].copy_from_slice(&AddressFamily::PACKET.as_raw().to_ne_bytes());
    storage[2..4].copy_from_slice(&protocol.to_be_bytes());
    storage[4..8].copy_from_slice(&index.to_ne_bytes());
    // SAFETY: the pointer is to as many initialised bytes as the storage has, more than the 20 that are read; they begin
    // with an address family; `read` copies without asking for alignment.
    unsafe { SocketAddrAny::read(storage.as_ptr().cast(), 20) }
}

/// A number that nobody can guess, as far as the kernel has such; it does not wait for more.
///
/// # Errors
///
/// The kernel's.
pub fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::INSECURE)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Bytes for a key: the kernel waits until it has some that nobody can guess.
///
/// # Errors
///
/// The kernel's.
pub fn secret() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let len = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if len == bytes.len() { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Move the clock forward by so many nanoseconds, or back: at once, or bit by bit with this constant of the kernel's loop. The kernel then
/// writes the machine's own clock from time to time. Out: whether it jumped.
///
/// # Errors
///
/// The kernel's.
///
/// # Source
///
/// `adjtimex(2)`; linux/timex.h.
pub fn move_clock(by: i64, constant: Option<u32>) -> io::Result<bool> {
    const SECOND: i64 = 1_000_000_000;
    // SAFETY: `timex` is plain data, and all zeros is one of its values.
    let mut request: libc::timex = unsafe { std::mem::zeroed() };
    request.modes = libc::ADJ_STATUS | libc::ADJ_NANO | libc::ADJ_MAXERROR | libc::ADJ_ESTERROR;
    request.status = libc::STA_PLL;
    match constant {
        Some(constant) => {
            request.modes |= libc::ADJ_OFFSET | libc::ADJ_TIMECONST;
            (request.offset, request.constant) = (by, constant.into());
        }
        None => {
            request.modes |= libc::ADJ_SETOFFSET;
            (request.time.tv_sec, request.time.tv_usec) = (by.div_euclid(SECOND), by.rem_euclid(SECOND));
        }
    }
    // SAFETY: adjtimex reads and writes one `timex`, which outlives the call.
    let answer = unsafe { libc::adjtimex(&raw mut request) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(constant.is_none()) }
}

/// Sleep until a signal arrives.
pub fn pause() {
    // SAFETY: no memory is passed.
    unsafe { libc::pause() };
}

/// Sleep.
pub fn pause_for(time: Duration) {
    std::thread::sleep(time);
}

/// Switch on the loopback interface of the network namespace this process is in.
///
/// # Errors
///
/// The kernel's.
pub fn loopback() -> io::Result<()> {
    switch_on(b"lo\0")
}

/// Switch a network interface on. In: its name, with a zero byte at the end.
fn switch_on(name: &[u8]) -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: `ifreq` is plain data, and all zeros is one of its values.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = from.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = IFF_UP;
    // SAFETY: SIOCSIFFLAGS reads one `ifreq`, which outlives the call.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `IFF_UP` of linux/if.h, in the width of the request's field.
const IFF_UP: libc::c_short = 1;

/// Bytes that the terminal on standard output has taken and not sent.
fn unsent() -> i32 {
    let mut count = 0;
    // SAFETY: TIOCOUTQ writes one int, and `count` is one that outlives the call.
    let answer = unsafe { libc::ioctl(1, libc::TIOCOUTQ, &raw mut count) };
    if answer < 0 { 0 } else { count }
}

/// Bits of an input device's keys, in the order of the key codes; none if it has no keys.
#[must_use]
pub fn key_bits(device: &OwnedFd) -> [u8; KEY_BYTES] {
    let mut bits = [0_u8; KEY_BYTES];
    // `EVIOCGBIT(EV_KEY, len)` of linux/input.h: _IOC(_IOC_READ, 'E', 0x20 + EV_KEY, len), EV_KEY being 1.
    let request = (2 << 30) | ((KEY_BYTES as u64) << 16) | (0x45 << 8) | 0x21;
    // SAFETY: the request's length field is the size of `bits`, so the kernel writes no further; `bits` outlives the call.
    let answer = unsafe { libc::ioctl(device.as_raw_fd(), request as _, bits.as_mut_ptr()) };
    if answer < 0 { [0; KEY_BYTES] } else { bits }
}

/// Bytes that hold one bit for each key code up to `KEY_MAX` (0x2ff).
pub const KEY_BYTES: usize = 96;

/// Block the signals in this process and give a file that says which arrived.
fn signal_file(numbers: &[i32]) -> io::Result<File> {
    let set = signal_set(numbers);
    // SAFETY: `set` is an initialised signal set, and the old mask is not asked for.
    if unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `set` is an initialised signal set; -1 asks for a new descriptor.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: signalfd just returned this descriptor, and nobody else knows it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// The set of these signals.
fn signal_set(numbers: &[i32]) -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set that it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the call above.
    let mut set = unsafe { set.assume_init() };
    for number in numbers {
        // SAFETY: `set` is initialised; a wrong number is refused, not stored.
        unsafe { libc::sigaddset(&raw mut set, *number) };
    }
    set
}

/// Let signals through again: what a child of PID 1 needs before it becomes another program.
fn release_signals() {
    let none = signal_set(&[]);
    // SAFETY: `none` is an initialised signal set, and the old mask is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
    // Rust's start-up ignores SIGPIPE, which would be inherited through exec.
    // SAFETY: SIG_DFL is a valid disposition for SIGPIPE.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Fork. Out: the child's process id in the parent, nothing in the child.
///
/// # Errors
///
/// The error of fork(2).
pub fn fork() -> io::Result<Option<u32>> {
    // SAFETY: PID 1 and its helpers have one thread each, so no lock is held by a thread that the child would lack.
    let pid = unsafe { libc::fork() };
    match u32::try_from(pid) {
        Ok(0) => Ok(None),
        Ok(pid) => Ok(Some(pid)),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Close every descriptor but the standard three and `kept`.
fn close_others(kept: &OwnedFd) {
    let kept = kept.as_raw_fd().unsigned_abs();
    for (first, last) in [(3, kept.saturating_sub(1)), (kept + 1, u32::MAX)] {
        if first <= last {
            // SAFETY: run in a fresh child that never drops what owned these descriptors: it leaves by `_exit`.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
}

/// End a forked child without running anything that belongs to the parent.
pub fn leave(code: i32) -> ! {
    // SAFETY: always sound; it runs no handler and drops nothing.
    unsafe { libc::_exit(code) }
}

/// Send a signal; -1 is every process but this one.
fn send(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
