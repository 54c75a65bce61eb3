//! Why a provider gave no answer.

use std::io;

/// Why a provider gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is not there: no such volume, item or file.
    #[error("{0}")]
    Absent(String),
    /// A server did not answer, or not to the end.
    #[error("{url}")]
    Connection {
        /// What was asked for.
        url: String,
        /// Why not.
        #[source]
        cause: Box<ureq::Error>,
    },
    /// A server said no.
    #[error("{url} answered {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// Its status.
        status: u16,
    },
    /// A server sent us elsewhere.
    #[error("{url} redirects, which is not followed")]
    Redirect {
        /// What was asked for.
        url: String,
    },
    /// What came is not what this provider says.
    #[error("{what} cannot be understood: {why}")]
    Nonsense {
        /// Which part of the answer.
        what: String,
        /// Why not.
        why: String,
    },
    /// Something of the machine could not be read.
    #[error("could not read `{path}`")]
    Read {
        /// Which.
        path: String,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },
}

impl Refusal {
    /// Tell whether the same question may be answered later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Absent(_) | Self::Connection { .. } | Self::Read { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            Self::Redirect { .. } | Self::Nonsense { .. } => false,
        }
    }
}
