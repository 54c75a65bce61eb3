//! Why a recipe did not become an image.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::platform::Arch;
use crate::pull::PullError;
use crate::store::StoreError;

/// Why `pkg build` stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] crate::write::WriteError),
    /// The recipe is not legal; the text has file, line and key.
    #[error(transparent)]
    Recipe(#[from] linuxkit_yaml::ManifestError),
    /// The recipe asks for what this program does not do, or for two things at once.
    #[error("`{path}`: {reason}")]
    Unusable {
        /// The recipe.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
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
    /// A program that is needed is not there, or does not start.
    #[error("could not start `{program}`, which {purpose}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What it is needed for.
        purpose: &'static str,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A program ended with an error.
    #[error("`{command}` failed: {said}")]
    Failed {
        /// The command.
        command: String,
        /// Its last lines on standard error.
        said: String,
    },
    /// No configured source of apt has packages for the architecture.
    #[error(
        "apt's sources on this machine offer no packages for {0}; a source pinned with `Architectures:` or `arch=` must name it as well"
    )]
    NoPackages(Arch),
    /// apt fetched something else than it promised.
    #[error("package `{file}` is not the one apt resolved: want sha256:{want}")]
    Altered {
        /// The package's file.
        file: String,
        /// Its SHA-256 in apt's lists.
        want: String,
    },
    /// A package is not one that can be unpacked.
    #[error("package `{file}`: {reason}")]
    Deb {
        /// The package's file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two entries of one image contradict each other.
    #[error("`{path}` {reason}")]
    Tree {
        /// The path inside the image.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An image could not be read: what a builder of Dockerfiles made, or what is to be exported.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document of the image could not be built.
    #[error("could not describe the blob {digest}")]
    Document {
        /// The blob.
        digest: Digest,
        /// What the builder said.
        #[source]
        cause: oci_spec::OciSpecError,
    },
}

/// Name what was tried, and on which path, in an I/O error.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PackageError {
    move |cause| PackageError::Io { action, path: path.to_owned(), cause }
}
