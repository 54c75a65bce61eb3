//! The `modules` section: kernel modules in the image and at boot.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::span::Spanned;

/// Kernel modules, by name; `-` and `_` are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Modules {
    /// Modules kept in the image, with those they depend on; all of the kernel's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<Spanned<String>>>,
    /// Modules loaded at boot whether or not a device asks for them, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load: Vec<Spanned<String>>,
}
