//! Images out of the store, as an OCI image layout in a folder or in one file.
//!
//! Source: OCI image-spec 1.1, `image-layout.md`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::Image;
use super::error::{PackageError, io_error};
use crate::digest::Digest;
use crate::store::{REF_NAME, Store};

/// Where images are written besides the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `oci:DIR`, an image layout; images of it with other names stay.
    Folder(PathBuf),
    /// `oci-archive:FILE`, a tar of an image layout.
    Archive(PathBuf),
}

impl FromStr for Target {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("oci", path)) if !path.is_empty() => Ok(Self::Folder(path.into())),
            Some(("oci-archive", path)) if !path.is_empty() => Ok(Self::Archive(path.into())),
            _ => Err("want oci:DIR or oci-archive:FILE".to_owned()),
        }
    }
}

/// Write images to where `target` says. A file appears whole or not at all; equal images give equal bytes.
///
/// # Errors
///
/// - [`PackageError::Store`], [`PackageError::Io`].
pub fn write(store: &Store, images: &[Image], target: &Target) -> Result<(), PackageError> {
    match target {
        Target::Folder(folder) => {
            let other = Store::open(folder)?;
            for (digest, _) in blobs(store, images)? {
                if !other.has(&digest) {
                    let path = store.blob_path(&digest);
                    let mut writer = other.writer()?;
                    io::copy(&mut store.open_blob(&digest)?, &mut writer).map_err(io_error("copy", &path))?;
                    writer.commit(Some(&digest))?;
                }
            }
            images.iter().try_for_each(|image| Ok(other.tag(&image.reference, image.index.clone())?))
        }
        Target::Archive(path) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{}.partial", std::process::id()));
            let partial = folder.join(name);
            let written = archive(store, images, &partial);
            let named = written.and_then(|()| fs::rename(&partial, path).map_err(io_error("write", path)));
            if named.is_err() {
                // Only untidy if it stays: the error is what the caller must hear about.
                let _ = fs::remove_file(&partial);
            }
            named
        }
    }
}

/// Write a tar of an image layout.
fn archive(store: &Store, images: &[Image], path: &Path) -> Result<(), PackageError> {
    let blobs = blobs(store, images)?;
    let manifests: Vec<Value> = images
        .iter()
        .map(|image| {
            let mut descriptor = json!(image.index);
            descriptor["annotations"] = json!({ REF_NAME: image.reference });
            descriptor
        })
        .collect();
    let index = json!({ "schemaVersion": 2, "manifests": manifests }).to_string();
    let failed = || io_error("write", path);
    let mut tar = Builder::new(File::create(path).map_err(failed())?);
    append(&mut tar, "oci-layout", 30, &mut &br#"{"imageLayoutVersion":"1.0.0"}"#[..]).map_err(failed())?;
    append(&mut tar, "index.json", index.len() as u64, &mut index.as_bytes()).map_err(failed())?;
    for (digest, size) in blobs {
        let name = format!("blobs/sha256/{}", digest.hex());
        append(&mut tar, &name, size, &mut store.open_blob(&digest)?).map_err(failed())?;
    }
    let file = tar.into_inner().map_err(failed())?;
    file.sync_all().map_err(failed())
}

/// Append one regular file without owner and time.
fn append<W: Write>(tar: &mut Builder<W>, name: &str, size: u64, bytes: &mut dyn io::Read) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    tar.append_data(&mut header, name, bytes)
}

/// List every blob of some images with its length, sorted by digest.
fn blobs(store: &Store, images: &[Image]) -> Result<BTreeMap<Digest, u64>, PackageError> {
    let mut blobs = BTreeMap::new();
    for image in images {
        let manifests = image.arches.values().map(|built| &built.manifest).chain([&image.index]);
        let documents = manifests.filter_map(|descriptor| descriptor.digest().to_string().parse().ok());
        let rest = image.arches.values().flat_map(|built| built.layers.iter().copied().chain([built.config]));
        for digest in documents.chain(rest) {
            let path = store.blob_path(&digest);
            blobs.insert(digest, fs::metadata(&path).map_err(io_error("read", &path))?.len());
        }
    }
    Ok(blobs)
}
