//! Volumes in the host's root: their folders, and the images that some hold as OCI layouts.

use std::io::Write;

use hullkit_init::contract::{VOLUMES, Volume as Told};

use super::RootfsError;
use super::segment::{Key, Packer, Segment, relative, segment};
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
    let blobs: Vec<String> = whole.blobs.keys().map(Digest::to_string).collect();
    let key = Key::new(
        "volume",
        [
            ("name", volume.name.clone()),
            ("index", Digest::of(&index).to_string()),
            ("blobs", Digest::of(blobs.join(" ").as_bytes()).to_string()),
        ],
    );
    segment(store, &format!("volume {}", volume.name), &key, |packer| {
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

/// Write the layout's list of images, which names the one, and says of which type it is.
pub(super) fn index(whole: &Whole, name: &str, media_type: &str) -> Result<Vec<u8>, RootfsError> {
    let size = whole.blobs.get(&whole.top).copied();
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
