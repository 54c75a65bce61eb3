//! A program that a caller runs in a container: its input comes from calls, its output goes out as answers.

use std::os::fd::OwnedFd;

use super::link::Link;
use crate::control::protocol::{Bytes, Reply, Stream};
use crate::sys::{self, Exit};

/// Bytes of input that may wait for the program before the caller has to.
const HIGH: usize = 64 << 10;

/// One program.
#[derive(Debug)]
pub(super) struct Session {
    /// The caller's connection, and the call.
    pub(super) link: u64,
    pub(super) id: u64,
    /// Process id of the helper that waits for it.
    pub(super) pid: u32,
    pub(super) input: Option<OwnedFd>,
    pending: Vec<u8>,
    /// The caller has no more input.
    complete: bool,
    pub(super) output: [Option<OwnedFd>; 2],
    exit: Option<Exit>,
}

impl Session {
    pub(super) fn new(link: u64, id: u64, pid: u32, input: Option<OwnedFd>, output: [Option<OwnedFd>; 2]) -> Self {
        Self { link, id, pid, input, pending: Vec::new(), complete: false, output, exit: None }
    }

    /// Tell whether the caller has to wait with more input.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= HIGH
    }

    /// Tell whether input waits for the program.
    pub(super) fn has_input(&self) -> bool {
        self.input.is_some() && !self.pending.is_empty()
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.input.is_some() && !self.complete {
            self.pending.extend_from_slice(bytes);
            self.feed();
        }
    }

    pub(super) fn finish_input(&mut self) {
        self.complete = true;
        self.feed();
    }

    /// Give the program what it takes now.
    pub(super) fn feed(&mut self) {
        let Some(fd) = &self.input else { return };
        let mut taken = 0;
        let mut closed = false;
        while taken < self.pending.len() {
            match rustix::io::retry_on_intr(|| rustix::io::write(fd, &self.pending[taken..])) {
                Ok(count) if count > 0 => taken += count,
                Ok(_) | Err(rustix::io::Errno::AGAIN) => break,
                // It reads no more.
                Err(_) => {
                    closed = true;
                    break;
                }
            }
        }
        self.pending.drain(..taken);
        if closed || (self.complete && self.pending.is_empty()) {
            self.input = None;
            self.pending = Vec::new();
        }
    }

    /// Send what the program has printed, one chunk of each of its outputs. Out: whether there was any.
    pub(super) fn pass_on(&mut self, link: &mut Link) -> bool {
        let mut any = false;
        for (slot, stream) in [(0, Stream::Stdout), (1, Stream::Stderr)] {
            let Some(fd) = &self.output[slot] else { continue };
            match sys::read_some(fd) {
                Ok(bytes) if !bytes.is_empty() => {
                    link.answer(self.id, Reply::Output { stream, bytes: Bytes(bytes) });
                    any = true;
                }
                Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => {}
                // A terminal whose other end is closed gives EIO.
                _ => self.output[slot] = None,
            }
        }
        any
    }

    pub(super) fn ended(&mut self, exit: Exit) {
        self.exit = Some(exit);
    }

    /// The exit code of a program that has ended.
    pub(super) fn code(&self) -> Option<i32> {
        self.exit.map(|exit| match exit {
            Exit::Code(code) => code,
            Exit::Signal(number) => 128 + number,
        })
    }
}
