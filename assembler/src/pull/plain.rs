//! Fetch manifests. The registry library reads an answer of any length into memory and drops the header that says when to
//! come back; a manifest is small, so fetching it here costs little and bounds both.

use std::time::Duration;

use oci_client::Reference;
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use reqwest::header::{ACCEPT, AUTHORIZATION, RETRY_AFTER};
use reqwest::{Client, Response};

use super::document::ACCEPTED;
use super::endpoint::Endpoint;
use super::error::PullError;
use super::failure::{Asked, Failure};
use crate::store::JSON_MAX;

/// Most bytes of an error's text that are read.
const COMPLAINT_MAX: u64 = 64 << 10;

/// A plain HTTP client with the token, if any, that the registry gave for a repository.
#[derive(Clone)]
pub(super) struct Plain {
    /// Follows redirects, and drops the login when one leads to another host.
    pub(super) http: Client,
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// Bearer token.
    pub(super) token: Option<String>,
}

impl Plain {
    /// Fetch a manifest or index of at most [`JSON_MAX`] bytes.
    ///
    /// Source: OCI distribution-spec 1.1, "Pulling manifests".
    pub(super) async fn manifest(
        &self,
        image: &Reference,
        auth: &RegistryAuth,
        endpoint: &Endpoint,
        asked: Asked<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let failed = |error: reqwest::Error| asked.failure(endpoint, auth, OciDistributionError::RequestError(error));
        let what = image.digest().or(image.tag()).unwrap_or("latest");
        let (host, repository) = (image.resolve_registry(), image.repository());
        let url = format!("{}://{host}/v2/{repository}/manifests/{what}", self.scheme);
        let mut request = self.http.get(&url).header(ACCEPT, ACCEPTED.join(", "));
        request = match (&self.token, auth) {
            (Some(token), _) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            (None, RegistryAuth::Basic(user, password)) => request.basic_auth(user, Some(password)),
            (None, _) => request,
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        if status != 200 {
            let after = pause(&response);
            let said = body(&mut response, COMPLAINT_MAX).await.map_err(failed)?.unwrap_or_default();
            return Err(Failure { after, ..asked.failure(endpoint, auth, complaint(status, &said)) });
        }
        body(&mut response, JSON_MAX).await.map_err(failed)?.ok_or_else(|| {
            let reason = format!("its manifest is longer than {JSON_MAX} bytes");
            Failure::last(PullError::Unusable { reference: asked.reference.to_owned(), reason })
        })
    }
}

/// Read an answer, if it is no longer than `most` bytes.
pub(super) async fn body(response: &mut Response, most: u64) -> reqwest::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if (bytes.len() + piece.len()) as u64 > most {
            return Ok(None);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes))
}

/// Say what went wrong in the library's words, which are read in one place.
fn complaint(code: u16, said: &[u8]) -> OciDistributionError {
    let message = || String::from_utf8_lossy(said).into_owned();
    match serde_json::from_slice(said) {
        // Their code says more than a status of the 400s, and less than one of the 500s.
        Ok(envelope) if code < 429 => OciDistributionError::RegistryError { envelope, url: String::new() },
        _ => OciDistributionError::ServerError { code, url: String::new(), message: message() },
    }
}

/// Read when the registry wants to be asked again; a date instead of seconds counts as not said.
fn pause(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
