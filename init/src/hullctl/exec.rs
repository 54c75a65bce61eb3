//! A program in a container, at the caller's terminal or in the middle of a pipe.

use std::io::{self, IsTerminal, Read, Write};
use std::thread;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::{CtlError, Wire};
use crate::control::protocol::{Bytes, Call, Exec, Reply, Request, Size, Stream, to_line};

/// Bytes of input sent at once.
const CHUNK: usize = 16 << 10;

/// Run it to its end. Out: its exit code.
pub(super) fn run(wire: &mut Wire, exec: &Exec) -> Result<u8, CtlError> {
    let mut exec = exec.clone();
    let raw = match &mut exec.terminal {
        Some(size) if exec.input => {
            if let Ok(own) = tcgetwinsize(io::stdout()) {
                *size = Size { rows: own.ws_row, columns: own.ws_col };
            }
            Raw::enter()
        }
        _ => None,
    };
    let input = exec.input;
    wire.call(Request::Exec(exec))?;
    if input {
        send_input(wire)?;
    }
    loop {
        match wire.answer()? {
            Reply::Output { stream: Stream::Stdout, bytes } => write(&mut io::stdout(), &bytes)?,
            Reply::Output { stream: Stream::Stderr, bytes } => write(&mut io::stderr(), &bytes)?,
            Reply::Done { code } => {
                drop(raw);
                return Ok(u8::try_from(code).unwrap_or(u8::MAX));
            }
            Reply::Error { message } => return Err(CtlError::Refused(message)),
            _ => {}
        }
    }
}

/// Send standard input from a thread of its own, which ends with the program.
fn send_input(wire: &Wire) -> Result<(), CtlError> {
    let mut stream = wire.reader.get_ref().try_clone().map_err(CtlError::Broken)?;
    let id = wire.id;
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        loop {
            let request = match io::stdin().read(&mut buffer) {
                Ok(0) | Err(_) => Request::InputEnd,
                Ok(count) => Request::Input { bytes: Bytes(buffer[..count].to_vec()) },
            };
            let last = request == Request::InputEnd;
            if stream.write_all(&to_line(&Call { id, request })).is_err() || last {
                return;
            }
        }
    });
    Ok(())
}

fn write(out: &mut impl Write, bytes: &Bytes) -> Result<(), CtlError> {
    out.write_all(&bytes.0).and_then(|()| out.flush()).map_err(CtlError::Output)
}

/// The caller's terminal while every key is the program's.
struct Raw(Termios);

impl Raw {
    fn enter() -> Option<Self> {
        if !io::stdin().is_terminal() {
            return None;
        }
        let before = tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
