//! A TPM 2.0 for a machine: swtpm, which keeps what it knows in a folder, and speaks with QEMU over a socket.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{ffi::OsString, fs};

use super::control::folder;
use super::{Launcher, VmError};

/// Counts the TPMs of this process: each has a socket of its own.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// A TPM that runs. It ends with this value, with its machine, or with the thread that started it, whichever is first.
#[derive(Debug)]
pub struct Tpm {
    socket: PathBuf,
    child: Child,
}

impl Tpm {
    /// Start a TPM for one machine, which is about to start.
    ///
    /// In: `state`, a folder that is there, with what an earlier one of this machine left behind or nothing; `swtpm`, the program.
    ///
    /// # Errors
    ///
    /// - [`VmError::Sockets`]: there is no safe folder for its socket.
    /// - [`VmError::Tpm`]: it could not be started; most likely it is not installed.
    pub fn start(state: &Path, swtpm: &Path, launcher: &Launcher) -> Result<Self, VmError> {
        let failed = |cause| VmError::Tpm { program: swtpm.to_owned(), cause };
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let socket = folder()?.join(format!("{}-{number}.tpm", id()));
        let start = || -> io::Result<Self> {
            // Left by a process of the same number.
            let _ = fs::remove_file(&socket);
            // It listens before the program runs, so nobody has to wait for it.
            let listener = UnixListener::bind(&socket)?;
            let mut command = launcher.command(swtpm);
            let mut place = OsString::from("dir=");
            place.push(state);
            command.args(["socket", "--tpm2", "--terminate", "--ctrl", "type=unixio,fd=0", "--tpmstate"]).arg(place);
            command.stdin(OwnedFd::from(listener)).stdout(Stdio::null());
            Ok(Self { child: command.spawn()?, socket })
        };
        start().map_err(failed)
    }

    /// Give the path of its socket, for [`Machine::tpm`](super::Machine::tpm).
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        // It may have ended with its machine.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.socket);
    }
}
