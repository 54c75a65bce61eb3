//! VMDK, VMware's disk in one file: a sparse one to run from, and a packed one to send.
//!
//! ```text
//! monolithicSparse  header | descriptor | directory, tables | directory, tables (again) | grains as they are
//! streamOptimized   header | descriptor | (marker, packed grain) ... | marker, table | ... | marker, directory | marker, footer | marker
//!
//! grain directory: one entry for 32 MiB of the disk --> grain table: one entry for 64 KiB --> a grain
//! ```
//!
//! Places are in sectors of 512 bytes. The sparse one reads nothing: places follow from which grains have bytes. The packed one is
//! written from front to back, and its tables come behind what they list.
//!
//! The specification wants a disk to be a multiple of a grain long. A disk is never made longer here, for a longer one would have its
//! second partition table in the wrong place; QEMU reads such disks, and disks of whole MiB have no such end.
//!
//! Source: VMware, "Virtual Disk Format 1.1" and "5.0" (version 3).

pub mod descriptor;
pub mod dump;
pub mod layout;
pub mod read;
pub mod sparse;
pub mod stream;

#[cfg(test)]
mod tests;

pub use descriptor::Identity;
pub use sparse::sparse;
pub use stream::stream_optimized;

use std::io;

use super::sparse::SparseError;

/// Why a disk could not be written as a VMDK, or read from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VmdkError {
    /// Part of a sector.
    #[error("a disk of {size} bytes cannot be a VMDK: it is no multiple of 512")]
    Sector {
        /// Length of the disk in bytes.
        size: u64,
    },
    /// No sector.
    #[error("an empty disk cannot be a VMDK")]
    Empty,
    /// More than VMware takes.
    #[error("a disk of {size} bytes cannot be a VMDK: it ends at {}", layout::LARGEST)]
    TooLarge {
        /// Length of the disk in bytes.
        size: u64,
    },
    /// More than 32-bit numbers of sectors reach.
    #[error("{size} bytes of a disk cannot be in one VMDK: the file ends at 2 TiB")]
    TooMuch {
        /// Bytes that are not holes.
        size: u64,
    },
    /// The descriptor cannot quote it.
    #[error("`{name}` cannot be the file name in a VMDK")]
    Name {
        /// The file's name.
        name: String,
    },
    /// What was read is not such a file.
    #[error("not a VMDK that can be read, at byte {offset}: {what}")]
    Damaged {
        /// Offset in bytes from the file's start.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Two parts of the file would have the same place.
    #[error("could not lay out a VMDK")]
    Layout(#[from] SparseError),
    /// Bytes could not be read or written.
    #[error("could not pass on a disk's bytes")]
    Io(#[from] io::Error),
}
