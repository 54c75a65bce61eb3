//! VHDX, the disk of Hyper-V: dynamic, without a parent, its log empty.
//!
//! ```text
//! 0        who wrote it (64 KiB)
//! 64 KiB   header, twice (64 KiB each)
//! 192 KiB  region table, twice (64 KiB each)
//! 1 MiB    log (1 MiB), nothing in it
//! 2 MiB    metadata (1 MiB): a table, and at 64 KiB of it block size, disk size, identity, sector sizes
//! 3 MiB    block allocation table (BAT), a multiple of 1 MiB
//!          blocks that are not nothing but a hole, in the order of the disk
//! ```
//!
//! A block has 1 MiB, as Microsoft advises for Linux guests, where Hyper-V takes 32 MiB by default: the file is not much longer than
//! what is in it. Above 1 TiB blocks grow with the disk, so that the BAT stays within 8 MiB.
//!
//! Source: Microsoft, \[MS-VHDX\] v20240423; "Best practices for running Linux on Hyper-V", for the size of blocks.

pub mod dump;
pub mod layout;
pub mod read;
pub mod write;

#[cfg(test)]
mod tests;

use std::io;

pub use write::dynamic;

use super::sparse::SparseError;

/// Why a VHDX could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VhdxError {
    /// More than the format allows.
    #[error("a disk of {size} bytes does not fit into a VHDX, which ends at 64 TiB")]
    TooLarge {
        /// Length of the disk in bytes.
        size: u64,
    },
    /// What was read is not what such a file holds.
    #[error("not a VHDX that can be read, at byte {offset}: {what}")]
    Damaged {
        /// Offset in bytes from the file's start.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Parts of the file, or blocks of the disk, lie over each other.
    #[error("could not lay out a VHDX")]
    Layout(#[from] SparseError),
    /// Bytes could not be read.
    #[error("could not read a VHDX's bytes")]
    Io(#[from] io::Error),
}
