//! An archive to values. Bounded: nothing in the archive decides how much memory is taken, beyond one path.

use std::io::{self, Read};

use super::CpioError;
use super::layout::{self, Header};

/// An archive being read, entry by entry.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    offset: u64,
    left: u64,
}

/// One entry: its header and its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Offset of the header in bytes from the archive's start.
    pub offset: u64,
    /// The numbers.
    pub header: Header,
    /// The path, without its NUL.
    pub path: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Start reading at an entry's header.
    pub fn new(inner: R) -> Self {
        Self { inner, offset: 0, left: 0 }
    }

    /// Skip what is left of the entry's data, and read the next header; `None` at the trailer.
    ///
    /// # Errors
    ///
    /// - [`CpioError::Damaged`], [`CpioError::Io`].
    pub fn next_entry(&mut self) -> Result<Option<Entry>, CpioError> {
        let skipped = io::copy(&mut (&mut self.inner).take(self.left), &mut io::sink())?;
        self.offset += skipped;
        if skipped != self.left {
            return Err(self.damaged("the data ends too early"));
        }
        self.left = 0;
        self.align()?;
        let offset = self.offset;
        let mut bytes = [0; layout::HEADER];
        self.fill(&mut bytes)?;
        let header = Header::from_bytes(&bytes)
            .ok_or(CpioError::Damaged { offset, what: "no header starts with these bytes" })?;
        let path = self.path(header.namesize)?;
        self.align()?;
        self.left = u64::from(header.size);
        Ok((path != layout::TRAILER).then_some(Entry { offset, header, path }))
    }

    fn path(&mut self, namesize: u32) -> Result<Vec<u8>, CpioError> {
        let len = usize::try_from(namesize).unwrap_or(usize::MAX);
        if len == 0 || len > layout::PATH_MAX {
            return Err(self.damaged("no path has this length"));
        }
        let mut path = vec![0; len];
        self.fill(&mut path)?;
        if path.pop() != Some(0) || path.contains(&0) {
            return Err(self.damaged("the path does not end with its only NUL"));
        }
        Ok(path)
    }

    fn align(&mut self) -> Result<(), CpioError> {
        let mut zeros = [0; 3];
        match zeros.get_mut(..layout::padding(self.offset)) {
            Some(padding) => self.fill(padding),
            None => Ok(()),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), CpioError> {
        self.inner.read_exact(bytes).map_err(|cause| match cause.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("the archive ends without a trailer"),
            _ => CpioError::Io(cause),
        })?;
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        Ok(())
    }

    fn damaged(&self, what: &'static str) -> CpioError {
        CpioError::Damaged { offset: self.offset, what }
    }
}

/// Reads the current entry's data.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&mut self.inner).take(self.left).read(buffer)?;
        self.offset = self.offset.saturating_add(read as u64);
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}
