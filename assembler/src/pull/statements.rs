//! What was attested about an image: the statements that its index keeps beside it.
//!
//! Source: BuildKit, `docs/attestations/attestation-storage.md`; in-toto Attestation Framework 1.0, "Statement".

use std::sync::atomic::AtomicBool;

use linuxkit_yaml::Reference;

use super::blobs::{Wanted, fetch};
use super::document::{Document, Entry};
use super::error::PullError;
use super::progress::Silent;
use super::resolve::Source;
use crate::digest::Digest;
use crate::plan::Image;

/// Annotation of an attestation in an index that says what it is.
const KIND: (&str, &str) = ("vnd.docker.reference.type", "attestation-manifest");

/// Annotation of an attestation in an index that names the image's manifest.
const SUBJECT: &str = "vnd.docker.reference.digest";

/// Annotation of a layer that says what its statement is about.
const SPDX: (&str, &str) = ("in-toto.io/predicate-type", "https://spdx.dev/Document");

/// Media type of a layer that is a statement.
const STATEMENT: &str = "application/vnd.in-toto+json";

impl Source<'_> {
    /// Find the SPDX documents of an image, as in-toto statements; all of them are in the store afterwards.
    ///
    /// In: `manifest`, the digest of the image's manifest for one architecture. An image without an index has none.
    ///
    /// # Errors
    ///
    /// - [`PullError`]: the index names an attestation that cannot be had.
    pub fn statements(&self, image: &Image, manifest: &Digest) -> Result<Vec<Digest>, PullError> {
        let Document::Index(entries) = self.attested(image, &image.index)? else { return Ok(Vec::new()) };
        let about = manifest.to_string();
        let found = entries.iter().find(|entry| entry.says(KIND) && entry.says((SUBJECT, &about)));
        let Some(found) = found else { return Ok(Vec::new()) };
        let Document::Manifest(attestation) = self.attested(image, &found.digest)? else { return Ok(Vec::new()) };
        let layers = attestation.layers.into_iter().filter(|layer| layer.media_type == STATEMENT && layer.says(SPDX));
        layers
            .map(|layer| {
                self.bring(image, &layer)?;
                Ok(layer.digest)
            })
            .collect()
    }

    /// Read a document of the image's index, from the store or from where the image came.
    fn attested(&self, image: &Image, digest: &Digest) -> Result<Document, PullError> {
        let bytes = self.any_document(digest, &image.reference, self.asked(image)).map_err(|error| match error {
            PullError::Offline { .. } => unattested(image, digest),
            other => other,
        })?;
        Document::parse(&bytes, &image.reference)
    }

    /// Bring a statement into the store.
    fn bring(&self, image: &Image, layer: &Entry) -> Result<(), PullError> {
        if self.store().has(&layer.digest) {
            return Ok(());
        }
        let name = self.asked(image).ok_or_else(|| unattested(image, &layer.digest))?;
        let wanted = Wanted { size: layer.size, name: name.clone() };
        fetch(self.registries(), self.store(), &layer.digest, &wanted, &Silent, &AtomicBool::new(false))
    }

    /// Whom to ask for what the store lacks of an image, if anyone may be asked.
    fn asked<'i>(&self, image: &'i Image) -> Option<&'i linuxkit_yaml::RegistryReference> {
        match &image.origin {
            Some(Reference::Registry(name)) if self.may_ask() => Some(name),
            _ => None,
        }
    }
}

fn unattested(image: &Image, digest: &Digest) -> PullError {
    let reason = format!(
        "its index names an attestation, {digest}, that is not in the store; build once with the network, or with --no-sbom"
    );
    PullError::Unusable { reference: image.reference.clone(), reason }
}

impl Entry {
    /// Tell whether a descriptor has an annotation with this value.
    fn says(&self, (key, value): (&str, &str)) -> bool {
        self.annotations.as_ref().and_then(|notes| notes.get(key)).is_some_and(|said| said == value)
    }
}
