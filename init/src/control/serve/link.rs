//! One connection: bytes in, calls out; answers in, bytes out. Reads and writes what can be now, and keeps the rest.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::follow::Reader;
use crate::control::LONGEST;
use crate::control::protocol::{Answer, Call, Reply, to_line};
use crate::sys;

/// Bytes that wait to be sent from which on a caller gets nothing new that can wait.
const HIGH: usize = 64 << 10;

/// Bytes that wait to be sent from which on the caller is given up. Calls are answered whole, so a caller that sends many and reads
/// nothing gets here.
const TOO_MUCH: usize = 4 << 20;

/// What a connection is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// A socket: it ends, and a new one comes.
    Socket,
    /// The virtio port: it stays, and has a caller or none.
    Port {
        /// There may be a caller.
        open: bool,
    },
}

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    fd: OwnedFd,
    pub(super) medium: Medium,
    input: Vec<u8>,
    output: Vec<u8>,
    /// The caller was there: it took something.
    met: bool,
    /// The caller sends nothing more.
    pub(super) silent: bool,
    /// The caller is gone, or was given up.
    pub(super) gone: bool,
    pub(super) readers: Vec<Reader>,
}

impl Link {
    pub(super) fn new(fd: OwnedFd, medium: Medium) -> Self {
        Self {
            fd,
            medium,
            input: Vec::new(),
            output: Vec::new(),
            met: false,
            silent: false,
            gone: false,
            readers: Vec::new(),
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Tell whether something waits to be sent.
    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Tell whether the caller keeps up.
    pub(super) fn has_room(&self) -> bool {
        !self.gone && self.output.len() < HIGH
    }

    pub(super) fn answer(&mut self, id: u64, reply: Reply) {
        self.output.extend(to_line(&Answer { id, reply }));
    }

    pub(super) fn fail(&mut self, id: u64, message: impl Into<String>) {
        self.answer(id, Reply::Error { message: message.into() });
    }

    /// Take what has come. Out: the calls that are whole.
    pub(super) fn read(&mut self) -> Vec<Call> {
        match sys::read_some(&self.fd) {
            Ok(bytes) if bytes.is_empty() => {
                // What a new caller sends may be here before the news that there is one.
                self.silent = self.met || self.medium == Medium::Socket;
                // At once: the news of the next caller may come before this one is forgotten.
                if self.medium != Medium::Socket {
                    self.medium = Medium::Port { open: false };
                }
            }
            Ok(bytes) => self.input.extend(bytes),
            Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => self.gone = true,
        }
        let mut calls = Vec::new();
        while let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
            let rest = self.input.split_off(end + 1);
            let line = std::mem::replace(&mut self.input, rest);
            match serde_json::from_slice(&line) {
                Ok(call) => calls.push(call),
                Err(_) if line.trim_ascii().is_empty() => {}
                Err(cause) => self.fail(0, format!("this is not a call: {cause}")),
            }
        }
        if self.input.len() > LONGEST {
            self.fail(0, format!("a call is at most {LONGEST} bytes long"));
            self.input = Vec::new();
            self.silent = true;
        }
        calls
    }

    /// Send what can be sent now.
    pub(super) fn write(&mut self) {
        let mut sent = 0;
        while sent < self.output.len() {
            match rustix::io::retry_on_intr(|| rustix::io::write(&self.fd, &self.output[sent..])) {
                Ok(0) | Err(rustix::io::Errno::AGAIN) => break,
                Ok(count) => {
                    self.met = true;
                    sent += count;
                }
                Err(_) => {
                    self.gone = true;
                    break;
                }
            }
        }
        self.output.drain(..sent);
        self.gone |= self.output.len() > TOO_MUCH;
    }

    /// Forget the caller: the port stays, for the next one, who may be there already.
    pub(super) fn reset(&mut self) {
        (self.input, self.output, self.readers) = (Vec::new(), Vec::new(), Vec::new());
        (self.met, self.silent, self.gone) = (false, false, false);
    }
}
