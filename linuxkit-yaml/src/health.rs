//! The `healthcheck` key of containers: how it is found out whether a service works.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::node::shorten;
use crate::period::Period;
use crate::scalar::Scalar;
use crate::span::Spanned;

/// How a service's health is checked; what is absent is the image's, else the default.
///
/// # Source
///
/// Compose specification, `05-services.md`, section `healthcheck`; `http` and `tcp` are Hullkit's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Healthcheck {
    /// Program run in the container: text for its shell, or a list that begins with CMD, CMD-SHELL or NONE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Spanned<HealthTest>>,
    /// Page that must answer with a status of 200 to 399, asked from within the container's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Spanned<HttpProbe>>,
    /// Port that must take a connection, made from within the container's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Spanned<TcpProbe>>,
    /// Time between checks: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Spanned<Period>>,
    /// How long a check may take: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Spanned<Period>>,
    /// Failures in a row that make a service unhealthy: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub retries: Option<Spanned<u32>>,
    /// Time after the start in which failures do not count: 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_period: Option<Spanned<Period>>,
    /// Longest time between checks until the first one counts: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<Spanned<Period>>,
    /// Check nothing, whatever the image says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable: Option<bool>,
}

/// A program that tells by its exit code whether the container works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthTest {
    /// `[NONE]`: nothing is checked.
    None,
    /// `[CMD, …]`: program and arguments.
    Command(Vec<String>),
    /// Text, or `[CMD-SHELL, text]`: a line for `/bin/sh`.
    Shell(String),
}

impl HealthTest {
    /// Read the form of a list, which is also that of an image's `HEALTHCHECK`.
    ///
    /// # Errors
    ///
    /// A sentence: the list does not begin with NONE, CMD or CMD-SHELL, or says too little or too much after it.
    pub fn from_words(words: &[String]) -> Result<Self, String> {
        let (first, rest) = words.split_first().map_or(("", words), |(first, rest)| (first.as_str(), rest));
        match (first, rest) {
            ("NONE", []) => Ok(Self::None),
            ("NONE", _) => Err("`NONE` stands alone".to_owned()),
            ("CMD", []) => Err("`CMD` needs a program".to_owned()),
            ("CMD", rest) => Ok(Self::Command(rest.to_vec())),
            ("CMD-SHELL", [line]) => Ok(Self::Shell(line.clone())),
            ("CMD-SHELL", _) => Err("`CMD-SHELL` needs one text, a line for the shell".to_owned()),
            (other, _) => Err(format!("a test begins with NONE, CMD or CMD-SHELL, not with `{}`", shorten(other))),
        }
    }
}

impl Serialize for HealthTest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.collect_seq(["NONE"]),
            Self::Command(words) => {
                serializer.collect_seq(std::iter::once("CMD").chain(words.iter().map(String::as_str)))
            }
            Self::Shell(line) => serializer.serialize_str(line),
        }
    }
}

impl<'de> Deserialize<'de> for HealthTest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TestVisitor)
    }
}

struct TestVisitor;

impl<'de> Visitor<'de> for TestVisitor {
    type Value = HealthTest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a list that begins with NONE, CMD or CMD-SHELL")
    }

    fn visit_str<E: serde::de::Error>(self, line: &str) -> Result<HealthTest, E> {
        Ok(HealthTest::Shell(line.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<HealthTest, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element::<String>()? {
            words.push(word);
        }
        HealthTest::from_words(&words).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for HealthTest {
    fn schema_name() -> Cow<'static, str> {
        "HealthTest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

/// A port to connect to. Names are not looked up: init has no resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The address; the container itself, by IPv4 or IPv6, if absent.
    pub address: Option<IpAddr>,
    /// The port, not 0.
    pub port: u16,
}

impl Endpoint {
    /// Read `localhost:80`, `10.0.0.2:80` or `[::1]:80`; without a port it is `default`.
    fn parse(text: &str, default: Option<u16>) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            Some((host, port)) => (host, port.parse().ok().filter(|_| port.bytes().all(|b| b.is_ascii_digit()))),
            None => (text, default),
        };
        let address = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(six) => Some(IpAddr::V6(six.parse().ok()?)),
            None if host == "localhost" => None,
            None => Some(IpAddr::V4(host.parse().ok()?)),
        };
        port.filter(|port| *port > 0).map(|port| Self { address, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            None => write!(f, "localhost:{}", self.port),
            Some(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
        }
    }
}

/// A page that must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// Who is asked.
    pub endpoint: Endpoint,
    /// Path and query, with a leading `/`; no spaces, no control characters.
    pub path: String,
}

impl FromStr for HttpProbe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is not a page of `localhost` or of an IP address, such as http://localhost:8080/health",
                shorten(text)
            )
        };
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let plain = |c: char| c.is_ascii_graphic() && c != '#';
        let path = if path.is_empty() { "/" } else { path };
        let endpoint = Endpoint::parse(host, Some(80)).filter(|_| path.starts_with('/') && path.chars().all(plain));
        Ok(Self { endpoint: endpoint.ok_or_else(wrong)?, path: path.to_owned() })
    }
}

impl fmt::Display for HttpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.endpoint, self.path)
    }
}

/// A port that must take a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpProbe(pub Endpoint);

impl FromStr for TcpProbe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = text.parse().ok().filter(|port| *port > 0 && text.bytes().all(|b| b.is_ascii_digit()));
        let endpoint = port.map(|port| Endpoint { address: None, port }).or_else(|| Endpoint::parse(text, None));
        endpoint
            .map(Self)
            .ok_or_else(|| format!("`{}` is not a port, such as 6379, localhost:6379 or 10.0.0.2:6379", shorten(text)))
    }
}

impl fmt::Display for TcpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Read and write a probe as its text, which may be a number.
macro_rules! as_text {
    ($($name:ident: $schema:tt),* $(,)?) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Scalar::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

as_text! {
    HttpProbe: { "type": "string", "description": "A page, such as http://localhost:8080/health." },
    TcpProbe: { "type": ["string", "integer"], "description": "A port, such as 6379 or localhost:6379." },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_of_this_host_or_of_an_address() {
        let cases = [
            ("http://localhost", Some("http://localhost:80/")),
            ("http://localhost:8080/health?x=1", Some("http://localhost:8080/health?x=1")),
            ("http://10.0.0.2:81/", Some("http://10.0.0.2:81/")),
            ("http://[::1]:81/a", Some("http://[::1]:81/a")),
            ("http://[fd00::1]", Some("http://[fd00::1]:80/")),
            ("https://localhost/", None),
            ("http://example.org/", None),
            ("http://localhost:0/", None),
            ("http://localhost:65536/", None),
            ("http://localhost:+80/", None),
            ("http://localhost/a b", None),
            ("http://localhost/a#b", None),
            ("http://localhost?a", None),
            ("localhost:80", None),
        ];
        for (text, want) in cases {
            let got = text.parse::<HttpProbe>().ok().map(|probe| probe.to_string());
            assert_eq!(got.as_deref(), want, "{text}");
        }
    }

    #[test]
    fn a_port_may_stand_alone() {
        let cases = [
            ("6379", Some("localhost:6379")),
            ("localhost:6379", Some("localhost:6379")),
            ("127.0.0.1:1", Some("127.0.0.1:1")),
            ("[::]:1", Some("[::]:1")),
            ("0", None),
            ("+1", None),
            ("localhost", None),
            ("db:5432", None),
            ("::1:80", None),
        ];
        for (text, want) in cases {
            let got = text.parse::<TcpProbe>().ok().map(|probe| probe.to_string());
            assert_eq!(got.as_deref(), want, "{text}");
        }
    }
}
