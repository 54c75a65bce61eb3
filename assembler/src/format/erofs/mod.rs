//! EROFS, the read-only file system that Linux reads in place: uncompressed, 4 KiB blocks.
//!
//! ```text
//! 0x000  nothing (1024)
//! 0x400  superblock (128)
//! 0x480  inodes: 32 or 64 bytes | extended attributes | tail of the data      a slot is 32 bytes, its number the inode's
//!        ...                                                                  up to a multiple of 4096
//!        full blocks of directories, then of files, in the order in which they came
//! ```
//!
//! What is less than a block lies behind its inode, in the same block, so that a small file costs one read. All places but those
//! of files' blocks follow from names, sizes and attributes ([`place`]); files come in any order, each once, and blocks that
//! are equal are there once ([`mod@write`]).
//!
//! Source: Linux, `Documentation/filesystems/erofs.rst`, "On-disk details", and `fs/erofs/erofs_fs.h`.

pub mod dump;
mod encode;
pub mod layout;
mod place;
pub mod read;
pub mod write;

#[cfg(test)]
mod tests;

use std::io;

/// Why an image could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErofsError {
    /// More than 32-bit block numbers reach.
    #[error("the tree needs {blocks} blocks of 4 KiB; an EROFS image ends at {}", u32::MAX)]
    TooLarge {
        /// Blocks of 4096 bytes.
        blocks: u64,
    },
    /// An attribute that has no place in an image.
    #[error("could not store attribute `{name}` of `{path}`: {what}")]
    Xattr {
        /// The file's path.
        path: String,
        /// The attribute's name.
        name: String,
        /// Why not.
        what: &'static str,
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
    #[error("not an EROFS image that can be read, at byte {offset}: {what}")]
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
