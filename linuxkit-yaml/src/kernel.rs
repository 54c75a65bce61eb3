//! The `kernel` section.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::Reference;
use crate::span::Spanned;

/// Kernel image and its command line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Image that holds the kernel; without one there is no kernel. An empty text is the same as no key.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "image_or_empty")]
    #[schemars(with = "Option<String>")]
    pub image: Option<Spanned<Reference>>,
    /// Kernel command line, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<Spanned<String>>,
    /// File name of the kernel inside the image; `kernel` if absent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<Spanned<String>>,
    /// Tar inside the image that is unpacked at `/`; `kernel.tar` if absent. `none` and empty mean no tar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tar: Option<Spanned<String>>,
    /// cpio inside the image that is put before the initrd; none if absent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ucode: Option<Spanned<String>>,
}

impl Kernel {
    /// Give the kernel's file name inside the image.
    #[must_use]
    pub fn binary_or_default(&self) -> &str {
        self.binary.as_ref().map(|binary| binary.as_str()).filter(|binary| !binary.is_empty()).unwrap_or("kernel")
    }

    /// Give the name of the tar inside the image; nothing if it is turned off.
    #[must_use]
    pub fn tar_or_default(&self) -> Option<&str> {
        match self.tar.as_ref().map(|tar| tar.as_str()) {
            None => Some("kernel.tar"),
            Some("" | "none") => None,
            Some(tar) => Some(tar),
        }
    }
}

/// Read an image reference for which an empty text means "none".
pub(crate) fn image_or_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Spanned<Reference>>, D::Error> {
    let Some(text) = Option::<Spanned<String>>::deserialize(deserializer)? else { return Ok(None) };
    if text.is_empty() {
        return Ok(None);
    }
    let value = text.parse().map_err(serde::de::Error::custom)?;
    Ok(Some(Spanned { value, at: text.at }))
}
