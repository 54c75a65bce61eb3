//! The `init` section: images unpacked into the host's root, or the word `builtin`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::reference::Reference;

/// The word that stands for Hullkit's own init.
pub const BUILTIN: &str = "builtin";

/// One entry of `init`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitEntry {
    /// The word `builtin`: Hullkit's own init, runtime and supervisor.
    Builtin,
    /// An image unpacked into `/`.
    Image(Reference),
}

impl InitEntry {
    /// Give the image, if this is one.
    #[must_use]
    pub fn image(&self) -> Option<&Reference> {
        match self {
            Self::Builtin => None,
            Self::Image(reference) => Some(reference),
        }
    }
}

impl Serialize for InitEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Builtin => serializer.serialize_str(BUILTIN),
            Self::Image(reference) => reference.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for InitEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == BUILTIN {
            return Ok(Self::Builtin);
        }
        text.parse().map(Self::Image).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for InitEntry {
    fn schema_name() -> Cow<'static, str> {
        Reference::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        Reference::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Reference::json_schema(generator)
    }
}
