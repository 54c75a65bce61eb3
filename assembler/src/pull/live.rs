//! What the names of a store still lead to.

use std::collections::BTreeSet;

use super::document::Document;
use super::error::PullError;
use crate::digest::Digest;
use crate::store::{Store, StoreError};

/// List every blob that a name leads to: documents, configurations, layers, whether or not they are here.
///
/// # Errors
///
/// - [`PullError::Store`].
pub fn live(store: &Store) -> Result<BTreeSet<Digest>, PullError> {
    let named = store.names()?.into_iter();
    let roots = named.filter_map(|(name, descriptor)| Some((name, descriptor.digest().to_string().parse().ok()?)));
    reachable(store, roots)
}

/// List all that some images are made of, as far as it is in the store.
///
/// In: `images`, each a name and the digest of its index or manifest.
///
/// # Errors
///
/// - [`PullError::Store`]: the store cannot be read.
pub fn reachable(store: &Store, images: impl Iterator<Item = (String, Digest)>) -> Result<BTreeSet<Digest>, PullError> {
    let mut live = BTreeSet::new();
    let mut pending: Vec<(Digest, String)> = images.map(|(name, digest)| (digest, name)).collect();
    while let Some((digest, name)) = pending.pop() {
        if !live.insert(digest) {
            continue;
        }
        let bytes = match store.read_document(&digest) {
            Ok(bytes) => bytes,
            // An index whose other platforms were never fetched.
            Err(StoreError::Missing(_) | StoreError::Digest { .. } | StoreError::TooLong { .. }) => continue,
            Err(other) => return Err(other.into()),
        };
        match Document::parse(&bytes, &name) {
            Ok(Document::Index(entries)) => {
                pending.extend(entries.into_iter().map(|entry| (entry.digest, name.clone())))
            }
            Ok(Document::Manifest(manifest)) => {
                live.insert(manifest.config.digest);
                live.extend(manifest.layers.iter().map(|layer| layer.digest));
            }
            // What cannot be read is kept as it is.
            Err(_) => {}
        }
    }
    Ok(live)
}

/// List the images of an index by architecture, as far as all of each is in the store.
///
/// Out: nothing if `digest` is one image, not an index. Attestations, which run nowhere, are left out.
///
/// # Errors
///
/// - [`PullError`]: the index is not in the store, or cannot be read.
pub fn platforms(store: &Store, name: &str, digest: &Digest) -> Result<Vec<(String, Digest)>, PullError> {
    let Document::Index(entries) = Document::parse(&store.read_document(digest)?, name)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let Some(arch) = entry.platform.as_ref().map(|platform| platform.architecture.as_str()) else { continue };
        if !matches!(arch, "" | "unknown") && super::export::is_complete(store, &entry.digest, name) {
            found.push((arch.to_owned(), entry.digest));
        }
    }
    Ok(found)
}
