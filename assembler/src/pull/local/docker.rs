//! What `docker save` writes: a tar with `manifest.json`, in the old form (a folder per layer) and the new one (an image
//! layout beside it). Both name their files in `manifest.json`, so one reader does for both.
//!
//! Source: moby, `image/spec/spec.md`, "Combined Image JSON + Filesystem Changeset Format".

use std::io::{Cursor, Read};

use serde::Deserialize;

use super::files::{Files, lacks};
use super::synthesis::{LayerBlob, manifest};
use crate::digest::Digest;
use crate::plan::Compression;
use crate::pull::document::{diff_ids, parse};
use crate::pull::error::PullError;
use crate::pull::resolve::canonical;
use crate::store::Store;

/// One image of the archive.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Vec<String>,
}

/// Copy one image into the store, under a manifest made for it. Out: that manifest's digest; equal archives give equal
/// manifests.
pub(in crate::pull) fn import(
    store: &Store,
    files: &Files,
    tag: Option<&str>,
    reference: &str,
) -> Result<Digest, PullError> {
    let bytes = files.document("manifest.json", reference)?.ok_or_else(|| lacks("manifest.json", reference))?;
    let images: Vec<Saved> = parse(&bytes, reference, "`manifest.json`")?;
    let saved = choose(&images, tag, reference)?;
    let config = files.document(&saved.config, reference)?.ok_or_else(|| lacks(&saved.config, reference))?;
    let diff_ids = diff_ids(&config, reference)?;
    if diff_ids.len() != saved.layers.len() {
        let reason = format!("it has {} layers and its configuration lists {}", saved.layers.len(), diff_ids.len());
        return Err(PullError::Unusable { reference: reference.to_owned(), reason });
    }
    let mut layers = Vec::new();
    for (name, diff_id) in saved.layers.iter().zip(&diff_ids) {
        layers.push(layer(store, files, name, diff_id, reference)?);
    }
    let config_digest = store.write_blob(&config)?;
    Ok(store.write_blob(&manifest(&config_digest, config.len() as u64, &layers))?)
}

/// Choose the image that is asked for: by its whole name, or by the part after the colon.
fn choose<'s>(images: &'s [Saved], tag: Option<&str>, reference: &str) -> Result<&'s Saved, PullError> {
    let unusable = |reason| Err(PullError::Unusable { reference: reference.to_owned(), reason });
    let names: Vec<&str> =
        images.iter().flat_map(|image| image.repo_tags.iter().flatten()).map(String::as_str).collect();
    let fits = |name: &str, tag: &str| {
        canonical(name) == canonical(tag) || name.rsplit_once(':').is_some_and(|(_, last)| last == tag)
    };
    let mut found = images.iter().filter(|image| match tag {
        Some(tag) => image.repo_tags.iter().flatten().any(|name| fits(name, tag)),
        None => true,
    });
    match (found.next(), found.next(), tag) {
        (Some(one), None, _) => Ok(one),
        (None, _, None) => unusable("it holds no image".to_owned()),
        (None, _, Some(tag)) => unusable(format!("it has no image `{tag}`; it has {}", names.join(", "))),
        (Some(_), Some(_), _) => {
            unusable(format!("it holds several images; add one of {} after a colon", names.join(", ")))
        }
    }
}

/// Copy one layer, checking it against the configuration if it is not compressed.
fn layer(store: &Store, files: &Files, name: &str, diff_id: &Digest, reference: &str) -> Result<LayerBlob, PullError> {
    let Some((mut reader, size)) = files.open(name)? else { return Err(lacks(name, reference)) };
    let mut start = Vec::new();
    let trouble = |cause| PullError::Source { action: "read", path: name.into(), cause };
    reader.by_ref().take(4).read_to_end(&mut start).map_err(trouble)?;
    let compression = match start.as_slice() {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
        _ => Compression::None,
    };
    let want = (compression == Compression::None).then_some(diff_id);
    if let Some(known) = want.filter(|want| store.has(want)) {
        return Ok(LayerBlob { digest: *known, size, compression });
    }
    let (digest, copied) = files.copy(store, Cursor::new(start).chain(reader), size, want, reference)?;
    if copied != size {
        return Err(PullError::Length { reference: reference.to_owned(), digest, want: size, got: copied });
    }
    Ok(LayerBlob { digest, size, compression })
}
