//! What a registry has under a name.

use linuxkit_yaml::RegistryReference;

use super::error::PullError;
use super::registry::Registries;
use crate::digest::Digest;

/// Ask a registry, or a mirror in front of it, what a name leads to. Out: a digest, none if there is no such image.
///
/// # Errors
///
/// - [`PullError`]: the registry does not say.
pub fn published(registries: &Registries, name: &RegistryReference) -> Result<Option<Digest>, PullError> {
    let want = match &name.digest {
        Some(digest) => Some(digest.to_string().parse().map_err(|_| PullError::Unusable {
            reference: name.to_string(),
            reason: "only sha256 digests are stored".to_owned(),
        })?),
        None => None,
    };
    match registries.manifest(name, want.as_ref()) {
        Ok(bytes) => Ok(Some(Digest::of(&bytes))),
        Err(PullError::Absent { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}
