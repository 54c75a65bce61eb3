//! Questions over plain HTTP to one server: bounded in time and length, and nobody is followed elsewhere.

use std::time::{Duration, Instant};

use ureq::http::Response;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, Body};

use crate::LONGEST;
use crate::error::Refusal;
use crate::provider::scaleway::Privileged;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest head of an answer, in bytes.
const HEAD: usize = 64 << 10;

/// Somebody to ask.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    base: String,
    deadline: Instant,
    headers: Vec<(&'static str, String)>,
}

impl Client {
    /// A client of the server at `base`, an address without a `/` at its end, that gives up at `deadline`.
    #[must_use]
    pub(crate) fn new(base: &str, deadline: Instant) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_response_header_size(HEAD)
            .user_agent(concat!("hullkit-metadata/", env!("CARGO_PKG_VERSION")));
        Self { agent: config.build().into(), base: base.to_owned(), deadline, headers: Vec::new() }
    }

    /// Send this header with every question.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same, asking from a port below 1024.
    #[must_use]
    pub(crate) fn privileged(&self) -> Self {
        let agent = Agent::with_parts(self.agent.config().clone(), Privileged, DefaultResolver::default());
        Self { agent, base: self.base.clone(), deadline: self.deadline, headers: self.headers.clone() }
    }

    /// Ask for a page that has to be there.
    pub(crate) fn get(&self, path: &str) -> Result<Vec<u8>, Refusal> {
        let url = self.url(path);
        self.try_get(path)?.ok_or(Refusal::Status { url, status: 404 })
    }

    /// Ask for a page; nothing if there is none.
    pub(crate) fn try_get(&self, path: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let url = self.url(path);
        let request =
            self.headers.iter().fold(self.agent.get(&url), |request, (name, value)| request.header(*name, value));
        body(&url, request.config().timeout_global(Some(self.left())).build().call())
    }

    /// Ask for a page of text; nothing if there is none, or it is empty.
    pub(crate) fn text(&self, path: &str) -> Result<Option<String>, Refusal> {
        let Some(bytes) = self.try_get(path)? else { return Ok(None) };
        let text = String::from_utf8(bytes)
            .map_err(|_| Refusal::Nonsense { what: self.url(path), why: "it is no text".into() })?;
        Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    /// Ask for a page of JSON that has to be there.
    pub(crate) fn json(&self, path: &str) -> Result<serde_json::Value, Refusal> {
        let bytes = self.get(path)?;
        serde_json::from_slice(&bytes)
            .map_err(|cause| Refusal::Nonsense { what: self.url(path), why: cause.to_string() })
    }

    /// Put nothing somewhere, with one more header, and read the answer; nothing if there is no such place.
    pub(crate) fn put(&self, path: &str, header: (&str, &str)) -> Result<Option<Vec<u8>>, Refusal> {
        let url = self.url(path);
        let request = self.agent.put(&url).header(header.0, header.1);
        body(&url, request.config().timeout_global(Some(self.left())).build().send_empty())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn left(&self) -> Duration {
        // No time at all would mean no limit.
        self.deadline.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), PATIENCE)
    }
}

/// Read an answer.
fn body(url: &str, answer: Result<Response<Body>, ureq::Error>) -> Result<Option<Vec<u8>>, Refusal> {
    let failed = |cause| Refusal::Connection { url: url.to_owned(), cause: Box::new(cause) };
    let mut answer = answer.map_err(failed)?;
    match answer.status().as_u16() {
        200 => answer.body_mut().with_config().limit(LONGEST).read_to_vec().map(Some).map_err(failed),
        204 | 404 => Ok(None),
        300..400 => Err(Refusal::Redirect { url: url.to_owned() }),
        status => Err(Refusal::Status { url: url.to_owned(), status }),
    }
}
