//! Squashfs 4.0, LinuxKit's compressed root: gzip level 9 in blocks of 128 KiB, as `mksquashfs` makes it by default.
//!
//! The bytes are written by the `backhand` crate, from front to back but for the superblock. What it cannot write is counted in
//! [`write::Lost`]: extended attributes, and so the capabilities of files, are left out; hard links become files of their own, each with
//! a copy of the data. Its search for equal data is switched off: it trusts a 64-bit hash that strangers can make collide, and
//! would give one file the bytes of another. Targets of symbolic links end at 255 bytes. The root's own time is that of 1970. `format/erofs` has none of these limits.
//!
//! Source: Linux, `Documentation/filesystems/squashfs.rst`.

pub mod write;

#[cfg(test)]
mod tests;

/// Why an image could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SquashfsError {
    /// Numbers of a device that do not fit.
    #[error("could not store device `{path}`: its numbers end at 4095 and 1048575")]
    Device {
        /// The device's path.
        path: String,
    },
    /// A target longer than the crate takes.
    #[error("could not store the target of `{path}`: squashfs takes at most 255 bytes here; choose EROFS")]
    Target {
        /// The link's path.
        path: String,
    },
    /// More owners and groups than the format numbers.
    #[error("the tree has {count} different owners and groups; squashfs has room for 65535")]
    Owners {
        /// How many there are.
        count: usize,
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
        cause: std::io::Error,
    },
    /// The image could not be made or written.
    #[error("could not write a squashfs image")]
    Backhand(#[from] backhand::BackhandError),
}
