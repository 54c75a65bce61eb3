//! Write an image of the store as a tar that other tools read. Equal images give equal bytes.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::document::{Document, Manifest};
use super::error::PullError;
use super::resolve::Resolved;
use crate::digest::Digest;
use crate::store::{REF_NAME, Store};

/// Media type of an image index.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A tar on its way out.
struct Tar<'a, W: Write> {
    store: &'a Store,
    builder: Builder<W>,
    seen: BTreeSet<Digest>,
}

/// Write images as one OCI image layout.
///
/// In: `images`, each a name and the digest of its index or manifest, all of whose blobs are in the store.
///
/// # Errors
///
/// - [`PullError::Store`]: a blob is missing. [`PullError::Source`]: `out` refused bytes.
///
/// # Source
///
/// OCI image-spec 1.1, `image-layout.md`.
pub fn export_oci(store: &Store, images: &[(String, Digest)], out: impl Write) -> Result<(), PullError> {
    let descriptors: Vec<_> =
        images.iter().map(|(name, top)| descriptor(store, name, top)).collect::<Result<_, _>>()?;
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": descriptors });
    let mut tar = Tar { store, builder: Builder::new(out), seen: BTreeSet::new() };
    tar.bytes("index.json", index.to_string().as_bytes())?;
    tar.bytes("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    images.iter().try_for_each(|(name, top)| tar.tree(top, name))?;
    tar.finish()
}

/// Choose what of an image to export: its index if all platforms are complete in the store, else this platform's manifest.
#[must_use]
pub fn exportable(store: &Store, name: &str, image: &Resolved) -> Digest {
    if is_complete(store, &image.top, name) { image.top } else { image.digest }
}

/// Describe an image for the layout's index.
fn descriptor(store: &Store, name: &str, top: &Digest) -> Result<serde_json::Value, PullError> {
    let bytes = store.read_document(top)?;
    let kind = match Document::parse(&bytes, name)? {
        Document::Index(_) => INDEX,
        Document::Manifest(_) => "application/vnd.oci.image.manifest.v1+json",
    };
    Ok(json!({
        "mediaType": own_type(&bytes).unwrap_or_else(|| kind.to_owned()),
        "digest": top,
        "size": bytes.len(),
        "annotations": { REF_NAME: name, "io.containerd.image.name": name },
    }))
}

/// Write an image as `docker load` takes it.
///
/// # Errors
///
/// - As [`export_oci`].
///
/// # Source
///
/// moby, `image/spec/spec.md`, "Combined Image JSON + Filesystem Changeset Format".
pub fn export_docker(store: &Store, name: &str, image: &Resolved, out: impl Write) -> Result<(), PullError> {
    let path = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    let layers: Vec<String> = image.layers.iter().map(|layer| path(&layer.digest)).collect();
    let manifest = json!([{ "Config": path(&image.config_digest), "RepoTags": [name], "Layers": layers }]);
    let mut tar = Tar { store, builder: Builder::new(out), seen: BTreeSet::new() };
    tar.bytes("manifest.json", manifest.to_string().as_bytes())?;
    for digest in image.layers.iter().map(|layer| &layer.digest).chain([&image.config_digest]) {
        tar.blob(digest)?;
    }
    tar.finish()
}

/// Read the media type a document gives itself.
fn own_type(bytes: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    value.get("mediaType")?.as_str().map(str::to_owned)
}

/// Tell whether all that a document leads to is in the store.
pub(super) fn is_complete(store: &Store, digest: &Digest, name: &str) -> bool {
    let Ok(bytes) = store.read_document(digest) else { return false };
    match Document::parse(&bytes, name) {
        Ok(Document::Index(entries)) => entries.iter().all(|entry| is_complete(store, &entry.digest, name)),
        Ok(Document::Manifest(manifest)) => blobs(&manifest).all(|digest| store.has(&digest)),
        Err(_) => false,
    }
}

/// List configuration and layers.
fn blobs(manifest: &Manifest) -> impl Iterator<Item = Digest> {
    manifest.layers.iter().chain([&manifest.config]).map(|entry| entry.digest)
}

impl<W: Write> Tar<'_, W> {
    /// Append a document and all it leads to.
    fn tree(&mut self, digest: &Digest, name: &str) -> Result<(), PullError> {
        let bytes = self.store.read_document(digest)?;
        self.blob(digest)?;
        match Document::parse(&bytes, name)? {
            Document::Index(entries) => entries.iter().try_for_each(|entry| self.tree(&entry.digest, name)),
            Document::Manifest(manifest) => blobs(&manifest).try_for_each(|digest| self.blob(&digest)),
        }
    }

    /// Append a blob, once.
    fn blob(&mut self, digest: &Digest) -> Result<(), PullError> {
        if !self.seen.insert(*digest) {
            return Ok(());
        }
        let file = self.store.open_blob(digest)?;
        let path = self.store.blob_path(digest);
        let len = file.metadata().map_err(|cause| PullError::Source { action: "read", path, cause })?.len();
        self.append(&format!("blobs/sha256/{}", digest.hex()), len, file)
    }

    /// Append a small file.
    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), PullError> {
        self.append(name, bytes.len() as u64, bytes)
    }

    fn append(&mut self, name: &str, len: u64, data: impl Read) -> Result<(), PullError> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(len);
        self.builder.append_data(&mut header, name, data).map_err(|cause| failed(name, cause))
    }

    fn finish(self) -> Result<(), PullError> {
        self.builder.into_inner().and_then(|mut out| out.flush()).map_err(|cause| failed("the end", cause))
    }
}

fn failed(what: &str, cause: io::Error) -> PullError {
    PullError::Source { action: "write into the archive", path: PathBuf::from(what), cause }
}
