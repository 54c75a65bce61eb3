//! VDI 1.1, the disk of VirtualBox: dynamic, blocks of 1 MiB.
//!
//! ```text
//! 0      what it is, as text (64), signature and version (8), header (400)
//! 512    for each block of the disk the number of the block in the file, or that it is not there
//!        blocks that are not nothing but a hole, from a multiple of 1 MiB on, in the order of the disk
//! ```
//!
//! Source: VirtualBox, `src/VBox/Storage/VDICore.h`; QEMU, `block/vdi.c`, for the same in words.

pub mod dump;
pub mod layout;
pub mod read;
pub mod write;

#[cfg(test)]
mod tests;

use std::io;

pub use write::dynamic;

use super::sparse::SparseError;

/// Why a VDI could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VdiError {
    /// More than we keep a map of in memory.
    #[error("a disk of {size} bytes does not fit into a VDI, which ends at 16 TiB here; `vhdx` holds up to 64 TiB")]
    TooLarge {
        /// Length of the disk in bytes.
        size: u64,
    },
    /// What was read is not what such a file holds.
    #[error("not a VDI that can be read, at byte {offset}: {what}")]
    Damaged {
        /// Offset in bytes from the file's start.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Parts of the file, or blocks of the disk, lie over each other.
    #[error("could not lay out a VDI")]
    Layout(#[from] SparseError),
    /// Bytes could not be read.
    #[error("could not read a VDI's bytes")]
    Io(#[from] io::Error),
}
