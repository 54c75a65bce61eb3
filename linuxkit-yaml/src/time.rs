//! The `time` section: by whom the host's clock is set and kept.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::network::as_text;
use crate::node::shorten;
use crate::span::Spanned;

/// Port of time servers (RFC 5905).
const NTP: u16 = 123;

/// The clock is set once the network is up, and kept after that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// Time servers, asked in this order until one answers, and before those that DHCP names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<Spanned<TimeServer>>,
    /// Boot without waiting for the clock to be set; no if absent.
    #[serde(default)]
    pub optional: bool,
}

/// A server that is asked for the time (NTP).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl FromStr for TimeServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a time server, such as time.example.org or 10.0.0.1", shorten(text));
        let (host, port) = host_port(text).ok_or_else(wrong)?;
        Ok(Self { host, port: port.unwrap_or(NTP) })
    }
}

/// Read the name or address of a machine, and its port if there is one; an IPv6 address with a port stands in brackets.
pub(crate) fn host_port(text: &str) -> Option<(String, Option<u16>)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address.to_string(), None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port > 0)?)),
        None => (text, None),
    };
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return Some((inner.parse::<Ipv6Addr>().ok()?.to_string(), port));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let legal = host.len() <= 253 && host.trim_end_matches('.').split('.').all(label);
    legal.then(|| (host.to_owned(), port))
}

impl fmt::Display for TimeServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.host.contains(':')) {
            (NTP, _) => f.write_str(&self.host),
            (port, true) => write!(f, "[{}]:{port}", self.host),
            (port, false) => write!(f, "{}:{port}", self.host),
        }
    }
}

as_text! {
    TimeServer: "A name or an address, such as time.example.org, 10.0.0.1 or [fd00::1]:123.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_servers_are_names_or_addresses_maybe_with_a_port() {
        let cases = [
            ("time.example.org", Some(("time.example.org", 123))),
            ("10.0.0.1", Some(("10.0.0.1", 123))),
            ("10.0.0.1:1123", Some(("10.0.0.1", 1123))),
            ("fd00::1", Some(("fd00::1", 123))),
            ("[fd00::1]:1123", Some(("fd00::1", 1123))),
            ("time:0", None),
            ("time:65536", None),
            ("[10.0.0.1]:7", None),
            ("a b", None),
            ("ntp://time", None),
            ("", None),
        ];
        for (text, want) in cases {
            let got = text.parse::<TimeServer>();
            assert_eq!(got.as_ref().ok().map(|server| (server.host.as_str(), server.port)), want, "{text}");
            assert!(got.is_err() || got.clone().unwrap().to_string().parse() == got, "{text}");
        }
    }
}
