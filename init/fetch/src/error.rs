//! Why there is no root.

use std::io;
use std::path::PathBuf;

use reqwest::StatusCode;

/// Why a root could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Time went by without a byte that is new.
    #[error("nothing new came for {seconds} s; the last try")]
    Stalled {
        /// How long it was tried.
        seconds: u64,
        /// What became of the last try.
        #[source]
        last: Broken,
    },
    /// The server says that there is none.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The address leads nowhere: redirects in circles, or away from TLS.
    #[error("the address leads nowhere")]
    Address(#[source] reqwest::Error),
    /// The server's file has another length.
    #[error("the server's file has {found} bytes, and this host's root has {size}")]
    Length {
        /// What the server says.
        found: u64,
        /// What the contract says.
        size: u64,
    },
    /// The server sends on where the root has ended.
    #[error("the server sends more than the {size} bytes of this host's root")]
    TooLong {
        /// What the contract says.
        size: u64,
    },
    /// The server sends another part than the one that was asked for.
    #[error("asked for the bytes from {from} on, the server sent `{sent}`")]
    Range {
        /// The first byte that was asked for.
        from: u64,
        /// Its `Content-Range`.
        sent: String,
    },
    /// All came, and it is something else.
    #[error("what came has the SHA-256 {found}, and `hullkit.root_sha256` says {wanted}")]
    Digest {
        /// That of what came.
        found: String,
        /// That of the order.
        wanted: String,
    },
    /// The file could not be written.
    #[error("could not write `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },
    /// There can be no connection at all.
    #[error("could not set up HTTPS")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why one try ended early; the next may get further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// No connection, or one that broke.
    #[error("the connection failed")]
    Connection(#[source] reqwest::Error),
    /// The server is overloaded, or its own source is.
    #[error("the server answered {0}")]
    Busy(StatusCode),
    /// The answer ended in good order, and too early.
    #[error("the answer ended after {have} bytes")]
    Short {
        /// How many there are now.
        have: u64,
    },
}

impl FetchError {
    /// Tell whether something else than the root lies there: no further try could help.
    #[must_use]
    pub fn is_other(&self) -> bool {
        matches!(self, Self::Length { .. } | Self::TooLong { .. } | Self::Range { .. } | Self::Digest { .. })
    }
}

/// Write an error and its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
