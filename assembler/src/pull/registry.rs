//! Talk to registries: who to ask, with which login, how often to try again.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use linuxkit_yaml::RegistryReference;
use oci_client::RegistryOperation;
use oci_client::client::{Certificate, CertificateEncoding, Client, ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use super::endpoint::{Endpoint, Mirror, Scheme};
use super::error::{PullError, chain};
use super::failure::{Asked, Failure};
use super::login;
use super::plain::Plain;
use crate::digest::Digest;

/// What we call ourselves.
const USER_AGENT: &str = concat!("hullkit/", env!("CARGO_PKG_VERSION"));

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a token is trusted to be good; registries promise a minute.
///
/// Source: distribution/distribution, `docs/spec/auth/token.md`, `expires_in`.
const TOKEN: Duration = Duration::from_secs(50);

/// Longest pause a registry may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Pauses before the second, third and fourth attempt.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// How registries are reached. The environment is read by the caller.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// Registries (host, or host and port) that are spoken to in plain HTTP. Those on the loopback need no mention.
    pub insecure: Vec<String>,
    /// Registries to ask first.
    pub mirrors: Vec<Mirror>,
    /// PEM files with authorities to trust besides the system's.
    pub certificates: Vec<PathBuf>,
    /// Folder of Docker's `config.json`; logins are looked up there.
    pub docker_config: Option<PathBuf>,
    /// How long a transfer may stand still.
    pub stall: Duration,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            insecure: Vec::new(),
            mirrors: Vec::new(),
            certificates: Vec::new(),
            docker_config: None,
            stall: Duration::from_secs(30),
        }
    }
}

/// The registries of the world, and the connections to those that were needed. Making one costs nothing: threads,
/// certificates and logins wait for the first request.
pub struct Registries {
    options: RegistryOptions,
    runtime: OnceLock<Runtime>,
    connections: Mutex<BTreeMap<Key, Arc<OnceCell<Connection>>>>,
    notes: Mutex<Vec<String>>,
}

/// What one connection is for: a repository of a host, to read or to write. The library keeps the first login it is
/// given for a host, so a client is never shared between logins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    endpoint: Endpoint,
    repository: String,
    push: bool,
}

/// A client that has introduced itself.
#[derive(Clone)]
pub(super) struct Connection {
    /// The library's client.
    pub(super) client: Client,
    /// What it introduces itself with.
    pub(super) auth: RegistryAuth,
    /// For manifests.
    plain: Plain,
    /// When it introduced itself.
    since: Instant,
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registries").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Registries {
    /// Take note of how registries are to be reached.
    #[must_use]
    pub fn new(options: RegistryOptions) -> Self {
        Self { options, runtime: OnceLock::new(), connections: Mutex::default(), notes: Mutex::default() }
    }

    /// Give, once, what the user should know though nothing failed: a login that could not be used.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Give the threads that drive the network, started at first need.
    pub(super) fn runtime(&self) -> Result<&Runtime, PullError> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        // Installed once per process; a second attempt is refused and changes nothing.
        let _ = rustls_graviola::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|cause| PullError::Setup(cause.into()))?;
        Ok(self.runtime.get_or_init(|| runtime))
    }

    /// Fetch a manifest or index by tag or, if one is given, by digest, and check it against that.
    pub(super) fn manifest(&self, name: &RegistryReference, digest: Option<&Digest>) -> Result<Vec<u8>, PullError> {
        let reference = name.to_string();
        let asked = Asked { reference: &reference, blob: None };
        let bytes = self.anywhere(name, false, async |endpoint, connection| {
            let image = match digest {
                Some(digest) => endpoint.by_digest(name, &digest.to_string()),
                None => endpoint.by_tag(name, name.tag_or_latest().unwrap_or("latest")),
            };
            connection.plain.manifest(&image, &connection.auth, endpoint, asked).await
        })?;
        match digest.map(|want| (*want, Digest::of(&bytes))) {
            Some((want, got)) if want != got => {
                Err(PullError::Digest { reference, want, got, len: bytes.len() as u64 })
            }
            _ => Ok(bytes),
        }
    }

    /// Do something at the first endpoint of an image's registry that can do it, trying again where that may help.
    pub(super) fn anywhere<T>(
        &self,
        name: &RegistryReference,
        push: bool,
        mut work: impl AsyncFnMut(&Endpoint, &Connection) -> Result<T, Failure>,
    ) -> Result<T, PullError> {
        let mirrors = if push { &[][..] } else { &self.options.mirrors[..] };
        let endpoints = Endpoint::list(&name.registry, mirrors, &self.options.insecure);
        self.runtime()?.block_on(async {
            let mut last = None;
            for endpoint in &endpoints {
                let result = again(async || {
                    let connection = self.connect(endpoint, name, push).await?;
                    work(endpoint, &connection).await
                });
                match result.await {
                    Ok(done) => return Ok(done),
                    Err(failure) if failure.elsewhere => last = Some(failure.error),
                    Err(failure) => return Err(failure.error),
                }
            }
            Err(last.unwrap_or_else(|| PullError::Setup("no registry to ask".into())))
        })
    }

    /// Give the connection to a repository, introducing ourselves the first time.
    async fn connect(&self, endpoint: &Endpoint, name: &RegistryReference, push: bool) -> Result<Connection, Failure> {
        let key = Key { endpoint: endpoint.clone(), repository: name.repository.clone(), push };
        let cell = {
            let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
            let cell = connections.entry(key).or_default();
            if cell.get().is_some_and(|connection| connection.since.elapsed() > TOKEN) {
                *cell = Arc::default();
            }
            Arc::clone(cell)
        };
        cell.get_or_try_init(|| self.introduce(endpoint, name, push)).await.cloned()
    }

    /// Build a client and let it fetch its token. A registry on the loopback may speak TLS or not: TLS is tried first.
    async fn introduce(
        &self,
        endpoint: &Endpoint,
        name: &RegistryReference,
        push: bool,
    ) -> Result<Connection, Failure> {
        let auth = self.login(endpoint);
        let schemes: &[ClientProtocol] = match endpoint.scheme {
            Scheme::Http => &[ClientProtocol::Http],
            Scheme::Https => &[ClientProtocol::Https],
            Scheme::Either => &[ClientProtocol::Https, ClientProtocol::Http],
        };
        let reference = name.to_string();
        let asked = Asked { reference: &reference, blob: None };
        let image = endpoint.by_tag(name, "latest");
        let operation = if push { RegistryOperation::Push } else { RegistryOperation::Pull };
        let mut failure = None;
        for scheme in schemes {
            let client = self.client(scheme, push).map_err(Failure::last)?;
            match client.auth(&image, &auth, operation).await {
                // The library would panic on a token that cannot stand in a header.
                Ok(Some(token)) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                    let cause = "its token is malformed".into();
                    return Err(Failure::last(PullError::Registry {
                        reference,
                        registry: endpoint.host.clone(),
                        cause,
                    }));
                }
                Ok(token) => {
                    let plain = self.plain(scheme, push, token).map_err(Failure::last)?;
                    return Ok(Connection { client, auth, plain, since: Instant::now() });
                }
                Err(error) => {
                    let talks_tls = chain(&error).contains("certificate");
                    failure = Some(asked.failure(endpoint, &auth, error));
                    if talks_tls {
                        break;
                    }
                }
            }
        }
        Err(failure.unwrap_or_else(|| Failure::last(PullError::Setup("no protocol to speak".into()))))
    }

    /// Look the login of a host up.
    fn login(&self, endpoint: &Endpoint) -> RegistryAuth {
        let Some(folder) = &self.options.docker_config else { return RegistryAuth::Anonymous };
        let login = login::find(folder, &endpoint.host);
        if let Some(note) = login.note {
            let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        login.auth
    }

    /// Build a client. One that sends has no limit on silence: the library counts the whole upload as such; what sends
    /// watches its own progress.
    fn client(&self, protocol: &ClientProtocol, push: bool) -> Result<Client, PullError> {
        let pem = |data| Certificate { encoding: CertificateEncoding::Pem, data };
        let extra_root_certificates = self.authorities()?.into_iter().map(pem).collect();
        let config = ClientConfig {
            protocol: protocol.clone(),
            use_monolithic_push: true,
            extra_root_certificates,
            platform_resolver: None,
            read_timeout: (!push).then_some(self.options.stall),
            connect_timeout: Some(CONNECT),
            user_agent: USER_AGENT,
            ..ClientConfig::default()
        };
        Client::try_from(config).map_err(|cause| PullError::Setup(cause.into()))
    }

    /// Build what fetches manifests.
    fn plain(&self, protocol: &ClientProtocol, push: bool, token: Option<String>) -> Result<Plain, PullError> {
        let scheme = if *protocol == ClientProtocol::Http { "http" } else { "https" };
        let http = self.http(push)?.build().map_err(|cause| PullError::Setup(cause.into()))?;
        Ok(Plain { http, scheme, token })
    }

    /// Begin a client of the web: name, patience, authorities.
    pub(super) fn http(&self, push: bool) -> Result<reqwest::ClientBuilder, PullError> {
        let mut builder = reqwest::Client::builder().user_agent(USER_AGENT).connect_timeout(CONNECT);
        if !push {
            builder = builder.read_timeout(self.options.stall);
        }
        for pem in self.authorities()? {
            let certificate = reqwest::Certificate::from_pem(&pem).map_err(|cause| PullError::Setup(cause.into()))?;
            builder = builder.tls_certs_merge([certificate]);
        }
        Ok(builder)
    }

    /// Read the certificates of the authorities to trust, PEM, one each.
    fn authorities(&self) -> Result<Vec<Vec<u8>>, PullError> {
        let mut found = Vec::new();
        for path in &self.options.certificates {
            found.extend(certificates(path)?);
        }
        Ok(found)
    }
}

/// Read a PEM file of one or more certificates.
fn certificates(path: &PathBuf) -> Result<Vec<Vec<u8>>, PullError> {
    const END: &str = "-----END CERTIFICATE-----";
    let source = |cause| PullError::Source { action: "read", path: path.clone(), cause };
    let mut text = String::new();
    std::fs::File::open(path).and_then(|file| file.take(1 << 20).read_to_string(&mut text)).map_err(source)?;
    // The library takes one certificate at a time; a bundle is cut at its end lines.
    let found: Vec<Vec<u8>> =
        text.split_inclusive(END).filter(|part| part.ends_with(END)).map(|part| part.as_bytes().to_vec()).collect();
    if found.is_empty() {
        return Err(source(std::io::Error::new(std::io::ErrorKind::InvalidData, "it holds no PEM certificate")));
    }
    Ok(found)
}

/// Try up to four times, as long as the failure is one that may pass.
async fn again<T>(mut attempt: impl AsyncFnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    for pause in PAUSES {
        match attempt().await {
            Err(failure) if failure.passing => {
                tokio::time::sleep(failure.after.map_or(pause, |after| after.min(PAUSE_MAX))).await;
            }
            other => return other,
        }
    }
    attempt().await
}
