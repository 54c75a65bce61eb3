//! The `files` section.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scalar::{Id, Mode};
use crate::span::Spanned;

/// One file, directory or symbolic link added to the host's root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where; one leading `/` is dropped.
    pub path: Spanned<String>,
    /// Make a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<bool>,
    /// Make a symbolic link with this target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symlink: Option<Spanned<String>>,
    /// The file's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<Spanned<String>>,
    /// Read the content at build time from this file, relative to the working directory; `~/` is the home directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Spanned<String>>,
    /// The content is the merged manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Spanned<Metadata>>,
    /// Leave the entry out if `source` does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
    /// Permission bits; 0600 if absent, 0700 for directories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Spanned<Mode>>,
    /// Owner; 0 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<Spanned<Id>>,
    /// Group; 0 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<Spanned<Id>>,
}

/// How the merged manifest is written into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Metadata {
    /// As YAML.
    Yaml,
    /// As JSON.
    Json,
}
