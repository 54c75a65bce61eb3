//! Runs a program of the image with the tools. In: its arguments and what it reads. Out: what it wrote.
//!
//! The program's root is the image's, in a mount namespace of its own with the host's devices; it has no network, and of root's rights
//! those alone by which devices are set up. This program starts itself once more for that ([`ROLE`]), so that nothing runs between a fork
//! and an exec.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::{CapabilitySet, UnshareFlags};

use crate::error::StorageError;
use crate::{Say, sys};

/// First argument by which this program is told to become a tool.
pub const ROLE: &str = "tool";

/// How long a tool may take: file systems are made in seconds, and what takes longer hangs.
const TIME: Duration = Duration::from_secs(600);

/// Time between two looks whether a tool has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// Most bytes of its output that are looked at.
const OUTPUT_MAX: u64 = 16 << 10;

/// Most lines of its errors that are shown.
const LINES_MAX: usize = 20;

/// What tools may do as root: mounts of their own and ioctls of devices, nodes of mapped devices, memory that is not swapped.
const KEPT: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::IPC_LOCK)
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::SYS_RAWIO)
    .union(CapabilitySet::SYS_RESOURCE);

/// Where programs are in an image.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What a tool wrote.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    /// Standard output, its start.
    pub(crate) text: String,
    /// The last line of its standard error, or how it ended.
    pub(crate) why: String,
}

/// The image with the tools.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tools<'a> {
    /// Its root, an absolute path.
    pub(crate) root: &'a str,
}

impl Tools<'_> {
    /// Run a tool on a disk or partition to its end, which must be a good one.
    pub(crate) fn run(
        &self,
        words: &[&str],
        input: &[u8],
        path: &str,
        say: &mut Say<'_>,
    ) -> Result<String, StorageError> {
        let output = self.ask(words, input, path, say)?;
        if output.status.success() {
            return Ok(output.text);
        }
        Err(StorageError::Tool { tool: name(words), path: path.to_owned(), why: output.why })
    }

    /// Run a tool to its end, whatever that is.
    pub(crate) fn ask(
        &self,
        words: &[&str],
        input: &[u8],
        path: &str,
        say: &mut Say<'_>,
    ) -> Result<Output, StorageError> {
        let failed =
            |cause: io::Error| StorageError::Tool { tool: name(words), path: path.to_owned(), why: cause.to_string() };
        let (mut output, mut errors) = (memory().map_err(failed)?, memory().map_err(failed)?);
        let status = self.wait(words, input, &output, &errors).map_err(failed)?;
        let text = start(&mut output).map_err(failed)?;
        let errors = start(&mut errors).map_err(failed)?;
        let lines: Vec<&str> = errors.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        // What a tool warns of while it succeeds is about a system that this is not.
        for line in lines.iter().take(LINES_MAX).filter(|_| !status.success()) {
            say(&format!("{}: {line}", name(words)));
        }
        let why = lines.last().map_or_else(|| status.to_string(), |line| (*line).to_owned());
        Ok(Output { status, text, why })
    }

    fn wait(&self, words: &[&str], input: &[u8], output: &File, errors: &File) -> io::Result<ExitStatus> {
        let mut command = Command::new("/proc/self/exe");
        command.arg(ROLE).arg(self.root).args(words).env_clear();
        // Not a pipe: some tools read keys from files in which they can move about.
        let mut given = memory()?;
        given.write_all(input)?;
        given.seek(SeekFrom::Start(0))?;
        command.stdin(given).stdout(output.try_clone()?).stderr(errors.try_clone()?);
        let mut child = command.spawn()?;
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if start.elapsed() > TIME {
                // It is not waited for: one that waits for its disk cannot be killed, and the boot is to say so. PID 1 gets its end.
                let _ = child.kill();
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("it takes longer than {} s", TIME.as_secs()),
                ));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// A file that is in memory alone.
fn memory() -> io::Result<File> {
    Ok(rustix::fs::memfd_create("tool", MemfdFlags::CLOEXEC)?.into())
}

fn name(words: &[&str]) -> String {
    words.first().copied().unwrap_or_default().to_owned()
}

fn start(file: &mut File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(OUTPUT_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Turn this process into a program of the image with this root. Out: only the error that kept it from happening.
#[must_use]
pub fn become_tool(root: &OsString, program: &OsString, args: &[OsString]) -> io::Error {
    let root = Path::new(root);
    if let Err(cause) = enter(root) {
        return io::Error::new(cause.kind(), format!("could not enter `{}`: {cause}", root.display()));
    }
    let Some(found) = find(program) else {
        let why = format!("the image of `storage.image` has no `{}`", program.display());
        return io::Error::new(io::ErrorKind::NotFound, why);
    };
    // Without udev, nodes of mapped devices are made by who makes the devices.
    Command::new(found).args(args).env_clear().env("PATH", PATH).env("DM_DISABLE_UDEV", "1").exec()
}

fn enter(root: &Path) -> io::Result<()> {
    sys::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWNET | UnshareFlags::NEWUTS)?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    for shown in ["dev", "proc", "sys"] {
        rustix::mount::mount_bind_recursive(Path::new("/").join(shown), root.join(shown))?;
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    for own in ["run", "tmp"] {
        rustix::mount::mount("tmpfs", root.join(own), "tmpfs", flags, Some(c"mode=755"))?;
    }
    rustix::process::chroot(root)?;
    rustix::process::chdir("/")?;
    give_up_rights()
}

fn give_up_rights() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    let all = (0..u64::BITS).map(|number| CapabilitySet::from_bits_retain(1 << number));
    for capability in all.filter(|one| !KEPT.contains(*one)) {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // One that the kernel does not know is given to nobody.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(())
}

/// Find a program by its name, as a shell does.
fn find(program: &OsString) -> Option<PathBuf> {
    PATH.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}
