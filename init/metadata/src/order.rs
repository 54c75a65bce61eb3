//! What PID 1 wants to know. In: the contract's text. Out: an [`Order`]. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use hullkit_init::contract::metadata::Metadata;
use linuxkit_yaml::{Allow, Provider};
use serde::Deserialize;

/// Who is asked for how long, and what is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// In this order; those that the machine shows if empty.
    pub providers: Vec<Provider>,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// What is taken of an answer.
    pub allow: Vec<Allow>,
    /// Names of the services, whose environment user data may set.
    pub services: BTreeSet<String>,
}

/// The contract, as far as it is of interest: the rest of it would be most of this program.
#[derive(Deserialize)]
struct Part {
    metadata: Metadata,
    #[serde(default)]
    services: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Order {
    /// Read an order out of a contract. PID 1 has read it before: its version is right.
    ///
    /// # Errors
    ///
    /// It is no contract, has no `metadata`, or names a provider that only a later program knows.
    pub fn parse(contract: &[u8]) -> Result<Self, String> {
        let Part { metadata, services } = serde_json::from_slice(contract).map_err(|cause| cause.to_string())?;
        let allowed = |word: &String| Allow::ALL.into_iter().find(|known| known.name() == word);
        Ok(Self {
            providers: metadata.providers.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
            timeout: Duration::from_millis(metadata.timeout),
            allow: metadata.allow.iter().filter_map(allowed).collect(),
            services: services.into_iter().map(|service| service.name).collect(),
        })
    }
}
