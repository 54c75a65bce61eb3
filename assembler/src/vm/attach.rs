//! The user's keyboard, connected to the guest's serial port.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::stdio::stdin;

use super::terminal::{Key, Keys, Raw};
use super::{Cause, Outcome, Stopper, Vm, VmError};

/// The keys that are not for the guest, for the user to read.
pub const HELP: &str =
    "Ctrl-A x ends the machine, Ctrl-A p presses its power button, Ctrl-A a sends Ctrl-A, Ctrl-A h shows this";

/// Connect standard input to the guest and wait until the machine has ended, or `wait` says so.
///
/// In: `say`, which shows a line to the user. A terminal is in raw mode meanwhile, and as before when this returns or
/// panics; something else than a terminal is sent to the guest as it is, to its end.
///
/// # Errors
///
/// [`VmError::Terminal`]: the terminal or the guest's serial port cannot be had.
pub fn attach(
    vm: &Vm,
    say: impl Fn(&str) + Send + Sync,
    wait: impl FnOnce(&Vm) -> Outcome,
) -> Result<Outcome, VmError> {
    let failed = |cause| VmError::Terminal { cause };
    let guest = vm.keyboard().map_err(failed)?;
    let raw = Raw::enter().map_err(failed)?;
    let keys = raw.is_some().then(Keys::default);
    let stopper = vm.stopper();
    thread::scope(|scope| {
        // The thread below ends with the machine, and so must a wait that panics.
        let _ended = EndedAfter(&stopper);
        scope.spawn(|| forward(guest, keys, |key| command(vm, &stopper, &say, key)));
        Ok(wait(vm))
    })
}

/// Connect standard input and output to the console of a machine that somebody else runs, until either ends or Ctrl-A x.
///
/// In: `console`, a connection to its socket.
///
/// # Errors
///
/// As [`attach`].
pub fn attach_to(console: UnixStream) -> Result<(), VmError> {
    let failed = |cause| VmError::Terminal { cause };
    let raw = Raw::enter().map_err(failed)?;
    let keys = raw.is_some().then(Keys::default);
    let (mut reader, closer) = (console.try_clone().map_err(failed)?, console.try_clone().map_err(failed)?);
    let leave = || drop(closer.shutdown(Shutdown::Both));
    thread::scope(|scope| {
        scope.spawn(|| {
            // Whoever reads this has seen enough if it fails.
            let _ = io::copy(&mut reader, &mut io::stdout());
            leave();
        });
        forward(console, keys, |key| {
            if key == Key::Quit {
                leave()
            }
        });
    });
    Ok(())
}

struct EndedAfter<'a>(&'a Stopper);

impl Drop for EndedAfter<'_> {
    fn drop(&mut self) {
        self.0.stop(Cause::Killed);
    }
}

fn command(vm: &Vm, stopper: &Stopper, say: &(impl Fn(&str) + Send + Sync), key: Key) {
    match key {
        Key::Quit => stopper.stop(Cause::Killed),
        Key::Power => {
            if let Err(error) = vm.press_power_button() {
                say(&error.to_string());
            }
        }
        Key::Help => say(HELP),
        Key::Guest(_) => {}
    }
}

/// Send standard input to the guest until either ends.
fn forward(mut guest: UnixStream, mut keys: Option<Keys>, mut command: impl FnMut(Key)) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = read_while(&guest, &mut buffer) {
        let mut bytes = Vec::with_capacity(count);
        for byte in &buffer[..count] {
            match keys.as_mut().map_or(Some(Key::Guest(*byte)), |keys| keys.read(*byte)) {
                Some(Key::Guest(byte)) => bytes.push(byte),
                Some(key) => command(key),
                None => {}
            }
        }
        if guest.write_all(&bytes).is_err() {
            return;
        }
    }
}

/// Read standard input; end as if it had ended when the guest is gone.
fn read_while(guest: &UnixStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut waiting = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN), PollFd::new(guest, PollFlags::empty())];
        match poll(&mut waiting, None) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if waiting[1].revents().intersects(PollFlags::HUP | PollFlags::ERR) {
            return Ok(0);
        }
        if !waiting[0].revents().is_empty() {
            return Ok(rustix::io::read(stdin().as_fd(), &mut *buffer)?);
        }
    }
}
