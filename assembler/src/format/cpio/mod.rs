//! The cpio archive the kernel unpacks as its first root ("new ASCII", `070701`).
//!
//! ```text
//! header 110 | path NUL | pad to 4 | data | pad to 4     once per name
//! ...
//! header 110 | TRAILER!!! NUL | pad to 4                 once
//! ```
//!
//! Source: Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`.

pub mod check;
pub mod dump;
pub mod layout;
pub mod read;
pub mod write;

#[cfg(test)]
mod tests;

use std::io;

/// Why an archive could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CpioError {
    /// A file has more bytes than eight hex digits can say.
    #[error("`{path}` has {size} bytes; a file in an initrd ends at 4 GiB - 1")]
    TooLarge {
        /// The entry's path.
        path: String,
        /// Its length in bytes.
        size: u64,
    },
    /// A path or a link's target is longer than the kernel reads; it would be left out without a word.
    #[error("`{path}` is longer than the {} bytes the kernel accepts in an initrd", layout::PATH_MAX)]
    LongPath {
        /// The path.
        path: String,
    },
    /// A file ended before the length it was announced with, or went on after it.
    #[error("`{path}` was announced with {wanted} bytes and has {found}")]
    Length {
        /// The entry's path.
        path: String,
        /// The announced length in bytes.
        wanted: u64,
        /// The length that came.
        found: u64,
    },
    /// What was read is not what such an archive holds.
    #[error("not a cpio archive at byte {offset}: {what}")]
    Damaged {
        /// Offset in bytes from the archive's start.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// What was written reads back as something else.
    #[error("the archive reads back wrong at `{path}`: {what}")]
    Differs {
        /// The entry's path, or where it should have been.
        path: String,
        /// What differs.
        what: &'static str,
    },
    /// Bytes could not be read or written.
    #[error("could not pass on an archive's bytes")]
    Io(#[from] io::Error),
}

/// Show a path that may not be text.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
