//! ext4, the file system that Linux writes to: an empty one of one block group, made to be grown where it is used.
//!
//! ```text
//! block      0   nothing (1024), superblock (1024)
//!            1   descriptors of groups: one
//!      2- 1025   room for more of them, which the resize inode holds
//!         1026   bitmap of blocks
//!         1027   bitmap of inodes
//!   1028- 1539   inodes: 8192 of 256 bytes
//!         1540   root directory
//!   1541- 1544   lost+found
//!         1545   blocks of the resize inode
//!   1546- 9737   journal
//!   9738-32767   free
//! ```
//!
//! Twelve blocks are there, all others are holes: what is not there must read as zeros, as it does in every [`Sparse`]. The room
//! for descriptors is the most that ext4 takes, a quarter of a block's bytes in blocks. It lasts to 8 TiB and 8 GiB; there a kernel
//! that grows the file system takes up META_BG by itself and goes on. The group is full to its last block, so that growing starts
//! with a new one. The journal does not grow.
//!
//! Features and their values are those of `mke2fs -t ext4`, but no block is kept back for root: on a disk of TiBs that share would
//! be lost to services.
//!
//! Source: Linux, `Documentation/filesystems/ext4/`; `fs/ext4/ext4.h`, `include/linux/jbd2.h` and `fs/ext4/resize.c` of the same.
//!
//! [`Sparse`]: super::sparse::Sparse

pub mod layout;
pub mod write;

#[cfg(test)]
mod tests;

pub use layout::SIZE;
pub use write::{Options, write};

use super::sparse::SparseError;

/// Why a file system could not be written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ext4Error {
    /// A file system's name that does not fit.
    #[error("`{label}` cannot name an ext4 file system: that takes at most 16 bytes, none of them NUL")]
    Label {
        /// The name.
        label: String,
    },
    /// Blocks lie over each other.
    #[error("could not lay out an ext4 file system")]
    Layout(#[from] SparseError),
}
