//! Stage 5 of 5. In: [`Segments`](crate::rootfs::Segments). Out: the files a machine boots from. Touches: the output
//! folder. Does not: decide anything; what is joined, and in which order, was settled by the stages before.

pub mod boot;
pub mod card;
pub mod container;
pub mod disk;
pub mod format;
pub mod initrd;
pub mod iso;
pub mod linuxkit;
pub mod listing;
pub mod netboot;
pub mod output;
pub mod tar;

use std::io;
use std::path::PathBuf;

use crate::format::cpio::CpioError;
use crate::format::tar::TarError;
use crate::format::tree::TreeError;
use crate::rootfs::RootfsError;

pub use output::{Written, publish};

/// Why an output could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A file could not be read or written.
    #[error("could not {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The format boots a kernel and the manifest names none.
    #[error("the manifest names no kernel, which `{format}` needs")]
    NoKernel {
        /// The format that was asked for.
        format: String,
    },
    /// The kernel would lose the end of its command line.
    #[error("the kernel's command line has {len} bytes; this kernel takes at most {most}: shorten `kernel.cmdline`")]
    Cmdline {
        /// Its length in bytes.
        len: u64,
        /// The most that the kernel takes.
        most: u64,
    },
    /// A disk would be too small for what goes onto it.
    #[error("--size {} is too small: this host needs {} at least", mib(*size), mib(*least))]
    Size {
        /// What was asked for, in bytes.
        size: u64,
        /// What would do, in bytes.
        least: u64,
    },
    /// Something cannot be where it would have to be.
    #[error("could not lay out {what}")]
    Layout {
        /// What was to be made.
        what: &'static str,
        /// What does not fit.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A packed segment cannot be read.
    #[error("could not read the packed `{name}`")]
    Segment {
        /// The segment's name.
        name: String,
        /// What is wrong with it.
        #[source]
        cause: CpioError,
    },
    /// What goes into the output could not be made.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// The entries make no file tree.
    #[error("could not make a file tree of the host")]
    Tree(#[from] TreeError),
    /// An image could not hold the tree.
    #[error("could not write `{path}`")]
    Image {
        /// The output.
        path: PathBuf,
        /// What did not fit.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A tar could not hold an entry.
    #[error("could not write `{path}`")]
    Tar {
        /// The output.
        path: PathBuf,
        /// What did not fit.
        #[source]
        cause: TarError,
    },
}

impl WriteError {
    /// Name what could not be laid out.
    fn layout(what: &'static str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Layout { what, cause: cause.into() }
    }
}

/// Write a length as `--size` takes it.
fn mib(bytes: u64) -> String {
    format!("{}M", bytes.div_ceil(1 << 20))
}

/// Name what was tried, and on which path, in an I/O error.
fn io_error(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> WriteError {
    move |cause| WriteError::Io { action, path: path.to_owned(), cause }
}

#[cfg(test)]
mod tests;
