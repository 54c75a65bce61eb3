//! The `logs` section: where what containers print goes.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::network::as_text;
use crate::node::shorten;
use crate::scalar::Scalar;
use crate::span::Spanned;

/// What becomes of lines beside being kept in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Containers whose lines are shown on the console; those of all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<Vec<Spanned<String>>>,
    /// Volume in which every line is kept, in files; with a persistent one, those of earlier boots are there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Spanned<String>>,
    /// Length from which on a file is followed by another; 10M if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<Spanned<Bytes>>,
    /// How many files are kept, the newest; 5 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_files: Option<Spanned<u32>>,
    /// Servers to which every line is sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forward: Vec<Forward>,
}

/// A server to which every line is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// Where.
    pub to: Spanned<LogServer>,
    /// How a line is written; `syslog` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<LogFormat>,
}

/// How a line is written for a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// RFC 5424.
    #[default]
    Syslog,
    /// One JSON object.
    Json,
}

/// A server, such as `udp://10.0.2.2:514`: its address is a number, because a line that cannot be sent may be about names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogServer {
    /// TCP rather than UDP.
    pub stream: bool,
    /// IP address and port.
    pub address: SocketAddr,
}

impl FromStr for LogServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{}` is not a server, such as udp://10.0.2.2:514 or tcp://[fd00::2]:5140", shorten(text));
        let (scheme, address) = text.split_once("://").ok_or_else(wrong)?;
        let stream = match scheme {
            "tcp" => true,
            "udp" => false,
            _ => return Err(wrong()),
        };
        let address: SocketAddr = address.parse().map_err(|_| wrong())?;
        if address.port() == 0 { Err(wrong()) } else { Ok(Self { stream, address }) }
    }
}

impl fmt::Display for LogServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.stream { "tcp" } else { "udp" }, self.address)
    }
}

as_text! {
    LogServer: "A server, such as udp://10.0.2.2:514 or tcp://[fd00::2]:5140.",
}

/// A number of bytes, such as `10M`.
///
/// # Source
///
/// Compose specification, `11-extension.md`, section "Specifying byte values", and terabytes for disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// Units and their powers of two, the largest first.
const UNITS: [(&str, u32); 5] = [("t", 40), ("g", 30), ("m", 20), ("k", 10), ("b", 0)];

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a number of bytes, such as 512k, 10M or 1G", shorten(text));
        let lower = text.to_ascii_lowercase();
        let (number, unit) = lower.split_at(lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len()));
        let unit = if unit.len() > 1 { unit.strip_suffix('b').unwrap_or(unit) } else { unit };
        let (_, power) =
            *UNITS.iter().find(|(name, _)| *name == unit || (unit.is_empty() && *name == "b")).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(1 << power).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |power: &u32| self.0 > 0 && self.0.trailing_zeros() >= *power;
        match UNITS.iter().find(|(_, power)| fits(power)) {
            Some((unit, power)) if *power > 0 => write!(f, "{}{}", self.0 >> power, unit.to_ascii_uppercase()),
            _ => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Scalar::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": "^[0-9]+([bB]|[kKmMgGtT][bB]?)?$",
            "minimum": 0,
            "description": "A number of bytes, such as 512k, 10M or 1G."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_composes_units() {
        let cases = [
            ("10M", Some(10 << 20)),
            ("512k", Some(512 << 10)),
            ("1gb", Some(1 << 30)),
            ("7", Some(7)),
            ("7b", Some(7)),
            ("2T", Some(2 << 40)),
        ];
        for (text, want) in
            cases.into_iter().chain(["", "M", "1.5M", "-1", "1p", "99999999999g"].map(|text| (text, None)))
        {
            assert_eq!(text.parse::<Bytes>().ok().map(|bytes| bytes.0), want, "{text}");
        }
    }

    #[test]
    fn a_server_is_a_number_and_a_port() {
        for text in ["udp://10.0.2.2:514", "tcp://[fd00::2]:5140"] {
            assert_eq!(text.parse::<LogServer>().unwrap().to_string(), text);
        }
        for text in
            ["10.0.2.2:514", "udp://logs.example.org:514", "udp://10.0.2.2", "http://10.0.2.2:1", "udp://1.2.3.4:0"]
        {
            assert!(text.parse::<LogServer>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_what_is_read(bytes: u64) {
            proptest::prop_assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
        }
    }
}
