//! The `metrics` section: where a host's figures can be fetched.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::network::as_text;
use crate::node::shorten;
use crate::span::Spanned;

/// Where figures are shown over HTTP, at `/metrics`, to whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Address and port.
    pub listen: Spanned<Listen>,
}

/// An IP address of the host, or `0.0.0.0` or `[::]` for all of them, and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse().ok().filter(|address: &SocketAddr| address.port() > 0);
        address
            .map(Self)
            .ok_or_else(|| format!("`{}` is not an address and a port, such as 0.0.0.0:9100", shorten(text)))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

as_text! {
    Listen: "An address and a port, such as 0.0.0.0:9100 or [::]:9100.",
}
