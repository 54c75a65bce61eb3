//! Scalars that are more than text: values of any type kept as text, user ids, file modes.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::decode::SCALAR;
use crate::node::shorten;

/// The text of a scalar of any type: `1`, `"1"`, `yes` and `0x10` as they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Scalar(pub String);

impl Deref for Scalar {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SCALAR, ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(text.to_owned()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar, D::Error> {
        String::deserialize(deserializer).map(Scalar)
    }
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "number", "boolean"] })
    }
}

/// A user or group: a number, or the name of a container whose number is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    /// A number. Integers outside of 32 bits wrap, as they do in LinuxKit: -1 is 4294967295.
    Number(u32),
    /// A container's name; empty and `root` mean 0. Digits in quotes are a name, too.
    Name(String),
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u32(*number),
            Self::Name(name) => serializer.serialize_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user id or the name of a container")
    }

    #[expect(clippy::cast_possible_truncation, reason = "LinuxKit keeps the low 32 bits")]
    fn visit_u64<E>(self, value: u64) -> Result<Id, E> {
        Ok(Id::Number(value as u32))
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "LinuxKit keeps the low 32 bits")]
    fn visit_i64<E>(self, value: i64) -> Result<Id, E> {
        Ok(Id::Number(value as u32))
    }

    fn visit_str<E>(self, name: &str) -> Result<Id, E> {
        Ok(Id::Name(name.to_owned()))
    }
}

impl JsonSchema for Id {
    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "description": "A number, or the name of a container." })
    }
}

/// Permission bits, written as octal digits in quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode {
    /// The bits.
    pub bits: u32,
    /// What was written; may be empty, which LinuxKit takes for "not given" in `files`.
    pub text: String,
}

impl Mode {
    /// Parse octal digits without prefix; empty text is mode 0.
    fn parse(text: &str) -> Option<Self> {
        let octal = text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let bits = if text.is_empty() { 0 } else { u32::from_str_radix(text, 8).ok().filter(|_| octal)? };
        Some(Self { bits, text: text.to_owned() })
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{}` is not a mode: octal digits such as \"0644\"", shorten(&text)))
        })
    }
}

impl JsonSchema for Mode {
    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-7]*$", "description": "Octal digits in quotes." })
    }
}
