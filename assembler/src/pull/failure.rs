//! What a failed request means: for the user, and for trying again.

use std::error::Error;
use std::io;
use std::time::Duration;

use oci_client::errors::{OciDistributionError, OciEnvelope, OciErrorCode};
use oci_client::secrets::RegistryAuth;

use super::endpoint::Endpoint;
use super::error::{PullError, chain};
use crate::digest::Digest;

/// A failure, and what may follow it.
#[derive(Debug)]
pub(super) struct Failure {
    /// What the user will read.
    pub(super) error: PullError,
    /// The same request may succeed a moment later.
    pub(super) passing: bool,
    /// Another endpoint may do better.
    pub(super) elsewhere: bool,
    /// How long the registry wants to be left alone.
    pub(super) after: Option<Duration>,
}

impl Failure {
    /// A failure that nothing helps against.
    pub(super) fn last(error: PullError) -> Self {
        Self { error, passing: false, elsewhere: false, after: None }
    }

    /// A failure that may pass.
    pub(super) fn passing(error: PullError) -> Self {
        Self { error, passing: true, elsewhere: true, after: None }
    }

    /// A failure of this endpoint only.
    fn elsewhere(error: PullError) -> Self {
        Self { error, passing: false, elsewhere: true, after: None }
    }
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The image.
    pub(super) reference: &'a str,
    /// The blob, if one was asked for.
    pub(super) blob: Option<&'a Digest>,
}

/// The status of an answer, whichever way the library wraps it.
enum Status {
    Denied,
    Absent,
    Busy(String),
    Other(String),
}

impl Asked<'_> {
    /// Read the library's error. Addresses are left out of every text: after a redirect they carry signatures.
    pub(super) fn failure(&self, endpoint: &Endpoint, auth: &RegistryAuth, error: OciDistributionError) -> Failure {
        let (reference, registry) = (self.reference.to_owned(), endpoint.host.clone());
        let anonymous = matches!(auth, RegistryAuth::Anonymous);
        let status = match error {
            OciDistributionError::RequestError(cause) => match cause.status() {
                Some(code) => status(code.as_u16(), ""),
                None if cause.is_timeout() && !cause.is_connect() => {
                    return Failure::passing(PullError::Timeout { reference, registry });
                }
                None => {
                    // A refused connection or a bad certificate stays so; a connection that broke may not.
                    let passing =
                        !cause.is_connect() && !cause.is_builder() && !cause.is_redirect() || was_reset(&cause);
                    let error = PullError::Unreachable { reference, registry, cause: innermost(&cause).into() };
                    return Failure { error, passing, elsewhere: true, after: None };
                }
            },
            OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => {
                Status::Denied
            }
            OciDistributionError::RegistryError { envelope, .. } => coded(&envelope),
            OciDistributionError::ServerError { code, message, .. } => status(code, &message),
            OciDistributionError::IoError(cause) => return self.broken(endpoint, cause),
            other => Status::Other(chain(&other)),
        };
        match status {
            Status::Denied => Failure::elsewhere(PullError::Denied { reference, registry, anonymous }),
            Status::Absent => Failure::elsewhere(match self.blob {
                Some(digest) => PullError::AbsentBlob { reference, registry, digest: *digest },
                None => PullError::Absent { reference, registry },
            }),
            Status::Busy(text) => Failure::passing(PullError::Registry { reference, registry, cause: text.into() }),
            Status::Other(text) => Failure::elsewhere(PullError::Registry { reference, registry, cause: text.into() }),
        }
    }

    /// Read the error of a transfer that broke off.
    pub(super) fn broken(&self, endpoint: &Endpoint, cause: io::Error) -> Failure {
        let (reference, registry) = (self.reference.to_owned(), endpoint.host.clone());
        let text = chain(&cause);
        if cause.kind() == io::ErrorKind::TimedOut || text.contains("timed out") {
            return Failure::passing(PullError::Timeout { reference, registry });
        }
        Failure::passing(PullError::Unreachable { reference, registry, cause: innermost(&cause).into() })
    }
}

/// Read a status code.
fn status(code: u16, message: &str) -> Status {
    let text = || {
        let short: String = message.chars().filter(|c| !c.is_control()).take(200).collect();
        format!("HTTP status {code} {short}").trim_end().to_owned()
    };
    match code {
        401 | 403 => Status::Denied,
        404 => Status::Absent,
        408 | 429 | 500.. => Status::Busy(text()),
        _ => Status::Other(text()),
    }
}

/// Read the codes of an error document; the first one that says something decides.
fn coded(envelope: &OciEnvelope) -> Status {
    let text = || {
        let said = envelope.errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("; ");
        said.chars().filter(|c| !c.is_control()).take(200).collect()
    };
    let known = envelope.errors.iter().find_map(|error| match error.code {
        OciErrorCode::Unauthorized | OciErrorCode::Denied => Some(Status::Denied),
        OciErrorCode::ManifestUnknown
        | OciErrorCode::NameUnknown
        | OciErrorCode::NotFound
        | OciErrorCode::BlobUnknown
        | OciErrorCode::ManifestBlobUnknown => Some(Status::Absent),
        OciErrorCode::Toomanyrequests => Some(Status::Busy(text())),
        _ => None,
    });
    known.unwrap_or_else(|| Status::Other(text()))
}

/// Give the text of the innermost cause: the ones around it add nothing but the address.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

/// Tell whether somewhere below a connection was cut.
fn was_reset(error: &dyn Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(
            kind,
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe)
        ) {
            return true;
        }
        next = cause.source();
    }
    false
}
