//! Take every image of an archive into the store.

use std::path::Path;

use super::document::{Document, Entry, parse};
use super::error::PullError;
use super::local::{Files, blob_name, import_docker, lacks};
use super::resolve::{canonical, descriptor};
use crate::digest::Digest;
use crate::store::{REF_NAME, Store};

/// Annotation in which containerd and `docker save` keep the whole name.
const IMAGE_NAME: &str = "io.containerd.image.name";

/// What an archive brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Names of the images, sorted.
    pub names: Vec<String>,
    /// Digests of those that have no name there, and were left out: nothing could ask for them.
    pub nameless: Vec<Digest>,
}

/// Import a tar of an OCI image layout, or of `docker save`, with all images and platforms in it.
///
/// # Errors
///
/// - [`PullError`]: the archive is damaged or incomplete, or no image in it has a name.
pub fn import_archive(store: &Store, path: &Path) -> Result<Imported, PullError> {
    let text = path.display().to_string();
    let files = Files::archive(store, path)?;
    let mut nameless = Vec::new();
    let mut found = match files.document("index.json", &text)? {
        Some(bytes) => from_layout(store, &files, &bytes, &text, &mut nameless)?,
        None => from_docker(store, &files, &text)?,
    };
    if let (true, Some(digest)) = (found.is_empty(), nameless.first()) {
        let reason = format!("its image {digest} has no name; `oci-archive:` in a manifest uses it without one");
        return Err(PullError::Unusable { reference: text, reason });
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, digest) in &found {
        let bytes = store.read_document(digest)?;
        store.tag(name, descriptor(digest, bytes.len() as u64, &Document::parse(&bytes, name)?))?;
    }
    Ok(Imported { names: found.into_iter().map(|(name, _)| name).collect(), nameless })
}

/// Copy what an image layout holds.
fn from_layout(
    store: &Store,
    files: &Files,
    index: &[u8],
    text: &str,
    nameless: &mut Vec<Digest>,
) -> Result<Vec<(String, Digest)>, PullError> {
    let Document::Index(entries) = Document::parse(index, text)? else {
        let reason = "its `index.json` is not an image index".to_owned();
        return Err(PullError::Unusable { reference: text.to_owned(), reason });
    };
    let mut found = Vec::new();
    for entry in &entries {
        let notes = entry.annotations.as_ref();
        let Some(name) = notes.and_then(|notes| notes.get(IMAGE_NAME).or_else(|| notes.get(REF_NAME))) else {
            nameless.push(entry.digest);
            continue;
        };
        copy(store, files, entry, text, 0)?;
        found.push((canonical(name), entry.digest));
    }
    Ok(found)
}

/// Copy a document and all it leads to. Platforms that were left out of the archive stay out.
fn copy(store: &Store, files: &Files, entry: &Entry, text: &str, depth: usize) -> Result<(), PullError> {
    let present = store.has(&entry.digest) || files.has(&blob_name(&entry.digest))?;
    if depth > 0 && !present {
        return Ok(());
    }
    files.take(store, &entry.digest, entry.size, text)?;
    match Document::parse(&store.read_document(&entry.digest)?, text)? {
        Document::Index(_) if depth == 2 => {
            Err(PullError::Unusable { reference: text.to_owned(), reason: "its index is nested too deeply".to_owned() })
        }
        Document::Index(entries) => entries.iter().try_for_each(|entry| copy(store, files, entry, text, depth + 1)),
        Document::Manifest(manifest) => {
            let mut blobs = manifest.layers.iter().chain([&manifest.config]);
            blobs.try_for_each(|blob| files.take(store, &blob.digest, blob.size, text))
        }
    }
}

/// Copy what `docker save` wrote: each name is an image of its own.
fn from_docker(store: &Store, files: &Files, text: &str) -> Result<Vec<(String, Digest)>, PullError> {
    #[derive(serde::Deserialize)]
    struct Named {
        #[serde(rename = "RepoTags", default)]
        names: Option<Vec<String>>,
    }
    let bytes = files.document("manifest.json", text)?.ok_or_else(|| lacks("index.json", text))?;
    let images: Vec<Named> = parse(&bytes, text, "`manifest.json`")?;
    let mut found = Vec::new();
    for name in images.iter().flat_map(|image| image.names.iter().flatten()) {
        found.push((canonical(name), import_docker(store, files, Some(name), text)?));
    }
    Ok(found)
}
