//! A console that several may look at: what the guest writes goes to everybody who is attached, and what any of them types to the guest.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::{Sink, VmError};

/// Bytes that whoever attaches is shown of what was before, the last ones.
const SHOWN: usize = 64 << 10;

/// Callers at once.
const MOST: usize = 16;

/// A console that can be attached to.
#[derive(Debug, Clone, Default)]
pub struct SharedConsole(Arc<Mutex<Callers>>);

#[derive(Debug, Default)]
struct Callers {
    past: VecDeque<u8>,
    streams: Vec<UnixStream>,
}

impl SharedConsole {
    /// Give where the guest's bytes go.
    #[must_use]
    pub fn sink(&self) -> Sink {
        Box::new(self.clone())
    }

    /// Let callers attach at a socket, from now on until the program ends. In: `keyboard`, where the guest reads.
    ///
    /// # Errors
    ///
    /// - [`VmError::Sockets`]: the socket cannot be made.
    pub fn serve(&self, socket: &Path, keyboard: UnixStream) -> Result<(), VmError> {
        let failed = |cause| VmError::Sockets { path: socket.to_owned(), cause };
        let listener = UnixListener::bind(socket).map_err(failed)?;
        fs::set_permissions(socket, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let console = self.clone();
        let accept = move || {
            for caller in listener.incoming().flatten() {
                // Who cannot be served finds the connection closed.
                let _ = console.welcome(caller, &keyboard);
            }
        };
        thread::Builder::new().name("callers".to_owned()).spawn(accept).map(drop).map_err(failed)
    }

    fn welcome(&self, mut caller: UnixStream, keyboard: &UnixStream) -> io::Result<()> {
        let (reader, mut keyboard) = (caller.try_clone()?, keyboard.try_clone()?);
        let mut callers = self.lock();
        if callers.streams.len() >= MOST {
            return Ok(());
        }
        let (older, newer) = callers.past.as_slices();
        caller.write_all(older)?;
        caller.write_all(newer)?;
        // One that does not read must not hold the guest up.
        caller.set_nonblocking(true)?;
        callers.streams.push(caller);
        drop(callers);
        let type_on = move || {
            let mut reader = reader;
            let mut buffer = [0; 1024];
            loop {
                match reader.read(&mut buffer) {
                    Ok(count @ 1..) if keyboard.write_all(&buffer[..count]).is_ok() => {}
                    Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => wait(&reader),
                    _ => return,
                }
            }
        };
        thread::Builder::new().name("caller".to_owned()).spawn(type_on).map(drop)
    }

    fn lock(&self) -> MutexGuard<'_, Callers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wait until there is something to read. Both ends of a socket's copies share whether they wait by themselves.
fn wait(stream: &UnixStream) {
    use rustix::event::{PollFd, PollFlags, poll};
    let _ = poll(&mut [PollFd::new(stream, PollFlags::IN)], None);
}

impl Write for SharedConsole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut callers = self.lock();
        callers.streams.retain_mut(|stream| stream.write_all(bytes).is_ok());
        callers.past.extend(bytes);
        let over = callers.past.len().saturating_sub(SHOWN);
        callers.past.drain(..over);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_comes_late_sees_what_was_and_may_type() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("a.console");
        let (keyboard, mut guest) = UnixStream::pair().expect("a pair");
        let console = SharedConsole::default();
        let mut sink = console.sink();
        sink.write_all(b"before ").expect("a sink");
        console.serve(&socket, keyboard).expect("a socket");
        let mut caller = UnixStream::connect(&socket).expect("a caller");
        caller.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let mut said = [0; 7];
        caller.read_exact(&mut said).expect("what was");
        sink.write_all(b"after").expect("a sink");
        let mut more = [0; 5];
        caller.read_exact(&mut more).expect("what comes");
        assert_eq!((&said, &more), (b"before ", b"after"));
        caller.write_all(b"hi").expect("a keyboard");
        let mut typed = [0; 2];
        guest.read_exact(&mut typed).expect("what was typed");
        assert_eq!(&typed, b"hi");
    }

    #[test]
    fn who_does_not_read_is_let_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("a.console");
        let console = SharedConsole::default();
        console.serve(&socket, UnixStream::pair().expect("a pair").0).expect("a socket");
        let _caller = UnixStream::connect(&socket).expect("a caller");
        let mut sink = console.sink();
        for _ in 0..1000 {
            sink.write_all(&[b'x'; 4096]).expect("a sink");
        }
        assert!(console.lock().past.len() <= SHOWN);
    }
}
