//! The kernel's own lines. In: records of `/dev/kmsg`. Out: lines in a ring. Pure, but for the reading.
//!
//! # Source
//!
//! Linux, `Documentation/ABI/testing/dev-kmsg`: `priority,number,microseconds,flags;text`, then lines that begin with a space.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::logs::{Ring, Stream};
use crate::sys;

/// Records read in one turn.
const BURST: usize = 64;

/// Priorities below this one are told as errors (syslog(3): emergency to error).
const WARNING: u32 = 4;

/// The kernel's lines.
#[derive(Debug, Default)]
pub struct Kmsg {
    fd: Option<OwnedFd>,
    ring: Ring,
}

impl Kmsg {
    /// Read from this descriptor from now on, which must not block.
    pub fn attach(&mut self, fd: OwnedFd) {
        self.fd = Some(fd);
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(OwnedFd::as_fd)
    }

    /// What was read.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Read what is there, as far as one turn goes.
    pub fn read(&mut self) {
        for _ in 0..BURST {
            let Some(fd) = &self.fd else { return };
            match sys::read_some(fd) {
                Ok(bytes) if !bytes.is_empty() => self.take(&bytes),
                // Records were overwritten before they were read.
                Err(cause) if cause.raw_os_error() == Some(libc::EPIPE) => {}
                Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => return,
                _ => self.fd = None,
            }
        }
    }

    fn take(&mut self, record: &[u8]) {
        let line = record.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let Some(end) = line.iter().position(|byte| *byte == b';') else { return };
        let head = String::from_utf8_lossy(&line[..end]);
        let mut numbers = head.split(',');
        let (priority, _, micros) = (number(numbers.next()), numbers.next(), number(numbers.next()));
        let stream = if priority & 7 < u64::from(WARNING) { Stream::Err } else { Stream::Out };
        self.ring.push(micros / 1000, stream, &line[end + 1..], |_| {});
        self.ring.push(micros / 1000, stream, b"\n", |_| {});
    }
}

fn number(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(records: &[&[u8]]) -> Vec<(u64, Stream, String)> {
        let mut kmsg = Kmsg::default();
        for record in records {
            kmsg.take(record);
        }
        let text = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        kmsg.ring.lines().map(|line| (line.at, line.stream, text(&line.text))).collect()
    }

    #[test]
    fn a_record_is_one_line_with_the_kernels_time() {
        let seen =
            lines(&[b"6,339,5140900,-;NET: Registered\n SUBSYSTEM=net\n", b"3,340,5140999,-;sda: broken; really\n"]);
        let want =
            [(5140, Stream::Out, "NET: Registered".to_owned()), (5140, Stream::Err, "sda: broken; really".to_owned())];
        assert_eq!(seen, want);
    }

    #[test]
    fn what_is_no_record_is_left_out() {
        assert_eq!(lines(&[b"", b"rubbish", b"x,y,z;text"]), [(0, Stream::Err, "text".to_owned())]);
    }
}
