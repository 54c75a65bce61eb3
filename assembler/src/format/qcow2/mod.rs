//! qcow2, version 3: QEMU's disk, in which only clusters that are not zero have a place.
//!
//! ```text
//! plain        header | L1 | L2 ... | refcount table | refcount blocks | clusters as they are
//! compressed   header | packed clusters, one behind the other | L1 | L2 ... | refcount table | refcount blocks
//!
//! L1: one entry for 512 MiB of the disk --> L2: one entry for 64 KiB --> a cluster of the file, or packed bytes
//! ```
//!
//! All parts but packed clusters start at multiples of 64 KiB. The plain one reads nothing: places follow from which clusters have
//! bytes. The compressed one is written from front to back but for the header, which is last.
//!
//! Source: QEMU, `docs/interop/qcow2.rst`.

pub mod dump;
pub mod layout;
pub mod read;
pub mod write;

#[cfg(test)]
mod tests;

pub use write::{Compression, compressed, plain};

use std::io;

use super::sparse::SparseError;

/// Why a disk could not be written as qcow2, or read from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Qcow2Error {
    /// Part of a sector.
    #[error("a disk of {size} bytes cannot be a qcow2: it is no multiple of 512")]
    Sector {
        /// Length of the disk in bytes.
        size: u64,
    },
    /// More than QEMU opens.
    #[error("a disk of {size} bytes cannot be a qcow2 of 64 KiB clusters: it ends at {}", layout::LARGEST)]
    TooLarge {
        /// Length of the disk in bytes.
        size: u64,
    },
    /// What was read is not such a file.
    #[error("not a qcow2 that can be read, at byte {offset}: {what}")]
    Damaged {
        /// Offset in bytes from the file's start.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Two parts of the file would have the same place.
    #[error("could not lay out a qcow2")]
    Layout(#[from] SparseError),
    /// Bytes could not be read or written.
    #[error("could not pass on a disk's bytes")]
    Io(#[from] io::Error),
}
