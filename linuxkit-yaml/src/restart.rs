//! The `restart` key of containers.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::node::shorten;
use crate::scalar::Scalar;

/// When a container that stopped is started again.
///
/// # Source
///
/// Compose specification, `05-services.md`, section `restart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Restart {
    /// `no`: never.
    No,
    /// `always`: whatever the exit code.
    Always,
    /// `on-failure[:N]`: after an exit code other than 0; at most `N` times in a row.
    OnFailure(Option<u32>),
    /// `unless-stopped`: like `always`, until it is stopped by hand.
    UnlessStopped,
}

impl FromStr for Restart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{}` is not a restart policy: no, always, on-failure[:N] or unless-stopped", shorten(text));
        match text {
            "no" => Ok(Self::No),
            "always" => Ok(Self::Always),
            "on-failure" => Ok(Self::OnFailure(None)),
            "unless-stopped" => Ok(Self::UnlessStopped),
            other => {
                let count = other.strip_prefix("on-failure:").ok_or_else(wrong)?;
                let digits = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
                count.parse().ok().filter(|_| digits).map(|count| Self::OnFailure(Some(count))).ok_or_else(wrong)
            }
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::Always => f.write_str("always"),
            Self::OnFailure(None) => f.write_str("on-failure"),
            Self::OnFailure(Some(count)) => write!(f, "on-failure:{count}"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
        }
    }
}

impl Serialize for Restart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Restart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Any scalar, so that `false`, which older YAML makes of `no`, gets the message above.
        Scalar::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Restart {
    fn schema_name() -> Cow<'static, str> {
        "Restart".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(no|always|on-failure(:[0-9]+)?|unless-stopped)$" })
    }
}
