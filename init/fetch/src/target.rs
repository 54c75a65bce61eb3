//! The file that a root is written to, and its hash.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::FetchError;

/// A root that has come so far. What is in the file is what was hashed.
#[derive(Debug)]
pub(crate) struct Target<'p> {
    path: &'p Path,
    file: File,
    hash: Sha256,
    have: u64,
    size: u64,
}

impl<'p> Target<'p> {
    /// Start a file for a root of `size` bytes.
    pub(crate) fn create(path: &'p Path, size: u64) -> Result<Self, FetchError> {
        let file = File::create(path).map_err(|cause| FetchError::File { path: path.to_owned(), cause })?;
        Ok(Self { path, file, hash: Sha256::new(), have: 0, size })
    }

    /// Tell how many bytes there are.
    pub(crate) fn have(&self) -> u64 {
        self.have
    }

    /// Tell whether all bytes are there.
    pub(crate) fn is_whole(&self) -> bool {
        self.have == self.size
    }

    /// Append bytes.
    ///
    /// # Errors
    ///
    /// - [`FetchError::TooLong`]: there are more than belong to the root; none of them is written.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let have = self.have.saturating_add(bytes.len() as u64);
        if have > self.size {
            return Err(FetchError::TooLong { size: self.size });
        }
        self.file.write_all(bytes).map_err(|cause| self.failed(cause))?;
        self.hash.update(bytes);
        self.have = have;
        Ok(())
    }

    /// Start anew, as with a server that knows no ranges.
    pub(crate) fn restart(&mut self) -> Result<(), FetchError> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(|cause| self.failed(cause))?;
        (self.hash, self.have) = (Sha256::new(), 0);
        Ok(())
    }

    /// Check all that came against the digest it must have.
    pub(crate) fn check(self, wanted: [u8; 32]) -> Result<(), FetchError> {
        let found: [u8; 32] = self.hash.finalize().into();
        if found == wanted {
            return Ok(());
        }
        Err(FetchError::Digest { found: hex(found), wanted: hex(wanted) })
    }

    fn failed(&self, cause: io::Error) -> FetchError {
        FetchError::File { path: self.path.to_owned(), cause }
    }
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
