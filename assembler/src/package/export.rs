//! Images out of the store, as an OCI image layout in a folder or in one file.
//!
//! Source: OCI image-spec 1.1, `image-layout.md`.

use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::str::FromStr;

use super::Image;
use super::error::{PackageError, io_error};
use crate::digest::Digest;
use crate::pull;
use crate::store::Store;
use crate::write::{self, output::Output};

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
/// - [`PackageError::Store`], [`PackageError::Pull`], [`PackageError::Write`], [`PackageError::Io`].
pub fn write(store: &Store, images: &[Image], target: &Target) -> Result<(), PackageError> {
    let tops: Vec<(String, Digest)> = images
        .iter()
        .filter_map(|image| Some((image.reference.clone(), image.index.digest().to_string().parse().ok()?)))
        .collect();
    match target {
        Target::Folder(folder) => {
            let other = Store::open(folder)?;
            for digest in pull::reachable(store, tops.into_iter())?.iter().filter(|digest| !other.has(digest)) {
                let mut writer = other.writer()?;
                let copied = io::copy(&mut store.open_blob(digest)?, &mut writer);
                copied.map_err(io_error("copy", &store.blob_path(digest)))?;
                writer.commit(Some(digest))?;
            }
            images.iter().try_for_each(|image| Ok(other.tag(&image.reference, image.index.clone())?))
        }
        Target::Archive(path) => {
            let mut output = Output::create(path)?;
            pull::export_oci(store, &tops, BufWriter::with_capacity(256 << 10, &mut output))?;
            write::publish(vec![output])?;
            Ok(())
        }
    }
}
