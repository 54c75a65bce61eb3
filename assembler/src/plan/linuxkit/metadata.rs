//! The merged manifest, written into the host itself.

use linuxkit_yaml::{Manifest, Metadata};

use crate::plan::PlanError;

/// Write a manifest as `files: metadata:` asks for it.
///
/// # Errors
///
/// - [`PlanError::Json`].
pub(super) fn print(manifest: &Manifest, form: Metadata) -> Result<Vec<u8>, PlanError> {
    match form {
        Metadata::Yaml => Ok(linuxkit_yaml::print(manifest).into_bytes()),
        Metadata::Json => crate::plan::spec::json::to_string(manifest).map(String::into_bytes).map_err(PlanError::Json),
    }
}
