//! OCI image layouts, in a folder or in a tar.

use super::files::{Files, blob_name, lacks};
use crate::digest::Digest;
use crate::platform::Arch;
use crate::pull::document::{Document, Entry, Manifest, choose_next, config, layers};
use crate::pull::error::PullError;
use crate::store::{REF_NAME, Store};

/// Annotation in which containerd and `docker save` keep the whole name.
const IMAGE_NAME: &str = "io.containerd.image.name";

/// Copy what `arch` needs of one image into the store. Out: digest of the image's index or manifest.
///
/// In: `tag`, which image, by its name in the layout; without one, the only image.
///
/// # Source
///
/// OCI image-spec 1.1, `image-layout.md`.
pub(super) fn import_layout(
    store: &Store,
    files: &Files,
    tag: Option<&str>,
    arch: Arch,
    reference: &str,
) -> Result<Digest, PullError> {
    let bytes = files.document("index.json", reference)?.ok_or_else(|| lacks("index.json", reference))?;
    let Document::Index(entries) = Document::parse(&bytes, reference)? else {
        let reason = "its `index.json` is not an image index".to_owned();
        return Err(PullError::Unusable { reference: reference.to_owned(), reason });
    };
    match choose(&entries, tag, reference)? {
        Some(entry) => {
            let (digest, size) = (entry.digest, entry.size);
            follow(store, files, entry, arch, reference)?;
            // The document itself was kept on the way.
            debug_assert!(store.has(&digest) && size > 0);
            Ok(digest)
        }
        None => {
            follow(store, files, choose_next(&entries, arch, reference)?, arch, reference)?;
            Ok(store.write_blob(&bytes)?)
        }
    }
}

/// Choose the image that is asked for; none means that the layout is one image for several platforms.
fn choose<'e>(entries: &'e [Entry], tag: Option<&str>, reference: &str) -> Result<Option<&'e Entry>, PullError> {
    let unusable = |reason| Err(PullError::Unusable { reference: reference.to_owned(), reason });
    let names = |entry: &'e Entry| -> Vec<&'e str> {
        let notes = entry.annotations.iter();
        notes
            .flat_map(|notes| [REF_NAME, IMAGE_NAME].into_iter().filter_map(|key| notes.get(key)))
            .map(String::as_str)
            .collect()
    };
    let mut all: Vec<&str> = entries.iter().flat_map(|entry| names(entry).into_iter().take(1)).collect();
    all.sort_unstable();
    all.dedup();
    match (tag, entries) {
        (Some(tag), _) => match entries.iter().find(|entry| names(entry).contains(&tag)) {
            Some(entry) => Ok(Some(entry)),
            None if all.is_empty() => unusable(format!("it has no tag `{tag}`; its images have no names")),
            None => unusable(format!("it has no tag `{tag}`; it has {}", all.join(", "))),
        },
        (None, []) => unusable("it holds no image".to_owned()),
        (None, [first, rest @ ..]) if rest.iter().all(|entry| entry.digest == first.digest) => Ok(Some(first)),
        (None, _) if all.is_empty() => Ok(None),
        (None, _) => unusable(format!("it holds several images; add one of the tags {} after a colon", all.join(", "))),
    }
}

/// Copy the documents from `entry` down to the layers.
fn follow(store: &Store, files: &Files, entry: &Entry, arch: Arch, reference: &str) -> Result<(), PullError> {
    let mut entry = entry.clone();
    for _ in 0..3 {
        match Document::parse(&document(store, files, &entry, reference)?, reference)? {
            Document::Manifest(manifest) => return blobs(store, files, &manifest, arch, reference),
            Document::Index(entries) => entry = choose_next(&entries, arch, reference)?.clone(),
        }
    }
    Err(PullError::Unusable { reference: reference.to_owned(), reason: "its index is nested too deeply".to_owned() })
}

/// Copy configuration and layers, the configuration first: an image for another machine is refused before it is copied.
fn blobs(store: &Store, files: &Files, manifest: &Manifest, arch: Arch, reference: &str) -> Result<(), PullError> {
    let bytes = document(store, files, &manifest.config, reference)?;
    let config = config(&bytes, arch, reference)?;
    layers(manifest, &config, reference)?;
    manifest.layers.iter().try_for_each(|layer| files.take(store, &layer.digest, layer.size, reference))
}

/// Copy a small document into the store, and give its bytes.
fn document(store: &Store, files: &Files, entry: &Entry, reference: &str) -> Result<Vec<u8>, PullError> {
    if let Ok(bytes) = store.read_document(&entry.digest) {
        return Ok(bytes);
    }
    let name = blob_name(&entry.digest);
    let bytes = files.document(&name, reference)?.ok_or_else(|| lacks(&name, reference))?;
    let (got, len) = (Digest::of(&bytes), bytes.len() as u64);
    if got != entry.digest {
        return Err(PullError::Digest { reference: reference.to_owned(), want: entry.digest, got, len });
    }
    store.write_blob(&bytes)?;
    Ok(bytes)
}
