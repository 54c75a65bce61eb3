//! FAT, the file system that every firmware reads: what an EFI system partition is, and what a Raspberry Pi boots from.
//!
//! ```text
//!  sector 0   boot sector, FSInfo (FAT32), copies of both from sector 6 on, up to `reserved`
//!             file allocation table, twice: what is behind its last used entry is a hole
//!             root directory (FAT12 and FAT16 alone)
//!  a multiple of 4096
//!             clusters: directories, then files in the order they were given
//! ```
//!
//! Every file is one run of clusters and starts at a multiple of 4096 bytes, so that others can be told where its bytes are, and
//! read them, without knowing of FAT. Equal files and options give equal bytes.
//!
//! Source: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03; UEFI 2.10, 13.3.

mod check;
mod geometry;
pub mod layout;
mod name;
mod time;
mod tree;
mod write;

#[cfg(test)]
mod tests;

use std::io;

pub use check::check;
pub use geometry::Kind;
pub use write::{Options, Volume, size_for, write};

use super::sparse::SparseError;

/// Where files start: a multiple of this, in bytes from the start of the volume.
pub const ALIGN: u64 = 4096;

/// Why a volume could not be made, or is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FatError {
    /// A file of 4 GiB or more.
    #[error("`{path}` has {size} bytes; a file on FAT ends at 4 GiB - 1")]
    FileTooLarge {
        /// The file's path.
        path: String,
        /// Its length in bytes.
        size: u64,
    },
    /// A name that FAT has no place for.
    #[error("FAT cannot hold the name `{name}` in `{path}`: {what}")]
    Name {
        /// The whole path.
        path: String,
        /// The name in it.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Two names that FAT takes for one.
    #[error("FAT takes `{one}` and `{other}` for the same name")]
    Same {
        /// The path that came first.
        one: String,
        /// The one that came later.
        other: String,
    },
    /// A volume's name that does not fit.
    #[error("`{label}` cannot name a FAT volume: that takes at most 11 characters of `A-Z`, `0-9`, ` `, `-` and `_`")]
    Label {
        /// The name.
        label: String,
    },
    /// More names than a directory has room for.
    #[error("the directory `{path}` needs {entries} entries; on FAT it has at most 65536, or less in the root")]
    Directory {
        /// The directory's path.
        path: String,
        /// Entries of 32 bytes.
        entries: u64,
    },
    /// The files do not fit.
    #[error("a {kind} volume of {size} bytes is too small; these files take at least {least}")]
    TooSmall {
        /// Which FAT.
        kind: &'static str,
        /// The length that was asked for, in bytes.
        size: u64,
        /// The least length that would do, in bytes.
        least: u64,
    },
    /// The files do not fit, whatever the size.
    #[error("these files take more than a {kind} volume can hold")]
    TooLarge {
        /// Which FAT.
        kind: &'static str,
    },
    /// Places in the volume overlap, which is a bug.
    #[error("could not put the volume together")]
    Place(#[from] SparseError),
    /// What was read back is not what was written.
    #[error("the volume does not read back: `{path}`: {what}")]
    Differs {
        /// Path in the volume.
        path: String,
        /// What differs.
        what: &'static str,
    },
    /// The volume cannot be read.
    #[error("could not read the volume back")]
    Io(#[from] io::Error),
}
