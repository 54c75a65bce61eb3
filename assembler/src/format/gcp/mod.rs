//! The image that Google Compute Engine imports: `disk.raw` in a tar of GNU's old format, to be packed with gzip.
//!
//! ```text
//! 0        header (512): a sparse file, and its first 4 regions
//! 512      21 regions more in each block, as many as are needed
//!          the regions' data, each a multiple of 512
//!          zeros: two blocks, and up to a multiple of 10240
//! ```
//!
//! Holes are in none of it. The disk is a whole number of GiB long, as Compute Engine wants it.
//!
//! Source: GNU tar manual, "Storing Sparse Files" and "Basic Tar Format"; Compute Engine, "Manually import boot disks".

pub mod layout;
pub mod read;
pub mod write;

#[cfg(test)]
mod tests;

use std::io;

pub use write::tar;

/// Why an image could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GcpError {
    /// More than a machine there can have.
    #[error("a disk of {size} bytes does not fit into Compute Engine, whose disks end at 64 TiB")]
    TooLarge {
        /// Length of the disk in bytes.
        size: u64,
    },
    /// What was read is not what such a file holds.
    #[error("not an image for Compute Engine, at byte {offset}: {what}")]
    Damaged {
        /// Offset in bytes from the archive's start.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Bytes could not be read.
    #[error("could not read an image's bytes")]
    Io(#[from] io::Error),
}
