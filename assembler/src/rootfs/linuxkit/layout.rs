//! An OCI image layout in a volume, as LinuxKit writes it.
//!
//! Source: OCI image-spec 1.1, `image-layout.md`.

use std::io;

use super::{Sink, Stream};
use crate::format::tar::{Kind, Member};
use crate::pull::Whole;
use crate::rootfs::RootfsError;
use crate::rootfs::volumes::{VERSION, index};

/// Media type that LinuxKit gives to an index of any kind.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl<S: Sink> Stream<'_, S> {
    /// Write an image with all its blobs below `folder`. None of the entries has a time.
    pub(super) fn layout(&mut self, folder: &str, name: &str, image: &Whole) -> Result<(), S::Error> {
        let made =
            |path: &str, kind, mode| Member { path: format!("{folder}{path}").into(), kind, mode, ..Member::default() };
        let file = |path: &str, size| Member { size, ..made(path, Kind::File, 0o644) };
        self.append(file("oci-layout", VERSION.len() as u64), &mut VERSION.as_bytes())?;
        for path in ["blobs/", "blobs/sha256/"] {
            self.append(made(path, Kind::Directory, 0o755), &mut io::empty())?;
        }
        for (digest, size) in &image.blobs {
            let mut blob = self.store.open_blob(digest).map_err(RootfsError::from)?;
            self.append(file(&format!("blobs/sha256/{}", digest.hex()), *size), &mut blob)?;
        }
        let manifest = image.media_type.contains(".manifest.") && !image.media_type.contains(".manifest.list.");
        let index = index(image, name, if manifest { &image.media_type } else { INDEX })?;
        self.append(file("index.json", index.len() as u64), &mut index.as_slice())
    }
}
