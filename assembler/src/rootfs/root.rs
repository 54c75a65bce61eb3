//! A root beside the initrd, on a disk or a web server: one file system whose files are the file systems of the images, each
//! mounted where it lies.
//!
//! ```text
//!  hullkit-root, EROFS         mounted at
//!  |-- images/SHORT.erofs      /images/SHORT/rootfs          one for each image
//!  |-- modules.erofs           /lib/modules                  all that the manifest keeps
//!  `-- volumes/NAME.erofs      /containers/volumes/NAME/lower
//! ```
//!
//! It is put together of the files in the store without one of them being read: their places in it are multiples of 4096, and are
//! what the contract tells init.

use std::collections::BTreeMap;
use std::fs::File;

use hullkit_init::contract;

use super::segment::uuid;
use super::{RootfsError, Segment, kernel};
use crate::digest::Digest;
use crate::format::erofs::write::{Image, Options};
use crate::format::sparse::Sparse;
use crate::format::tree::{Attributes, Content, DIRECTORY, Entry, REGULAR, Tree};
use crate::plan::Plan;
use crate::plan::volumes::Volume;

/// Name of the file system.
pub const LABEL: &str = "hullkit-root";

/// A root on a disk or a web server.
#[derive(Debug, Clone)]
pub struct Root {
    /// The file system, its length a multiple of 4096.
    pub image: Sparse,
    /// Identity in its superblock, lower case with hyphens.
    pub uuid: String,
    /// Its name: [`LABEL`].
    pub label: &'static str,
    /// What is in it, each mounted at the target of the same number.
    pub parts: Vec<Segment>,
    /// Where each part is mounted, and where it starts.
    pub images: Vec<contract::RootImage>,
}

/// One file system on its way into a root.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its path in the root.
    pub(crate) path: String,
    /// Where init mounts it.
    pub(crate) target: String,
    pub(crate) segment: Segment,
}

impl Part {
    /// All modules that the plan wants.
    pub(crate) fn modules(segment: Segment) -> Self {
        Self { path: "modules.erofs".to_owned(), target: kernel::FOLDER.to_owned(), segment }
    }

    /// An image.
    pub(crate) fn image(digest: &Digest, segment: Segment) -> Self {
        Self { path: format!("images/{}.erofs", digest.short()), target: Plan::image_root(digest), segment }
    }

    /// A volume that brings an OCI layout.
    pub(crate) fn volume(volume: &Volume, segment: Segment) -> Self {
        Self { path: format!("volumes/{}.erofs", volume.name), target: volume.contract().lower, segment }
    }
}

impl Root {
    /// Put parts together, made at `epoch`, seconds since 1970. Equal parts give equal bytes, in whatever order they come.
    pub(crate) fn new(mut parts: Vec<Part>, epoch: u32) -> Result<Self, RootfsError> {
        parts.sort_by(|one, other| one.path.cmp(&other.path));
        let failed =
            |cause: Box<dyn std::error::Error + Send + Sync>| RootfsError::Image { what: LABEL.to_owned(), cause };
        let mut contents = Sparse::default();
        let mut entries = Vec::new();
        let mut keys = String::new();
        for Part { path, segment, .. } in &parts {
            let unread = |cause| RootfsError::Cache { action: "open", path: segment.path.clone(), cause };
            let file = Sparse::of_file(File::open(&segment.path).map_err(unread)?).map_err(unread)?;
            let content = Content::File { offset: contents.size(), size: file.size() };
            entries.push(entry(path, REGULAR | 0o444, epoch, content));
            contents.append(&file);
            keys.push_str(&format!("{path} {}\n", segment.path.file_name().unwrap_or_default().display()));
        }
        let directories = [("", 0o755), ("images", 0o755), ("volumes", 0o755)];
        let used = |name: &str| name.is_empty() || parts.iter().any(|part| part.path.starts_with(name));
        let directories = directories.into_iter().filter(|(name, _)| used(name));
        let directories = directories.map(|(name, mode)| entry(name, DIRECTORY | mode, epoch, Content::Directory));
        let tree =
            Tree::from_entries(directories.chain(entries), epoch.into()).map_err(|cause| failed(cause.into()))?;
        let uuid = uuid(&Digest::of(keys.as_bytes()));
        let options = Options { uuid, volume: Options::volume(LABEL), time: epoch.into() };
        let image = Image::new(&tree, options).map_err(|cause| failed(cause.into()))?;
        let (image, places) = image.sparse(&contents).map_err(|cause| failed(cause.into()))?;
        let images = parts.iter().map(|part| told(part, &places)).collect();
        let parts = parts.into_iter().map(|part| part.segment).collect();
        Ok(Self { image, uuid: text(uuid), label: LABEL, parts, images })
    }

    /// Say what init is told of it.
    #[must_use]
    pub fn contract(&self) -> contract::Root {
        contract::Root { uuid: self.uuid.clone(), size: self.image.size(), images: self.images.clone() }
    }
}

fn told(part: &Part, places: &BTreeMap<Vec<u8>, u64>) -> contract::RootImage {
    // Every part has a block at least.
    let offset = places.get(part.path.as_bytes()).copied().unwrap_or_default();
    contract::RootImage { target: part.target.clone(), offset, size: part.segment.size }
}

fn entry(path: &str, mode: u32, epoch: u32, content: Content<Vec<u8>>) -> Entry {
    let attributes = Attributes { mode, mtime: epoch.into(), ..Attributes::default() };
    Entry { path: path.as_bytes().to_vec(), attributes, content }
}

/// Write an identity as `blkid` does.
fn text(uuid: [u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(uuid));
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default());
    parts.join("-")
}
