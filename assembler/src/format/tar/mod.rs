//! The tar archive: what layers, kernel modules and `--format tar` are made of.
//!
//! Headers and their checksums are read and written with the `tar` crate. The walk over them is our own, because a
//! layer comes from strangers: every length is bounded before memory is taken, binary attribute values may hold any
//! byte, and what cannot be read for certain (sparse files, unknown types) is refused by name.

pub mod read;
pub mod write;

#[cfg(test)]
mod tests;

use std::io;

/// Why a tar stream could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// The first block is not a header.
    #[error("not a tar archive")]
    NotTar,
    /// A later block is not a header.
    #[error("damaged at byte {offset}: {what}")]
    Damaged {
        /// Offset in the uncompressed stream, in bytes.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The stream ends inside an entry.
    #[error("cut short after {offset} bytes of tar")]
    Truncated {
        /// Length of the uncompressed stream, in bytes.
        offset: u64,
    },
    /// More than anyone needs.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What is too much.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// An entry that cannot be represented.
    #[error("`{path}`: {what}")]
    Entry {
        /// The entry's path.
        path: String,
        /// Why it is refused.
        what: &'static str,
    },
    /// The bytes themselves could not be had.
    #[error("could not read or write the archive's bytes")]
    Io(#[from] io::Error),
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A regular file; its bytes follow.
    #[default]
    File,
    /// Another name of an earlier file.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A directory.
    Directory,
    /// A FIFO.
    Fifo,
}

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// The path as it stands in the archive, any bytes but NUL.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970, rounded down.
    pub mtime: i64,
    /// Nanoseconds on top of them, below 1,000,000,000.
    pub nanos: u32,
    /// Length of a file's data in bytes; 0 for everything else.
    pub size: u64,
    /// Where the data starts in the uncompressed stream, in bytes.
    pub offset: u64,
    /// Target of a hard or symbolic link as it stands in the archive; empty for everything else.
    pub link: Vec<u8>,
    /// Numbers of a device, major and minor.
    pub device: (u32, u32),
    /// Extended attributes, name and value, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Names of the owner and the group; empty if the archive has none.
    pub names: (Vec<u8>, Vec<u8>),
    /// A vendor's own pax records, key and value; a reader drops them.
    pub records: Vec<(Vec<u8>, Vec<u8>)>,
}
