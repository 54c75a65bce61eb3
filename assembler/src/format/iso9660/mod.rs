//! ISO 9660, the file system of CDs, with Rock Ridge for Linux and Joliet for everyone else.
//!
//! ```text
//! sector  0  a hole (16), where a boot sector and partition tables go
//!        16  volume descriptors: primary, El Torito's boot record, Joliet, terminator
//!            boot catalog; neither this nor the boot record is there if nothing starts from the image
//!            path tables: primary little- and big-endian, Joliet the same
//!            directories of the primary tree, names of at most 31 characters, Rock Ridge behind each name; behind a
//!              directory its continuations: what of Rock Ridge does not fit behind a name
//!            directories of the Joliet tree, names of at most 103 characters
//!            files, in the order of the tree, each from a sector on that may be asked to be a multiple of some number
//!            a hole (150), which readers of CDs may run into
//!            a hole as long as is asked for, where the second copy of a GPT goes
//! ```
//!
//! A sector has 2048 bytes. Both trees name the same files. All places are known from the lengths of files alone, so that boot
//! images and partition tables can be told of them before their bytes are made. A file of 4 GiB or more has a record for each
//! section of 4 GiB - 2048 bytes, in both trees; the sections follow one another.
//!
//! Directories may be deeper than the eight levels of ECMA-119, 6.8.2.1, and are not moved elsewhere: Linux and libarchive read
//! them where they are.
//!
//! Source: ECMA-119, 2nd edition; IEEE P1281 (SUSP 1.12); IEEE P1282 (RRIP 1.12); Joliet Specification, 1995; El Torito 1.0, 1995.

pub mod boot;
mod continuation;
pub mod date;
mod descriptor;
pub mod dump;
mod hierarchy;
pub mod layout;
mod name;
pub mod read;
mod record;
mod rock_ridge;
pub mod write;

#[cfg(test)]
mod tests;

use std::io;

use super::sparse::SparseError;

/// Why an image could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IsoError {
    /// A file of more sections than Linux follows.
    #[error(
        "`{path}` has {size} bytes; a file on a CD ends at 100 sections of 4 GiB - 2048, so choose another format or split it"
    )]
    TooLarge {
        /// The file's path.
        path: String,
        /// Its length in bytes.
        size: u64,
    },
    /// More directories than path tables can number.
    #[error("the tree has {count} directories; a CD has at most 65535")]
    Directories {
        /// How many there are.
        count: usize,
    },
    /// More than 32-bit sector numbers reach.
    #[error("the tree needs {sectors} sectors of 2048 bytes; a CD ends at {}", u32::MAX)]
    Full {
        /// Sectors of 2048 bytes.
        sectors: u64,
    },
    /// A volume's name that does not fit.
    #[error("`{name}` cannot name a volume: that takes 1 to 32 printable ASCII characters")]
    Volume {
        /// The name.
        name: String,
    },
    /// A program's or a person's name that does not fit.
    #[error("`{name}` cannot name the {what}: that takes at most 128 printable ASCII characters")]
    Name {
        /// Whose it is.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// What firmware cannot start.
    #[error("`{path}` cannot be started from a CD: it {what}")]
    Boot {
        /// The boot image's path.
        path: String,
        /// What is wrong with it.
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
    #[error("not an ISO 9660 image that can be read, at byte {offset}: {what}")]
    Damaged {
        /// Offset in bytes from the image's start.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Two parts of an image would lie over one another.
    #[error("could not put an image together")]
    Overlap(#[from] SparseError),
    /// Bytes could not be read.
    #[error("could not read an image's bytes")]
    Io(#[from] io::Error),
}
