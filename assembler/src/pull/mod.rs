//! Stage 3 of 5. In: the images of a [`Plan`](crate::plan::Plan). Out: every blob in the [`Store`], checked against its digest. Touches: network, store,
//! and the folders and archives that references name. Does not: look at what is inside a layer.
//!
//! [`Source`] is the half that the plan needs first: it turns a name into digests and brings the small documents.

mod blobs;
mod document;
mod endpoint;
mod error;
mod export;
mod failure;
mod import;
mod live;
mod local;
mod login;
mod plain;
mod progress;
mod published;
mod push;
mod registry;
mod resolve;
mod statements;
mod web;
mod whole;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use linuxkit_yaml::Reference;

pub use self::endpoint::{Mirror, MirrorError};
pub use self::error::{Cause, PullError};
pub use self::export::{export_docker, export_oci, exportable};
pub use self::import::{Imported, import_archive};
pub use self::live::{live, platforms, reachable};
pub use self::progress::{Progress, Silent};
pub use self::published::published;
pub use self::push::push;
pub use self::registry::{Registries, RegistryOptions};
pub use self::resolve::{Policy, Resolved, Source, name_of};
pub use self::web::without_login;
pub use self::whole::Whole;

use self::blobs::{Wanted, fetch_all};
use crate::digest::Digest;
use crate::plan::{Image, Layer};
use crate::store::Store;

/// How many blobs are fetched at once unless the user says otherwise.
pub const JOBS: NonZeroUsize = NonZeroUsize::new(8).expect("eight is not zero");

/// What a pull brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pulled {
    /// Number of blobs fetched; those that were here already do not count.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Bring every layer of a plan's images into the store, and all that belongs to images of which layouts are to be written.
///
/// In: `jobs`, how many blobs at once. Out: what had to be fetched. A blob that several images share is fetched once.
///
/// # Errors
///
/// - [`PullError`]: the first failure; what was complete by then stays in the store, and nothing else of it.
pub fn pull<'a>(
    images: &'a BTreeMap<Digest, Image>,
    layouts: impl Iterator<Item = &'a Whole>,
    store: &Store,
    registries: &Registries,
    jobs: NonZeroUsize,
    progress: &dyn Progress,
) -> Result<Pulled, PullError> {
    let images = images.values().map(|image| (image.reference.as_str(), image.origin.as_ref(), sizes(&image.layers)));
    let layouts = layouts.map(|whole| (whole.reference.as_str(), whole.origin.as_ref(), whole.blobs.clone()));
    fetch(images.chain(layouts), store, registries, jobs, progress)
}

/// Give digest and length of each layer's blob.
#[must_use]
pub fn sizes(layers: &[Layer]) -> Vec<(Digest, u64)> {
    layers.iter().map(|layer| (layer.digest, layer.size)).collect()
}

/// Bring blobs of images into the store: of each image its name, where it came from, and digest and length of its blobs.
///
/// # Errors
///
/// - As [`pull`].
pub fn fetch<'a>(
    images: impl Iterator<Item = (&'a str, Option<&'a Reference>, Vec<(Digest, u64)>)>,
    store: &Store,
    registries: &Registries,
    jobs: NonZeroUsize,
    progress: &dyn Progress,
) -> Result<Pulled, PullError> {
    let mut wanted: BTreeMap<Digest, Wanted> = BTreeMap::new();
    for (reference, origin, blobs) in images {
        for (digest, size) in blobs.into_iter().filter(|(digest, _)| !store.has(digest)) {
            let Some(Reference::Registry(name)) = origin else {
                let reason = format!("its blob {digest} is not in the store; import the image again");
                return Err(PullError::Unusable { reference: reference.to_owned(), reason });
            };
            wanted.entry(digest).or_insert_with(|| Wanted { size, name: name.clone() });
        }
    }
    let (blobs, bytes) = fetch_all(registries, store, &wanted, jobs, progress)?;
    Ok(Pulled { blobs, bytes })
}
