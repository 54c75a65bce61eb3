//! ISO 9660, the file system of CDs, with Rock Ridge for Linux and Joliet for everyone else.
//!
//! ```text
//! sector  0  nothing (16), where boot loaders go
//!        16  volume descriptors: primary, Joliet, terminator
//!            path tables: primary little- and big-endian, Joliet the same
//!            directories of the primary tree, names of at most 31 characters, Rock Ridge behind each name; behind a
//!              directory its continuations: what of Rock Ridge does not fit behind a name
//!            directories of the Joliet tree, names of at most 103 characters
//!            files, in the order of the tree, each from a sector on
//!            nothing (150), which readers of CDs may run into
//! ```
//!
//! A sector has 2048 bytes. Both trees name the same files. All places are known before the first byte is written, so that boot
//! images and partition tables can be told of them.
//!
//! Directories may be deeper than the eight levels of ECMA-119, 6.8.2.1, and are not moved elsewhere: Linux and libarchive read
//! them where they are.
//!
//! Source: ECMA-119, 2nd edition; IEEE P1281 (SUSP 1.12); IEEE P1282 (RRIP 1.12); Joliet Specification, 1995.

mod continuation;
pub mod date;
pub mod dump;
pub mod layout;
mod name;
pub mod read;
mod rock_ridge;
pub mod write;

#[cfg(test)]
mod tests;

use std::io;

/// Why an image could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IsoError {
    /// A file of 4 GiB or more.
    #[error("`{path}` has {size} bytes; a file on a CD ends at 4 GiB - 1, so choose another format or split it")]
    TooLarge {
        /// The file's path.
        path: String,
        /// Its length in bytes.
        size: u64,
    },
    /// More directories than path tables can number.
    #[error("the tree has {count} directories; a CD has at most 65535")]
    Directories {
        /// How many there are.
        count: usize,
    },
    /// More than 32-bit sector numbers reach.
    #[error("the tree needs {sectors} sectors of 2048 bytes; a CD ends at {}", u32::MAX)]
    Full {
        /// Sectors of 2048 bytes.
        sectors: u64,
    },
    /// A volume's name that does not fit.
    #[error("`{name}` cannot name a volume: that takes 1 to 32 printable ASCII characters")]
    Volume {
        /// The name.
        name: String,
    },
    /// A file's bytes could not be read.
    #[error("could not read the {size} bytes of `{path}`")]
    Content {
        /// The file's path.
        path: String,
        /// Its length in bytes.
        size: u64,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// What was read is not what such an image holds.
    #[error("not an ISO 9660 image that can be read, at byte {offset}: {what}")]
    Damaged {
        /// Offset in bytes from the image's start.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Bytes could not be read or written.
    #[error("could not pass on an image's bytes")]
    Io(#[from] io::Error),
}
