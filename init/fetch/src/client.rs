//! The HTTP client: whom it believes, and where it lets itself be sent.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::{Attempt, Policy};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};

use crate::FetchError;

/// How long a connection may take to come about, and how long it may stand still.
const STALL: Duration = Duration::from_secs(10);

/// Most redirects that are followed.
const REDIRECTS_MAX: usize = 5;

/// Authorities that the manifest's `files` may add to the usual ones, PEM, where Debian has them.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A clock that is never before the host was built. That of a machine whose battery is dead is, by decades.
#[derive(Debug)]
struct Clock {
    /// In seconds since 1970.
    built: Duration,
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = Duration::from_secs(UnixTime::now().as_secs());
        Some(UnixTime::since_unix_epoch(now.max(self.built)))
    }
}

/// Make a client that believes Mozilla's authorities and those of the image, at a time that is not before `built`.
pub(crate) fn client(built: u64) -> Result<Client, FetchError> {
    let own = std::fs::read(AUTHORITIES).unwrap_or_default();
    client_with(built, &own)
}

/// The same; `pem` has the image's authorities.
pub(crate) fn client_with(built: u64, pem: &[u8]) -> Result<Client, FetchError> {
    let setup = |cause: Box<dyn std::error::Error + Send + Sync>| FetchError::Setup(cause);
    let own =
        CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|cause| setup(cause.into()))?;
    let mut roots = RootCertStore::empty();
    // One that is too old to be understood must not cost the others.
    roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned().chain(own));
    let clock = Clock { built: Duration::from_secs(built) };
    let config = ClientConfig::builder_with_details(Arc::new(ring::default_provider()), Arc::new(clock))
        .with_safe_default_protocol_versions()
        .map_err(|cause| setup(cause.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Without the referer: an address may hold a token.
    Client::builder()
        .tls_backend_preconfigured(config)
        .user_agent(concat!("hullkit-fetch/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::custom(redirect))
        .referer(false)
        .no_proxy()
        .connect_timeout(STALL)
        .read_timeout(STALL)
        .build()
        .map_err(|cause| setup(cause.into()))
}

fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let before = attempt.previous();
    if before.len() > REDIRECTS_MAX {
        attempt.error("it redirects in circles")
    } else if attempt.url().scheme() != "https" && before.iter().any(|url| url.scheme() == "https") {
        attempt.error("it redirects from https to plain http")
    } else {
        attempt.follow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_stands_before_the_build_is_taken_for_that() {
        let now = UnixTime::now().as_secs();
        for (built, want) in [(0, now), (now + 10_000, now + 10_000)] {
            let clock = Clock { built: Duration::from_secs(built) };
            let read = clock.current_time().expect("a time").as_secs();
            assert!((want..want + 100).contains(&read), "{read}");
        }
    }
}
