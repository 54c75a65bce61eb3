//! Why a pull stopped, and what the user can do about it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::platform::Arch;
use crate::store::StoreError;

/// A cause that came from below: the network library, TLS, a parser.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why an image could not be found, fetched, imported or sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// Nobody answers where the registry should be.
    #[error("could not reach registry `{registry}` for `{reference}`")]
    Unreachable {
        /// The image.
        reference: String,
        /// Host and port.
        registry: String,
        /// What the network said.
        #[source]
        cause: Cause,
    },
    /// The registry, or a transfer from it, fell silent.
    #[error("registry `{registry}` stopped answering while `{reference}` was transferred")]
    Timeout {
        /// The image.
        reference: String,
        /// Host and port.
        registry: String,
    },
    /// The registry does not let us in.
    #[error("registry `{registry}` refuses access to `{reference}`{}", if *.anonymous { " without a login" } else { " with the configured login" })]
    Denied {
        /// The image.
        reference: String,
        /// Host and port.
        registry: String,
        /// No credentials were sent.
        anonymous: bool,
    },
    /// The registry has no such image.
    #[error("registry `{registry}` has no image `{reference}`")]
    Absent {
        /// The image.
        reference: String,
        /// Host and port.
        registry: String,
    },
    /// The registry has the image, but not one of its blobs.
    #[error("registry `{registry}` lacks blob {digest} of `{reference}`")]
    AbsentBlob {
        /// The image.
        reference: String,
        /// Host and port.
        registry: String,
        /// The blob.
        digest: Digest,
    },
    /// The registry answered with something else.
    #[error("registry `{registry}` failed on `{reference}`")]
    Registry {
        /// The image.
        reference: String,
        /// Host and port.
        registry: String,
        /// What it said.
        #[source]
        cause: Cause,
    },
    /// A web server did not give what its address promises.
    #[error("could not fetch `{url}`: {reason}")]
    Web {
        /// The address, without a login.
        url: String,
        /// What went wrong.
        reason: String,
        /// What the network said, if that is where it failed.
        #[source]
        cause: Option<Cause>,
    },
    /// No client could be set up.
    #[error("could not set up the connection to registries")]
    Setup(#[source] Cause),
    /// The image exists for other machines only.
    #[error("`{reference}` has no image for linux/{want}; it has {}", listed(.have))]
    Platform {
        /// The image.
        reference: String,
        /// The architecture asked for.
        want: Arch,
        /// `os/architecture` of each image there is.
        have: Vec<String>,
    },
    /// The image is not in the store, and no network may be used.
    #[error("`{reference}` is not in the store, and asking a registry is switched off")]
    Offline {
        /// The image.
        reference: String,
    },
    /// Bytes that do not hash to their name.
    #[error("blob {want} of `{reference}` arrived damaged: {len} bytes that hash to {got}")]
    Digest {
        /// The image.
        reference: String,
        /// The announced digest.
        want: Digest,
        /// The digest of what arrived.
        got: Digest,
        /// How many bytes arrived.
        len: u64,
    },
    /// A blob that is longer or shorter than announced.
    #[error("blob {digest} of `{reference}` should have {want} bytes, but {got} arrived{}", if .got > .want { " and it was cut off" } else { "" })]
    Length {
        /// The image.
        reference: String,
        /// The blob.
        digest: Digest,
        /// The announced length in bytes.
        want: u64,
        /// How many bytes arrived.
        got: u64,
    },
    /// A manifest, index or configuration that makes no sense.
    #[error("{what} of `{reference}` is malformed")]
    Malformed {
        /// The image.
        reference: String,
        /// Which document.
        what: String,
        /// What the parser said.
        #[source]
        cause: Cause,
    },
    /// An image of a kind that cannot be used.
    #[error("`{reference}` cannot be used: {reason}")]
    Unusable {
        /// The image.
        reference: String,
        /// Why.
        reason: String,
    },
    /// A local source could not be read.
    #[error("could not {action} `{path}`")]
    Source {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Write a list as prose.
fn listed(items: &[String]) -> String {
    if items.is_empty() { "none at all".to_owned() } else { items.join(", ") }
}

impl PullError {
    /// Say what the user can do, if anything.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { registry, cause, .. } => Some(unreachable_hint(registry, cause.as_ref())),
            Self::Web { url, cause: Some(cause), .. } => Some(web_hint(url, cause.as_ref())),
            Self::Timeout { .. } => Some("run the same command again: what has arrived is kept".to_owned()),
            Self::Denied { registry, anonymous: true, .. } => {
                Some(format!("`docker login {registry}` stores a login that hullkit uses; check the name, too"))
            }
            Self::Denied { registry, .. } => {
                Some(format!("check the account's rights, or `docker login {registry}` again"))
            }
            Self::Absent { .. } => Some("check the spelling of the name and the tag".to_owned()),
            Self::Offline { reference } => Some(format!("`hullkit cache pull {reference}` fetches it")),
            Self::Platform { want, .. } => {
                Some(format!("choose another image or another `--arch` than {want}; `--pull` asks the registry again"))
            }
            Self::Digest { .. } | Self::Length { .. } => Some(
                "the registry, or something on the way to it, altered the bytes; nothing of them was kept".to_owned(),
            ),
            Self::Setup(_) => {
                Some("is the package `ca-certificates` installed? `--cert-file` names other authorities".to_owned())
            }
            Self::Store(StoreError::Io { cause, .. }) if cause.kind() == io::ErrorKind::StorageFull => {
                Some("free some space (`hullkit cache prune`), or move the store with `--cache DIR`".to_owned())
            }
            _ => None,
        }
    }
}

/// The same for a web server, which has no `--insecure`: its address says what it speaks.
fn web_hint(url: &str, cause: &(dyn Error + 'static)) -> String {
    let text = chain(cause);
    if text.contains("certificate") {
        "`--cert-file CA.pem` trusts a private authority".to_owned()
    } else if text.contains("InvalidContentType") {
        format!("the server does not speak TLS: write `{}`", url.replacen("https:", "http:", 1))
    } else {
        "check the address, and that the server runs".to_owned()
    }
}

/// Tell certificate trouble from an absent server.
fn unreachable_hint(registry: &str, cause: &(dyn Error + 'static)) -> String {
    let text = chain(cause);
    if text.contains("certificate") {
        format!("`--cert-file CA.pem` trusts a private authority; `--insecure {registry}` speaks plain HTTP")
    } else if text.contains("InvalidContentType") {
        format!("the server does not speak TLS; `--insecure {registry}` speaks plain HTTP")
    } else {
        "check the name and the port, and that the registry runs".to_owned()
    }
}

/// Write an error and all its causes on one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
