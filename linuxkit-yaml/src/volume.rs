//! The `volumes` section.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::image_or_empty;
use crate::reference::Reference;
use crate::span::Spanned;

/// A directory that containers bind by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Name by which `binds` refer to it: lower-case letters, digits, `_` and `-`; unique.
    #[schemars(regex(pattern = "^[a-z0-9_-]*$"))]
    pub name: Spanned<String>,
    /// Image that is the volume's content; empty without one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "image_or_empty")]
    #[schemars(with = "Option<String>")]
    pub image: Option<Spanned<Reference>>,
    /// Allow read-only binds only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readonly: Option<bool>,
    /// Keep what is written, on the data partition of the disk that the host boots from (Hullkit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent: Option<Spanned<bool>>,
    /// Keep the image as OCI layout, or unpack it (the default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Spanned<VolumeFormat>>,
    /// Platforms `os/arch[/variant]` kept in an OCI layout; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platforms: Option<Vec<Spanned<String>>>,
}

impl Volume {
    /// Where it is said that what is written is kept, if it is.
    #[must_use]
    pub fn kept(&self) -> Option<&Spanned<bool>> {
        self.persistent.as_ref().filter(|persistent| persistent.value)
    }
}

/// What a volume holds of its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VolumeFormat {
    /// An OCI image layout.
    Oci,
    /// The image's files.
    Filesystem,
}
