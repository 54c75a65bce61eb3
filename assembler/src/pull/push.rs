//! Send an image of the store to a registry.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::time::Duration;

use linuxkit_yaml::RegistryReference;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::document::{Document, Entry};
use super::endpoint::Endpoint;
use super::error::PullError;
use super::failure::{Asked, Failure};
use super::progress::Progress;
use super::registry::{Connection, Registries};
use crate::digest::Digest;
use crate::store::Store;

/// Bytes read, and sent, at a time.
const PIECE: usize = 256 << 10;

/// How long a registry may think about what it was sent, or take nothing.
const PATIENCE: Duration = Duration::from_secs(120);

/// Send an image and all it refers to: blobs first, then the manifests of an index, then what the name will lead to.
///
/// In: `digest`, an index or manifest in the store. Blobs that the registry has are not sent again.
///
/// # Errors
///
/// - [`PullError`]: the registry refused, or something the image refers to is not in the store.
pub fn push(
    registries: &Registries,
    store: &Store,
    name: &RegistryReference,
    digest: &Digest,
    progress: &dyn Progress,
) -> Result<(), PullError> {
    let text = name.to_string();
    let bytes = store.read_document(digest)?;
    let mut sent = BTreeSet::new();
    match Document::parse(&bytes, &text)? {
        Document::Manifest(manifest) => {
            for entry in manifest.layers.iter().chain([&manifest.config]) {
                push_blob(registries, store, name, entry, progress, &mut sent)?;
            }
        }
        Document::Index(entries) => {
            for entry in &entries {
                push_child(registries, store, name, entry, progress, &mut sent)?;
            }
        }
    }
    let tag = name.tag_or_latest();
    push_manifest(registries, name, digest, &bytes, tag)
}

/// Send one image of an index.
fn push_child(
    registries: &Registries,
    store: &Store,
    name: &RegistryReference,
    entry: &Entry,
    progress: &dyn Progress,
    sent: &mut BTreeSet<Digest>,
) -> Result<(), PullError> {
    let bytes = store.read_document(&entry.digest)?;
    let Document::Manifest(manifest) = Document::parse(&bytes, &name.to_string())? else {
        let reason = "its index holds another index".to_owned();
        return Err(PullError::Unusable { reference: name.to_string(), reason });
    };
    for blob in manifest.layers.iter().chain([&manifest.config]) {
        push_blob(registries, store, name, blob, progress, sent)?;
    }
    push_manifest(registries, name, &entry.digest, &bytes, None)
}

/// Send a manifest or index, under a tag or under its digest alone.
fn push_manifest(
    registries: &Registries,
    name: &RegistryReference,
    digest: &Digest,
    bytes: &[u8],
    tag: Option<&str>,
) -> Result<(), PullError> {
    let reference = name.to_string();
    let asked = Asked { reference: &reference, blob: None };
    let kind = media_type(bytes, &reference)?;
    registries.anywhere(name, true, async |endpoint, connection| {
        let image = match tag {
            Some(tag) => endpoint.by_tag(name, tag),
            // A digest in the tag's place gives the same address; the library panics at a reference without a tag if the
            // registry leaves a header out.
            None => endpoint.by_tag(name, &digest.to_string()),
        };
        let Ok(kind) = kind.parse() else {
            return Err(Failure::last(PullError::Setup(format!("media type `{kind}` cannot be sent").into())));
        };
        let answer = connection.client.push_manifest_raw(&image, bytes.to_vec(), kind).await;
        answer.map(|_| ()).map_err(|error| asked.failure(endpoint, &connection.auth, error))
    })
}

/// Read a document's own media type; one without says in its fields which it is.
fn media_type(bytes: &[u8], reference: &str) -> Result<String, PullError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
    }
    let typed: Typed = super::document::parse(bytes, reference, "the manifest")?;
    Ok(typed.media_type.unwrap_or_else(|| match Document::parse(bytes, reference) {
        Ok(Document::Index(_)) => "application/vnd.oci.image.index.v1+json".to_owned(),
        _ => "application/vnd.oci.image.manifest.v1+json".to_owned(),
    }))
}

/// Send one blob, unless the registry has it.
fn push_blob(
    registries: &Registries,
    store: &Store,
    name: &RegistryReference,
    entry: &Entry,
    progress: &dyn Progress,
    sent: &mut BTreeSet<Digest>,
) -> Result<(), PullError> {
    if !sent.insert(entry.digest) {
        return Ok(());
    }
    let reference = name.to_string();
    let asked = Asked { reference: &reference, blob: Some(&entry.digest) };
    registries.anywhere(name, true, async |endpoint, connection| {
        let image = endpoint.by_digest(name, &entry.digest.to_string());
        let failed = |error| asked.failure(endpoint, &connection.auth, error);
        if connection.client.blob_exists(&image, &entry.digest.to_string()).await.map_err(failed)? {
            return Ok(());
        }
        let file = store.open_blob(&entry.digest).map_err(|error| Failure::last(error.into()))?;
        progress.start(&entry.digest, &reference, entry.size);
        upload(file, name, entry, endpoint, connection, asked, progress).await?;
        progress.done(&entry.digest);
        Ok(())
    })
}

/// Stream a file up, watching that it moves.
async fn upload(
    file: File,
    name: &RegistryReference,
    entry: &Entry,
    endpoint: &Endpoint,
    connection: &Connection,
    asked: Asked<'_>,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let passed = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&passed);
    let pieces = futures_util::stream::try_unfold(file, move |mut file| {
        let counter = Arc::clone(&counter);
        async move {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece)?;
            piece.truncate(read);
            counter.fetch_add(read as u64, Ordering::Relaxed);
            Ok((read > 0).then(|| (piece.into(), file)))
        }
    });
    let image = endpoint.by_digest(name, &entry.digest.to_string());
    let digest = entry.digest.to_string();
    let mut sending = std::pin::pin!(connection.client.push_blob_stream(&image, pieces, &digest, Some(entry.size)));
    let (mut before, mut still) = (0, Duration::ZERO);
    let tick = Duration::from_millis(250);
    loop {
        tokio::select! {
            answer = &mut sending => {
                return answer.map(|_| ()).map_err(|error| asked.failure(endpoint, &connection.auth, error));
            }
            () = tokio::time::sleep(tick) => {
                let now = passed.load(Ordering::Relaxed);
                progress.at(&entry.digest, now);
                still = if now == before { still + tick } else { Duration::ZERO };
                before = now;
                if still >= PATIENCE {
                    let (reference, registry) = (asked.reference.to_owned(), endpoint.host.clone());
                    return Err(Failure::passing(PullError::Timeout { reference, registry }));
                }
            }
        }
    }
}
