//! From a name to digests: the store first, then the registry; folders and archives by their content.

use std::sync::atomic::AtomicBool;

use linuxkit_yaml::{Reference, RegistryReference};
use oci_spec::image::{Descriptor, MediaType, Sha256Digest};

use super::blobs::{Wanted, fetch};
use super::document::{Document, Entry, Manifest, choose_next, config, layers};
use super::error::PullError;
use super::local;
use super::progress::Silent;
use super::registry::Registries;
use super::whole::Whole;
use crate::digest::Digest;
use crate::plan::{Image, Layer, Names};
use crate::platform::Arch;
use crate::store::{JSON_MAX, Store, StoreError};

/// When a registry is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Only for what the store does not have.
    #[default]
    Missing,
    /// Always, for what a tag means; a blob that is here is not fetched again.
    Always,
    /// Never: no network.
    Never,
}

/// Turns names into digests.
#[derive(Debug)]
pub struct Source<'a> {
    store: &'a Store,
    registries: &'a Registries,
    policy: Policy,
}

/// One image for one architecture, its small documents in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Digest of the manifest for the architecture.
    pub digest: Digest,
    /// Digest of what the name leads to: the index, or the manifest itself.
    pub top: Digest,
    /// Digest of the image configuration.
    pub config_digest: Digest,
    /// The image configuration, JSON.
    pub config: Vec<u8>,
    /// Layers, lowest first.
    pub layers: Vec<Layer>,
    /// Where missing layers come from; absent if they were imported.
    pub origin: Option<Reference>,
}

/// Give the name under which the store keeps an image: canonical, with the tag that is meant.
#[must_use]
pub fn name_of(reference: &Reference) -> String {
    match reference {
        Reference::Registry(name) if name.tag.is_none() && name.digest.is_none() => format!("{name}:latest"),
        other => other.to_string(),
    }
}

/// Write a name as the store does, if it is one.
pub(super) fn canonical(name: &str) -> String {
    name.parse().map_or_else(|_| name.to_owned(), |reference| name_of(&reference))
}

impl<'a> Source<'a> {
    /// Look in this store, and ask these registries.
    #[must_use]
    pub fn new(store: &'a Store, registries: &'a Registries) -> Self {
        Self { store, registries, policy: Policy::default() }
    }

    /// Decide when registries are asked.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Find an image for `arch`; afterwards its manifest and configuration are in the store, under its name.
    ///
    /// # Errors
    ///
    /// - [`PullError`]: the image is nowhere, not for `arch`, or not usable.
    pub fn resolve(&self, reference: &Reference, arch: Arch) -> Result<Resolved, PullError> {
        let Reference::Registry(name) = reference else {
            return self.import(reference, arch);
        };
        let text = name_of(reference);
        let known =
            if self.policy == Policy::Always && name.digest.is_none() { None } else { self.known(name, &text)? };
        let ask = (self.policy != Policy::Never).then_some(name);
        let found = match known {
            Some(top) => match self.walk(top, arch, &text, ask) {
                // The store knows the name but not all of its documents, and the registry dropped them: ask anew.
                Err(PullError::Absent { .. } | PullError::AbsentBlob { .. }) if name.digest.is_none() => None,
                other => Some(other?),
            },
            None => None,
        };
        let mut found = match (found, ask) {
            (Some(found), _) => found,
            (None, Some(name)) => self.ask(name, arch, &text)?,
            (None, None) => return Err(PullError::Offline { reference: text }),
        };
        found.origin = Some(reference.clone());
        Ok(found)
    }

    /// Find what a name leads to, whatever the architecture. Out: its digest, and whom to ask for the rest.
    ///
    /// A name that the store does not know, or that is to be asked for anew, is asked for and kept.
    pub(super) fn top<'r>(
        &self,
        reference: &'r Reference,
        arch: Arch,
    ) -> Result<(Digest, Option<&'r RegistryReference>), PullError> {
        let Reference::Registry(name) = reference else {
            // A local image is copied for the machine it is imported for; the other architecture may be there or not.
            let other = Arch::ALL.into_iter().find(|other| *other != arch).unwrap_or(arch);
            let second = self.import(reference, other);
            return Ok((self.import(reference, arch).or(second)?.top, None));
        };
        let text = name_of(reference);
        let known =
            if self.policy == Policy::Always && name.digest.is_none() { None } else { self.known(name, &text)? };
        let ask = (self.policy != Policy::Never).then_some(name);
        match (known, ask) {
            (Some(top), _) => Ok((top, ask)),
            (None, None) => Err(PullError::Offline { reference: text }),
            (None, Some(_)) => {
                let bytes = self.registries.manifest(name, wanted_digest(name, &text)?.as_ref())?;
                let document = Document::parse(&bytes, &text)?;
                let top = self.store.write_blob(&bytes)?;
                self.store.tag(&text, descriptor(&top, bytes.len() as u64, &document))?;
                Ok((top, ask))
            }
        }
    }

    /// Give a document of the store, or fetch it into the store.
    pub(super) fn any_document(
        &self,
        digest: &Digest,
        text: &str,
        ask: Option<&RegistryReference>,
    ) -> Result<Vec<u8>, PullError> {
        match (self.document(digest, text, ask.is_some())?, ask) {
            (Some(bytes), _) => Ok(bytes),
            (None, Some(name)) => {
                let bytes = self.registries.manifest(name, Some(digest))?;
                self.store.write_blob(&bytes)?;
                Ok(bytes)
            }
            (None, None) => Err(PullError::Offline { reference: text.to_owned() }),
        }
    }

    pub(super) fn store(&self) -> &Store {
        self.store
    }

    pub(super) fn registries(&self) -> &Registries {
        self.registries
    }

    /// Tell whether a registry may be asked for what the store lacks.
    pub(super) fn may_ask(&self) -> bool {
        self.policy != Policy::Never
    }

    /// Bring a local image into the store, under its name.
    fn import(&self, reference: &Reference, arch: Arch) -> Result<Resolved, PullError> {
        let text = reference.to_string();
        let whole = |top| {
            let found = self.walk(top, arch, &text, None);
            found.is_ok_and(|found| found.layers.iter().all(|layer| self.store.has(&layer.digest)))
        };
        let top = local::import(self.store, reference, arch, whole)?;
        let found = self.walk(top, arch, &text, None)?;
        let named = self.store.find(&text)?.map(|descriptor| descriptor.digest().to_string());
        if named != Some(top.to_string()) {
            let bytes = self.store.read_document(&top)?;
            self.store.tag(&text, descriptor(&top, bytes.len() as u64, &Document::parse(&bytes, &text)?))?;
        }
        Ok(found)
    }

    /// Look a name up in the store. A digest needs no name.
    fn known(&self, name: &RegistryReference, text: &str) -> Result<Option<Digest>, PullError> {
        if let Some(digest) = wanted_digest(name, text)? {
            return Ok(self.store.has(&digest).then_some(digest));
        }
        let Some(descriptor) = self.store.find(text)? else { return Ok(None) };
        let digest = descriptor.digest().to_string().parse::<Digest>().ok();
        Ok(digest.filter(|digest| self.store.has(digest)))
    }

    /// Ask the registry what a name means, and give it that meaning in the store once all of it is here.
    fn ask(&self, name: &RegistryReference, arch: Arch, text: &str) -> Result<Resolved, PullError> {
        let want = wanted_digest(name, text)?;
        let bytes = self.registries.manifest(name, want.as_ref())?;
        let document = Document::parse(&bytes, text)?;
        let top = self.store.write_blob(&bytes)?;
        let found = self.walk(top, arch, text, Some(name))?;
        self.store.tag(text, descriptor(&top, bytes.len() as u64, &document))?;
        Ok(found)
    }

    /// Follow the documents from `top` to the configuration, fetching what is missing if a registry may be asked.
    fn walk(
        &self,
        top: Digest,
        arch: Arch,
        text: &str,
        ask: Option<&RegistryReference>,
    ) -> Result<Resolved, PullError> {
        let (digest, manifest) = self.manifest(top, arch, text, ask)?;
        let config_digest = manifest.config.digest;
        let bytes = match self.document(&config_digest, text, ask.is_some())? {
            Some(bytes) => bytes,
            None => self.config(&manifest.config, text, ask)?,
        };
        let config = config(&bytes, arch, text)?;
        let layers = layers(&manifest, &config, text)?;
        Ok(Resolved { digest, top, config_digest, config: bytes, layers, origin: None })
    }

    /// Go from a name's digest to the manifest for `arch`. An index may hold one more index, no deeper.
    fn manifest(
        &self,
        top: Digest,
        arch: Arch,
        text: &str,
        ask: Option<&RegistryReference>,
    ) -> Result<(Digest, Manifest), PullError> {
        let mut digest = top;
        for _ in 0..3 {
            let bytes = self.any_document(&digest, text, ask)?;
            match Document::parse(&bytes, text)? {
                Document::Manifest(manifest) => return Ok((digest, manifest)),
                Document::Index(entries) => digest = choose_next(&entries, arch, text)?.digest,
            }
        }
        Err(PullError::Unusable { reference: text.to_owned(), reason: "its index is nested too deeply".to_owned() })
    }

    /// Fetch an image configuration.
    pub(super) fn config(
        &self,
        entry: &Entry,
        text: &str,
        ask: Option<&RegistryReference>,
    ) -> Result<Vec<u8>, PullError> {
        let Some(name) = ask else { return Err(PullError::Offline { reference: text.to_owned() }) };
        if entry.size > JSON_MAX {
            return Err(StoreError::TooLong { digest: entry.digest, len: entry.size }.into());
        }
        let wanted = Wanted { size: entry.size, name: name.clone() };
        fetch(self.registries, self.store, &entry.digest, &wanted, &Silent, &AtomicBool::new(false))?;
        Ok(self.store.read_document(&entry.digest)?)
    }

    /// Read a document of the store, if it is there. One that was altered on disk counts as absent if it can be fetched.
    fn document(&self, digest: &Digest, text: &str, may_fetch: bool) -> Result<Option<Vec<u8>>, PullError> {
        match self.store.read_document(digest) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::Missing(_)) => Ok(None),
            Err(StoreError::Digest { .. }) if may_fetch => Ok(None),
            Err(StoreError::Digest { want, got, len }) => {
                Err(PullError::Digest { reference: text.to_owned(), want, got, len })
            }
            Err(other) => Err(other.into()),
        }
    }
}

impl Names for Source<'_> {
    fn resolve(&self, reference: &Reference, arch: Arch) -> Result<Resolved, PullError> {
        Source::resolve(self, reference, arch)
    }

    fn whole(&self, reference: &Reference, arch: Arch, platforms: &[String]) -> Result<Whole, PullError> {
        Source::whole(self, reference, arch, platforms)
    }

    fn statements(&self, image: &Image, manifest: &Digest) -> Result<Vec<Digest>, PullError> {
        Source::statements(self, image, manifest)
    }
}

/// Read the digest a name asks for, if it has one.
fn wanted_digest(name: &RegistryReference, text: &str) -> Result<Option<Digest>, PullError> {
    let Some(digest) = &name.digest else { return Ok(None) };
    digest.to_string().parse().map(Some).map_err(|_| PullError::Unusable {
        reference: text.to_owned(),
        reason: "only sha256 digests are stored".to_owned(),
    })
}

/// Describe what a name leads to.
pub(super) fn descriptor(digest: &Digest, size: u64, document: &Document) -> Descriptor {
    let kind = match document {
        Document::Manifest(_) => MediaType::ImageManifest,
        Document::Index(_) => MediaType::ImageIndex,
    };
    Descriptor::new(kind, size, oci_digest(digest))
}

/// Say a digest in the words of the specification's types.
fn oci_digest(digest: &Digest) -> Sha256Digest {
    digest.hex().parse().expect("64 hex digits are a SHA-256 digest")
}
