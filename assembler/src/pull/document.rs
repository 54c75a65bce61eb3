//! The JSON documents of an image: index, manifest, configuration. Foreign, so read leniently and bounded.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::PullError;
use crate::digest::Digest;
use crate::plan::{Compression, Layer};
use crate::platform::Arch;

/// Most layers an image may have; Docker stops at 127.
const LAYERS_MAX: usize = 500;

/// Media types an image index may have.
///
/// Source: OCI image-spec 1.1, `media-types.md`.
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

/// Media types an image manifest may have.
const MANIFESTS: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];

/// Every media type a registry is asked for.
pub(super) const ACCEPTED: [&str; 4] = [MANIFESTS[0], INDEXES[0], MANIFESTS[1], INDEXES[1]];

/// What a name or digest leads to.
#[derive(Debug)]
pub(super) enum Document {
    /// One image.
    Manifest(Manifest),
    /// Several images, one per platform.
    Index(Vec<Entry>),
}

/// One image: a configuration and layers.
#[derive(Debug)]
pub(super) struct Manifest {
    /// The image configuration.
    pub(super) config: Entry,
    /// The layers, lowest first.
    pub(super) layers: Vec<Entry>,
}

/// A descriptor: what a document says of a blob.
///
/// Source: OCI image-spec 1.1, `descriptor.md`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    /// What kind of blob.
    #[serde(default)]
    pub(super) media_type: String,
    /// Its digest.
    pub(super) digest: Digest,
    /// Its length in bytes.
    pub(super) size: u64,
    /// For which machine, in an index.
    #[serde(default)]
    pub(super) platform: Option<Platform>,
    /// Notes, in an index.
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// The machine an image is for.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Platform {
    /// Operating system, by Go's name.
    #[serde(default)]
    pub(super) os: String,
    /// Processor, by Go's name.
    #[serde(default)]
    pub(super) architecture: String,
    /// Kind of that processor, often absent.
    #[serde(default)]
    pub(super) variant: Option<String>,
}

/// Every form at once: which one it is shows in the fields that are there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    schema_version: u64,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    config: Option<Entry>,
    #[serde(default)]
    layers: Option<Vec<Entry>>,
    #[serde(default)]
    manifests: Option<Vec<Entry>>,
    #[serde(default)]
    fs_layers: Option<IgnoredAny>,
}

/// What is read of an image configuration.
///
/// Source: OCI image-spec 1.1, `config.md`.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    /// Processor, by Go's name.
    #[serde(default)]
    pub(super) architecture: String,
    /// Operating system, by Go's name.
    #[serde(default)]
    pub(super) os: String,
    /// The uncompressed layers.
    #[serde(default)]
    rootfs: RootFs,
}

#[derive(Debug, Default, Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<Digest>,
}

impl Document {
    /// Read a manifest or an index.
    pub(super) fn parse(bytes: &[u8], reference: &str) -> Result<Self, PullError> {
        let raw: Raw = parse(bytes, reference, "the manifest")?;
        let unusable = |reason: String| Err(PullError::Unusable { reference: reference.to_owned(), reason });
        if raw.schema_version == 1 || raw.fs_layers.is_some() {
            return unusable(
                "its manifest is of Docker's schema 1, which registries stopped serving; push the image again".into(),
            );
        }
        if let Some(kind) = raw.media_type.as_deref().filter(|kind| !ACCEPTED.contains(kind)) {
            return unusable(format!("its manifest is of type `{kind}`"));
        }
        match (raw.manifests, raw.config, raw.layers) {
            (Some(entries), None, None) => Ok(Self::Index(entries)),
            (None, Some(_), Some(layers)) if layers.len() > LAYERS_MAX => {
                unusable(format!("it has {} layers; {LAYERS_MAX} are taken", layers.len()))
            }
            (None, Some(config), Some(layers)) => Ok(Self::Manifest(Manifest { config, layers })),
            _ => unusable("its manifest is neither an image's nor an index".into()),
        }
    }
}

impl Entry {
    /// Tell whether an entry of an index leads to another index.
    fn is_index(&self) -> bool {
        INDEXES.contains(&self.media_type.as_str())
    }

    /// Tell whether an entry of an index is an image for `arch`. The variant is ignored, as LinuxKit does; an entry without
    /// a platform says nothing and is passed over; attestations carry the platform `unknown/unknown`.
    fn suits(&self, arch: Arch) -> bool {
        self.platform.as_ref().is_some_and(|platform| platform.os == "linux" && platform.architecture == arch.name())
    }

    /// Tell whether an entry is for a platform, `os/arch` or `os/arch/variant`; without a variant, any is meant.
    pub(super) fn is_for(&self, platform: &str) -> bool {
        let Some(own) = &self.platform else { return false };
        let mut words = platform.split('/');
        let (os, architecture, variant) = (words.next(), words.next(), words.next());
        os == Some(&own.os)
            && architecture == Some(&own.architecture)
            && variant.is_none_or(|variant| own.variant.as_deref() == Some(variant))
    }

    /// Write the platform as `os/architecture`, unless it is an attestation.
    fn platform_name(&self) -> Option<String> {
        let platform = self.platform.as_ref()?;
        let known = platform.os != "unknown" && !platform.architecture.is_empty();
        known.then(|| format!("{}/{}", platform.os, platform.architecture))
    }
}

/// Choose the entry of an index that is for `arch`.
fn choose<'a>(entries: &'a [Entry], arch: Arch, reference: &str) -> Result<&'a Entry, PullError> {
    entries.iter().find(|entry| entry.suits(arch)).ok_or_else(|| {
        let mut have: Vec<String> = entries.iter().filter_map(Entry::platform_name).collect();
        have.sort();
        have.dedup();
        PullError::Platform { reference: reference.to_owned(), want: arch, have }
    })
}

/// Choose where to go from an index: to the image for `arch`, or, if there is but one entry, to that.
pub(super) fn choose_next<'a>(entries: &'a [Entry], arch: Arch, reference: &str) -> Result<&'a Entry, PullError> {
    match entries {
        [only] if only.is_index() || only.platform.is_none() => Ok(only),
        _ => choose(entries, arch, reference),
    }
}

/// Read the digests of the uncompressed layers off an image configuration.
pub(super) fn diff_ids(bytes: &[u8], reference: &str) -> Result<Vec<Digest>, PullError> {
    parse::<Config>(bytes, reference, "the image configuration").map(|config| config.rootfs.diff_ids)
}

/// Read an image configuration and check that it is for `arch`; one that does not say for which machine it is, is taken.
pub(super) fn config(bytes: &[u8], arch: Arch, reference: &str) -> Result<Config, PullError> {
    let config: Config = parse(bytes, reference, "the image configuration")?;
    let fits = |said: &str, wanted: &str| said.is_empty() || said == wanted;
    if fits(&config.architecture, arch.name()) && fits(&config.os, "linux") {
        return Ok(config);
    }
    let have = vec![format!("{}/{}", config.os, config.architecture)];
    Err(PullError::Platform { reference: reference.to_owned(), want: arch, have })
}

/// Put what manifest and configuration say of the layers together.
pub(super) fn layers(manifest: &Manifest, config: &Config, reference: &str) -> Result<Vec<Layer>, PullError> {
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        let reason =
            format!("its manifest lists {} layers and its configuration {}", manifest.layers.len(), diff_ids.len());
        return Err(PullError::Unusable { reference: reference.to_owned(), reason });
    }
    let layer = |(entry, diff_id): (&Entry, &Digest)| {
        let compression = compression(entry, reference)?;
        Ok(Layer { digest: entry.digest, size: entry.size, compression, diff_id: *diff_id })
    };
    manifest.layers.iter().zip(diff_ids).map(layer).collect()
}

/// Read a layer's compression off its media type.
fn compression(entry: &Entry, reference: &str) -> Result<Compression, PullError> {
    match entry.media_type.as_str() {
        "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => {
            Ok(Compression::None)
        }
        "application/vnd.oci.image.layer.v1.tar+gzip" | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            Ok(Compression::Gzip)
        }
        "application/vnd.oci.image.layer.v1.tar+zstd" | "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
            Ok(Compression::Zstd)
        }
        other => {
            let foreign = other.contains("foreign") || other.contains("nondistributable");
            let why = if foreign {
                "is not to be distributed with the image"
            } else {
                "is of a type that cannot be unpacked"
            };
            let reason = format!("layer {} {why} (`{other}`)", entry.digest);
            Err(PullError::Unusable { reference: reference.to_owned(), reason })
        }
    }
}

/// Read JSON, naming the document in the error.
pub(super) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], reference: &str, what: &str) -> Result<T, PullError> {
    serde_json::from_slice(bytes).map_err(|cause| PullError::Malformed {
        reference: reference.to_owned(),
        what: what.to_owned(),
        cause: cause.into(),
    })
}

#[cfg(test)]
mod tests;
