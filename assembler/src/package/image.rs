//! The documents around a layer: configuration and manifest per architecture, one index over them.
//!
//! Source: OCI image-spec 1.1, `config.md`, `manifest.md`, `image-index.md`.

use std::collections::BTreeMap;
use std::str::FromStr;

use oci_spec::image::{Arch as OciArch, Descriptor, DescriptorBuilder, MediaType, Os, PlatformBuilder, Sha256Digest};
use serde_json::{Map, Value, json};

use super::error::PackageError;
use super::layer::Layer;
use super::recipe::Recipe;
use crate::digest::Digest;
use crate::platform::Arch;
use crate::store::Store;

/// Label that says how a container of the image runs.
const CONFIG_LABEL: &str = "org.mobyproject.config";

/// Write configuration and manifest of one architecture. Out: the manifest's descriptor, and the configuration's digest.
///
/// In: `time`, that of the image, in seconds since 1970.
///
/// # Errors
///
/// - [`PackageError::Store`], [`PackageError::Document`].
pub fn manifest(
    store: &Store,
    recipe: &Recipe,
    arch: Arch,
    layer: &Layer,
    time: u64,
) -> Result<(Descriptor, Digest), PackageError> {
    let config = configuration(recipe, arch, layer, time).to_string();
    let config_digest = store.write_blob(config.as_bytes())?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::ImageManifest.to_string(),
        "config": document(&MediaType::ImageConfig, &config_digest, config.len()),
        "layers": [{
            "mediaType": MediaType::ImageLayerGzip.to_string(),
            "digest": layer.digest.to_string(),
            "size": layer.size,
        }],
    })
    .to_string();
    let digest = store.write_blob(manifest.as_bytes())?;
    Ok((descriptor(MediaType::ImageManifest, &digest, manifest.len(), Some(arch))?, config_digest))
}

/// Write the index over the manifests of all architectures, which are sorted by architecture. Out: its descriptor.
///
/// # Errors
///
/// - [`PackageError::Store`], [`PackageError::Document`].
pub fn index(store: &Store, manifests: &[Descriptor]) -> Result<Descriptor, PackageError> {
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::ImageIndex.to_string(),
        "manifests": manifests,
    })
    .to_string();
    let digest = store.write_blob(index.as_bytes())?;
    descriptor(MediaType::ImageIndex, &digest, index.len(), None)
}

/// Build the image configuration. Keys are sorted, absent ones left out.
fn configuration(recipe: &Recipe, arch: Arch, layer: &Layer, time: u64) -> Value {
    let created = rfc3339(time);
    let image = recipe.rootfs.as_ref().map(|rootfs| rootfs.image.clone()).unwrap_or_default();
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| {
        if !value.is_null() {
            config.insert(key.to_owned(), value);
        }
    };
    set("Entrypoint", json!(image.entrypoint));
    set("Cmd", json!(image.cmd));
    set("Env", json!(image.env));
    set("WorkingDir", json!(image.workdir));
    set("User", json!(image.user));
    set("StopSignal", json!(image.stop_signal));
    set("Labels", Some(labels(recipe)).filter(|labels| !labels.is_empty()).map_or(Value::Null, |labels| json!(labels)));
    json!({
        "architecture": arch.name(),
        "os": "linux",
        "created": created,
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": [layer.diff_id.to_string()] },
        "history": [{ "created": created, "created_by": "hullkit pkg build" }],
    })
}

/// Build the labels.
pub(super) fn labels(recipe: &Recipe) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    if let Some(config) = &recipe.config {
        labels.insert(CONFIG_LABEL.to_owned(), json!(config).to_string());
    }
    if let Some(source) = &recipe.gitrepo {
        labels.insert("org.opencontainers.image.source".to_owned(), source.clone());
    }
    labels
}

fn document(media_type: &MediaType, digest: &Digest, len: usize) -> Value {
    json!({ "mediaType": media_type.to_string(), "digest": digest.to_string(), "size": len })
}

/// Point at a document.
///
/// # Errors
///
/// - [`PackageError::Document`].
pub(super) fn descriptor(
    media_type: MediaType,
    digest: &Digest,
    len: usize,
    arch: Option<Arch>,
) -> Result<Descriptor, PackageError> {
    let refuse = |cause| PackageError::Document { digest: *digest, cause };
    let mut builder = DescriptorBuilder::default()
        .media_type(media_type)
        .digest(Sha256Digest::from_str(&digest.hex()).map_err(refuse)?)
        .size(len as u64);
    if let Some(arch) = arch {
        let name = match arch {
            Arch::Amd64 => OciArch::Amd64,
            Arch::Arm64 => OciArch::ARM64,
        };
        builder =
            builder.platform(PlatformBuilder::default().os(Os::Linux).architecture(name).build().map_err(refuse)?);
    }
    builder.build().map_err(refuse)
}

/// Write a time as RFC 3339 has it, in UTC.
///
/// Source: the calendar arithmetic is Howard Hinnant's `civil_from_days`, for years from 1970 on.
fn rfc3339(time: u64) -> String {
    let (days, second) = (time / 86_400, time % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_date_1() {
        for (time, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(time), want);
        }
    }
}
