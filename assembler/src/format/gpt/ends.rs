//! The two ends of a disk in memory, as a device of the length of the whole.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::{HEAD, TAIL};

/// A device of which only what tables take is there.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) head: Vec<u8>,
    pub(super) tail: Vec<u8>,
    size: u64,
    at: u64,
}

impl Ends {
    /// Start with zeros. The disk is no shorter than both ends together.
    pub(super) fn new(size: u64) -> Self {
        let zeros = |len: u64| vec![0; usize::try_from(len).unwrap_or_default()];
        Self { head: zeros(HEAD), tail: zeros(TAIL), size, at: 0 }
    }

    /// Give the first byte of the tail.
    pub(super) fn tail_start(&self) -> u64 {
        self.size.saturating_sub(TAIL)
    }

    /// Take `len` bytes from where the device stands; they lie in one of the ends.
    fn take(&mut self, len: usize) -> io::Result<&mut [u8]> {
        let tail = self.tail_start();
        let (part, from) =
            if self.at < HEAD { (&mut self.head, self.at) } else { (&mut self.tail, self.at.wrapping_sub(tail)) };
        self.at = self.at.saturating_add(len as u64);
        let from = usize::try_from(from).map_err(io::Error::other)?;
        part.get_mut(from..).and_then(|part| part.get_mut(..len)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Read for Ends {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.copy_from_slice(self.take(buffer.len())?);
        Ok(buffer.len())
    }
}

impl Write for Ends {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes.len())?.copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Ends {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
