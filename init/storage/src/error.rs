//! Why a disk could not be taken into use, and what a person can do.

use std::io;

use hullkit_init::chain::chain;

use crate::probe::Holds;

/// Why a disk could not be taken into use. The disk's name stands before each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// No disk is the one that is meant.
    #[error("no disk is like it (looked for {seconds} s)")]
    Missing {
        /// How long it was looked for.
        seconds: u64,
    },
    /// There is something else on it.
    #[error("{path} holds {holds}, and not {wanted}; nothing was written")]
    Foreign {
        /// The disk or partition.
        path: String,
        /// What it holds.
        holds: Box<Holds>,
        /// What it should.
        wanted: String,
    },
    /// Nothing was found on it here, and something by the tools.
    #[error("{path} looks empty, but `blkid` finds {found} on it; nothing was written")]
    Disputed {
        /// The disk or partition.
        path: String,
        /// What `blkid` says.
        found: String,
    },
    /// A disk that is too short to be marked.
    #[error("{path} is too small")]
    Small {
        /// The disk or partition.
        path: String,
    },
    /// The kernel has not made the partition's device.
    #[error("{path} has a partition {number}, for which the kernel has no device")]
    NoDevice {
        /// The disk.
        path: String,
        /// The partition's number.
        number: usize,
    },
    /// A tool failed, or could not be run.
    #[error("{tool} failed on {path}: {why}")]
    Tool {
        /// Its name.
        tool: String,
        /// The disk or partition.
        path: String,
        /// Its last words, or how it ended.
        why: String,
    },
    /// The kernel failed.
    #[error("could not {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: String,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },
    /// The file of a key cannot be used.
    #[error("could not read the key `{path}`")]
    Key {
        /// The file.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// There is nothing that could keep the key.
    #[error("its key is to be kept by a TPM, and this machine shows none")]
    NoTpm,
    /// The key does not open it.
    #[error("{path} could not be opened with its key: {why}")]
    Locked {
        /// The disk or partition.
        path: String,
        /// What cryptsetup said.
        why: String,
        /// The key is the TPM's.
        tpm: bool,
    },
}

impl StorageError {
    /// Wrap the kernel's error.
    pub(crate) fn io(what: &'static str, path: &str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { what, path: path.to_owned(), cause }
    }

    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "attach the disk, add its driver to the image (`modules.include`), or see what `match` asks for; `optional: true` \
                 boots without it"
            }
            Self::Foreign { .. } | Self::Disputed { .. } => {
                "take another disk or a `match` that leaves this one out; if nothing on it is needed, erase it (`wipefs --all`), or \
                 say `wipe: true`"
            }
            Self::Small { .. } => "take a larger disk, or a `match` by `size`",
            Self::NoDevice { .. } => "see what the kernel says of the disk's partition table above",
            Self::Tool { .. } => {
                "see what the tool says above; sizes may be too small for the format, and `storage.image` must have the tool"
            }
            Self::Io { .. } => {
                "see what the kernel says of the disk above; add what it lacks to the image (`modules.include`), or check the disk on \
                 another machine"
            }
            Self::Key { .. } => {
                "see that metadata, or whatever else is to bring the key, does so before disks are taken, and that it is not empty"
            }
            Self::NoTpm => "give the machine a TPM 2.0, or take another source for `encrypt.key`",
            Self::Locked { tpm: false, .. } => "give the host the key that the disk was made with",
            Self::Locked { tpm: true, .. } => {
                "the TPM gives its key only to a machine that boots as the one did that made the disk: boot that again, or open the \
                 disk with another key that was added to it"
            }
        }
    }
}

/// Write what went wrong with a disk.
pub(crate) fn describe(name: &str, error: &StorageError) -> String {
    format!("disk `{name}`: {}", chain(error))
}
