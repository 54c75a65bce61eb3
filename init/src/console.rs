//! The console. In: lines. Out: bytes on `/dev/console`, without ever waiting for it.
//!
//! A serial line carries 10 KB a second and a container can print gigabytes. What the console cannot take now waits in a
//! queue of bounded length, in which each source has a bounded share: a container that floods loses its own lines here, never
//! another's, and loses none in its ring.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes that one source may have waiting.
const SHARE: usize = 16 << 10;

/// Bytes written at once, so that a console that takes all of them at once does not hold up the loop.
const BURST: usize = 4 << 10;

/// Who wrote a line: 0 is init itself, others are numbered by the caller.
pub type Source = usize;

/// Init's own lines, which are never dropped: there are few, and they are what is looked for.
pub const INIT: Source = 0;

/// Lines waiting for the console.
#[derive(Debug, Default)]
pub struct Console {
    fd: Option<OwnedFd>,
    queue: VecDeque<(Source, Vec<u8>)>,
    waiting: BTreeMap<Source, usize>,
    dropped: BTreeMap<Source, u64>,
}

impl Console {
    /// Write to this descriptor from now on, which must not block.
    pub fn attach(&mut self, fd: OwnedFd) {
        self.fd = Some(fd);
        self.write();
    }

    /// Tell whether there is a descriptor to write to.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.fd.is_some()
    }

    /// Add a line, without its line feed. Out: whether it will be shown.
    pub fn line(&mut self, source: Source, prefix: &str, text: &[u8]) -> bool {
        let waiting = self.waiting.entry(source).or_default();
        if source != INIT && *waiting >= SHARE {
            *self.dropped.entry(source).or_default() += 1;
            return false;
        }
        let mut line = Vec::with_capacity(prefix.len() + text.len() + 48);
        if let Some(count) = self.dropped.remove(&source) {
            line.extend_from_slice(format!("{prefix}({count} lines kept, not shown)\r\n").as_bytes());
        }
        line.extend_from_slice(prefix.as_bytes());
        line.extend(text.iter().map(|byte| visible(*byte)));
        line.extend_from_slice(b"\r\n");
        *waiting += line.len();
        self.queue.push_back((source, line));
        true
    }

    /// The descriptor to wait for, if something waits for it.
    #[must_use]
    pub fn pending(&self) -> Option<BorrowedFd<'_>> {
        if self.queue.is_empty() { None } else { self.fd.as_ref().map(OwnedFd::as_fd) }
    }

    /// Write what the console takes now. Out: whether something is left.
    pub fn write(&mut self) -> bool {
        let Some(fd) = &self.fd else { return false };
        let mut budget = BURST;
        while let Some((source, line)) = self.queue.front_mut() {
            match rustix::io::write(fd, &line[..line.len().min(budget)]) {
                Ok(written) => {
                    let waiting = self.waiting.entry(*source).or_default();
                    *waiting = waiting.saturating_sub(written);
                    line.drain(..written);
                    budget -= written;
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return true,
                // A console that is gone takes nothing; the rings still have it all.
                Err(_) => line.clear(),
            }
            if line.is_empty() {
                self.queue.pop_front();
            }
            if budget == 0 {
                break;
            }
        }
        !self.queue.is_empty()
    }
}

/// Control bytes of a container must not move the cursor over what others wrote; tabs and colours may stay.
fn visible(byte: u8) -> u8 {
    match byte {
        b'\t' | 0x1b => byte,
        0..0x20 | 0x7f => b'?',
        _ => byte,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_drops_its_own_lines_only() {
        let mut console = Console::default();
        let shown = (0..10_000).filter(|_| console.line(1, "flood | ", &[b'x'; 80])).count();
        assert!(shown < 400, "{shown}");
        assert!(console.line(2, "quiet | ", b"hello"));
        assert!(console.line(INIT, "", b"hullkit: still here"));
    }

    #[test]
    fn what_was_not_shown_is_counted_once_there_is_room() {
        let (read, write) = crate::sys::pipe().unwrap();
        let mut console = Console::default();
        while console.line(1, "a | ", &[b'x'; 1000]) {}
        console.attach(write);
        while console.write() {}
        assert!(console.line(1, "a | ", b"after"));
        console.write();
        let mut all = Vec::new();
        while let Ok(part) = crate::sys::read_some(&read) {
            all.extend(part);
        }
        let text = String::from_utf8(all).unwrap();
        assert!(text.ends_with("a | (1 lines kept, not shown)\r\na | after\r\n"), "{text:?}");
    }

    #[test]
    fn control_bytes_do_not_reach_the_terminal() {
        let (read, write) = crate::sys::pipe().unwrap();
        let mut console = Console::default();
        console.attach(write);
        console.line(1, "", b"a\x08\x07b\tc");
        console.write();
        assert_eq!(crate::sys::read_some(&read).unwrap(), b"a??b\tc\r\n");
    }
}
