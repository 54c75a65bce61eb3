//! Where the key of an encrypted volume comes from: never the manifest, which everybody has who has the image.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::span::Spanned;

/// Encryption of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Encrypt {
    /// Where its key comes from.
    pub key: Spanned<KeySource>,
}

/// Where a key comes from: one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct KeySource {
    /// The machine's TPM makes it at the first boot, and gives it out only to a machine that boots the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<Tpm>,
    /// The bytes of a file of the host, by its absolute path, which something brings when the host boots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Spanned<String>>,
    /// The bytes of a file that metadata brings, by its path below /run/config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Spanned<String>>,
}

/// A key that the TPM keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tpm {
    /// Registers (PCRs) that must be as they were; 7 alone, the state of Secure Boot, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pcrs: Option<Vec<Spanned<u8>>>,
}

/// Why a manifest holds no key.
const LITERAL: &str = "a key in a manifest is in the image, and everybody who has that can read it: say where the host gets \
                       it when it boots, `key: {tpm: {}}`, `key: {file: PATH}` or `key: {metadata: NAME}`";

/// Words that somebody may write who means to give the key itself.
const LITERAL_KEYS: [&str; 3] = ["passphrase", "password", "secret"];

/// The keys of [`Encrypt`].
const KEYS: &[&str] = &["key"];

/// The one key of [`Encrypt`].
struct Key;

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Key, E> {
        match word {
            "key" => Ok(Key),
            word if LITERAL_KEYS.contains(&word) => Err(E::custom(LITERAL)),
            word => Err(E::unknown_field(word, KEYS)),
        }
    }
}

impl<'de> Deserialize<'de> for Encrypt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Encrypt", KEYS, EncryptVisitor)
    }
}

struct EncryptVisitor;

impl<'de> Visitor<'de> for EncryptVisitor {
    type Value = Encrypt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Encrypt, A::Error> {
        let mut key = None;
        while map.next_key::<Key>()?.is_some() {
            key = Some(map.next_value()?);
        }
        key.map(|key| Encrypt { key }).ok_or_else(|| de::Error::missing_field("key"))
    }
}

/// [`KeySource`], once it is known to be a mapping.
#[derive(Deserialize)]
#[serde(rename = "KeySource", deny_unknown_fields)]
struct Sources {
    #[serde(default)]
    tpm: Option<Tpm>,
    #[serde(default)]
    file: Option<Spanned<String>>,
    #[serde(default)]
    metadata: Option<Spanned<String>>,
}

impl<'de> Deserialize<'de> for KeySource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = KeySource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("where the key comes from")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<KeySource, E> {
        Err(E::custom(LITERAL))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<KeySource, E> {
        Err(E::custom(LITERAL))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<KeySource, E> {
        Err(E::custom(LITERAL))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeySource, A::Error> {
        let sources = Sources::deserialize(MapAccessDeserializer::new(map))?;
        Ok(KeySource { tpm: sources.tpm, file: sources.file, metadata: sources.metadata })
    }
}
