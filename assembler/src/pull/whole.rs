//! All that an image consists of, for every platform or for some: what a layout of it has to hold.

use linuxkit_yaml::{Reference, RegistryReference};
use serde::{Deserialize, Serialize};

use super::document::{Document, Entry};
use super::error::PullError;
use super::resolve::{Source, name_of};
use crate::digest::Digest;
use crate::platform::Arch;

/// An image with all its blobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// Its name, canonical.
    pub reference: String,
    /// Where missing blobs are fetched; absent if the image was imported whole into the store.
    #[serde(skip)]
    pub origin: Option<Reference>,
    /// Media type of what the name leads to.
    pub media_type: String,
    /// Digest of what the name leads to: an index, or a manifest.
    pub top: Digest,
    /// Every blob with its length in bytes, once each, in LinuxKit's order: of every image the configuration, the layers and
    /// the manifest, and an index after what it names; so `top` comes last.
    pub blobs: Vec<(Digest, u64)>,
}

/// Media types of what has none written into it.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl Source<'_> {
    /// Find an image and all its blobs; afterwards its documents are in the store.
    ///
    /// In: `platforms`, `os/arch` or `os/arch/variant`; entries of an index for others are left out, all are taken if it is
    /// empty. `arch` is the architecture by which a local image is imported.
    ///
    /// # Errors
    ///
    /// - [`PullError`]: the image is nowhere, lacks a platform that is asked for, or is not usable.
    pub fn whole(&self, reference: &Reference, arch: Arch, platforms: &[String]) -> Result<Whole, PullError> {
        let text = name_of(reference);
        let (top, ask) = self.top(reference, arch)?;
        let mut blobs = Vec::new();
        let bytes = self.any_document(&top, &text, ask)?;
        let index = matches!(Document::parse(&bytes, &text)?, Document::Index(_));
        self.gather(&bytes, top, platforms, &text, ask, &mut blobs, 0)?;
        let declared = serde_json::from_slice::<serde_json::Value>(&bytes).ok();
        let declared = declared.and_then(|value| Some(value.get("mediaType")?.as_str()?.to_owned()));
        Ok(Whole {
            reference: text,
            origin: ask.map(|_| reference.clone()),
            media_type: declared.unwrap_or_else(|| if index { INDEX } else { MANIFEST }.to_owned()),
            top,
            blobs,
        })
    }

    /// Take down a document and all that it leads to.
    #[expect(clippy::too_many_arguments, reason = "one walk, whose state is all there is")]
    fn gather(
        &self,
        bytes: &[u8],
        digest: Digest,
        platforms: &[String],
        text: &str,
        ask: Option<&RegistryReference>,
        blobs: &mut Vec<(Digest, u64)>,
        depth: usize,
    ) -> Result<(), PullError> {
        let unusable = |reason: String| PullError::Unusable { reference: text.to_owned(), reason };
        match Document::parse(bytes, text)? {
            Document::Manifest(manifest) => {
                if !self.store().has(&manifest.config.digest) {
                    self.config(&manifest.config, text, ask)?;
                }
                for entry in [&manifest.config].into_iter().chain(&manifest.layers) {
                    note(blobs, entry.digest, entry.size);
                }
            }
            Document::Index(_) if depth >= 2 => return Err(unusable("its index is nested too deeply".to_owned())),
            Document::Index(entries) => {
                for platform in platforms.iter().filter(|_| depth == 0) {
                    if !entries.iter().any(|entry| entry.is_for(platform)) {
                        return Err(unusable(format!("it has no image for `{platform}`")));
                    }
                }
                let wanted = |entry: &&Entry| platforms.is_empty() || platforms.iter().any(|one| entry.is_for(one));
                for entry in entries.iter().filter(wanted) {
                    let bytes = self.any_document(&entry.digest, text, ask)?;
                    self.gather(&bytes, entry.digest, platforms, text, ask, blobs, depth + 1)?;
                }
            }
        }
        note(blobs, digest, bytes.len() as u64);
        Ok(())
    }
}

fn note(blobs: &mut Vec<(Digest, u64)>, digest: Digest, size: u64) {
    if !blobs.iter().any(|(known, _)| *known == digest) {
        blobs.push((digest, size));
    }
}
