//! VHD, the disk of Virtual PC, Hyper-V's first generation and Azure: fixed (the disk and a footer) and dynamic (blocks on demand).
//!
//! ```text
//! fixed                         dynamic
//! 0    the disk                 0       copy of the footer (512)
//! size footer (512)             512     header (1024)
//!                               1536    block allocation table: a sector for each block of 2 MiB, or that it is not there
//!                               n*4096 - 512
//!                                       bitmap of a block's sectors (512), and the block, at a multiple of 4096
//!                               the end footer (512)
//! ```
//!
//! Azure takes fixed disks that are a multiple of 1 MiB long, so both kinds are padded to that.
//!
//! Source: Microsoft, Virtual Hard Disk Image Format Specification 1.0; Azure, "Prepare a Windows VHD or VHDX to upload to Azure",
//! for the length.

pub mod dump;
pub mod layout;
pub mod read;
pub mod write;

#[cfg(test)]
mod tests;

use std::io;

pub use write::{dynamic, fixed};

use super::sparse::SparseError;

/// Why a VHD could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VhdError {
    /// More than sectors of 32 bits reach, and Hyper-V and Azure attach.
    #[error("a disk of {size} bytes does not fit into a VHD, which ends at 2040 GiB; `vhdx` holds up to 64 TiB")]
    TooLarge {
        /// Length of the disk in bytes.
        size: u64,
    },
    /// What was read is not what such a file holds.
    #[error("not a VHD that can be read, at byte {offset}: {what}")]
    Damaged {
        /// Offset in bytes from the file's start.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Parts of the file, or blocks of the disk, lie over each other.
    #[error("could not lay out a VHD")]
    Layout(#[from] SparseError),
    /// Bytes could not be read.
    #[error("could not read a VHD's bytes")]
    Io(#[from] io::Error),
}
