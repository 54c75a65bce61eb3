//! Volumes in the host's root: their folders, and the images that some hold as OCI layouts.

use std::io::{Cursor, Write};

use hullkit_init::contract::{VOLUMES, Volume as Told};

use super::segment::{self, Key, Packer, Segment, relative, segment};
use super::tree::{Inode, Tree};
use super::{RootfsError, erofs};
use crate::digest::Digest;
use crate::format::cpio::layout;
use crate::format::cpio::write::Attributes;
use crate::plan::volumes::Volume;
use crate::pull::Whole;
use crate::store::Store;

/// Folders of a volume: what it brings, where init mounts what is written, what containers bind.
const FOLDERS: [&str; 3] = ["lower", "tmp", "merged"];

/// What tells that a folder is an OCI image layout: LinuxKit's text, to the tab.
pub(super) const VERSION: &str = "{\n\t\t\"imageLayoutVersion\": \"1.0.0\"\n\t}";

/// Write the folders of all volumes, read-only ones included.
pub(crate) fn folders<W: Write>(packer: &mut Packer<W>, volumes: &[Volume]) -> Result<(), RootfsError> {
    if !volumes.is_empty() {
        parents(packer)?;
    }
    for volume in volumes {
        let folder = Told::folder(&volume.name);
        packer.directory(relative(&folder))?;
        for name in FOLDERS {
            packer.directory(relative(&format!("{folder}/{name}")))?;
        }
    }
    Ok(())
}

fn parents<W: Write>(packer: &mut Packer<W>) -> Result<(), RootfsError> {
    let path = relative(VOLUMES);
    path.match_indices('/').try_for_each(|(end, _)| packer.directory(&path[..end]))?;
    packer.directory(path)
}

/// Find or pack a volume that is an OCI layout; nothing for any other.
///
/// # Source
///
/// OCI image-spec 1.1, `image-layout.md`.
pub(crate) fn layout(volume: &Volume, store: &Store) -> Result<Option<Segment>, RootfsError> {
    let Some(whole) = volume.layout() else { return Ok(None) };
    let index = index(whole, &whole.reference, &whole.media_type)?;
    let key = Key::new("volume", inputs(volume, whole, &index));
    segment(store, &name(volume), &key, |packer| {
        let own = Told::folder(&volume.name);
        let lower = format!("{}/lower", relative(&own));
        parents(packer)?;
        for folder in [relative(&own), &lower, &format!("{lower}/blobs"), &format!("{lower}/blobs/sha256")] {
            packer.directory(folder)?;
        }
        packer.append(format!("{lower}/oci-layout").as_bytes(), Attributes::file(0), VERSION.as_bytes())?;
        packer.append(format!("{lower}/index.json").as_bytes(), Attributes::file(0), &index)?;
        for (digest, size) in &whole.blobs {
            let path = format!("{lower}/blobs/sha256/{}", digest.hex());
            let attributes = Attributes { mode: layout::REGULAR | 0o644, ..Attributes::default() };
            packer.append_linked(&[path.as_bytes()], attributes, *size, &mut store.open_blob(digest)?)?;
        }
        Ok(())
    })
    .map(Some)
}

/// Find or make the file system of a volume that is an OCI layout, whose root is the layout's; nothing for any other.
pub(crate) fn layout_erofs(volume: &Volume, store: &Store) -> Result<Option<Segment>, RootfsError> {
    let Some(whole) = volume.layout() else { return Ok(None) };
    let index = index(whole, &whole.reference, &whole.media_type)?;
    let layers = 2..=u16::MAX;
    if whole.blobs.len() > layers.len() {
        return Err(RootfsError::Plan(format!("more than {} blobs of {}", layers.len(), whole.top)));
    }
    let key = Key::erofs("volume", inputs(volume, whole, &index));
    segment::erofs(store, &name(volume), &key, |file, uuid| {
        let mut tree = Tree::default();
        tree.put(b"oci-layout", Inode::file(0, VERSION.len() as u64));
        tree.put(b"index.json", Inode::file(1, index.len() as u64));
        for ((digest, size), layer) in whole.blobs.iter().zip(layers) {
            tree.put(format!("blobs/sha256/{}", digest.hex()).as_bytes(), Inode::file(layer, *size));
        }
        erofs::write((&name(volume), &volume.name, uuid), &tree, file, &|layer| {
            Ok(match layer.checked_sub(2).and_then(|at| whole.blobs.get(usize::from(at))) {
                Some((digest, _)) => Box::new(store.open_blob(digest)?),
                None if layer == 0 => Box::new(VERSION.as_bytes()),
                None => Box::new(Cursor::new(index.clone())),
            })
        })
    })
    .map(Some)
}

fn name(volume: &Volume) -> String {
    format!("volume {}", volume.name)
}

fn inputs(volume: &Volume, whole: &Whole, index: &[u8]) -> [(&'static str, String); 3] {
    let blobs: Vec<String> = whole.blobs.iter().map(|(digest, _)| digest.to_string()).collect();
    [
        ("name", volume.name.clone()),
        ("index", Digest::of(index).to_string()),
        ("blobs", Digest::of(blobs.join(" ").as_bytes()).to_string()),
    ]
}

/// Write the layout's list of images, which names the one, and says of which type it is.
pub(super) fn index(whole: &Whole, name: &str, media_type: &str) -> Result<Vec<u8>, RootfsError> {
    let size = whole.blobs.iter().find(|(digest, _)| *digest == whole.top).map(|(_, size)| *size);
    let size = size.ok_or_else(|| RootfsError::Plan(format!("the length of {}", whole.top)))?;
    let text = format!(
        r#"{{
   "schemaVersion": 2,
   "mediaType": "application/vnd.oci.image.index.v1+json",
   "manifests": [
      {{
         "mediaType": {},
         "size": {size},
         "digest": "{}",
         "annotations": {{
            "org.opencontainers.image.ref.name": {}
         }}
      }}
   ]
}}"#,
        serde_json::Value::from(media_type),
        whole.top,
        serde_json::Value::from(name),
    );
    Ok(text.into_bytes())
}
