//! One image as LinuxKit flattens it: upper layers first, the first entry of a name wins.
//!
//! Source: go-containerregistry, package `mutate`, `Extract`, whose order LinuxKit keeps.

use std::collections::BTreeMap;
use std::io::Read;

use crate::format::tar::read::{Limits, Reader};
use crate::format::tar::{Kind, Member};
use crate::plan::Image;
use crate::rootfs::path::{self, PathError};
use crate::rootfs::{RootfsError, layer};
use crate::store::Store;

/// Prefix of a name that hides another one in the layers below.
const WHITEOUT: &[u8] = b".wh.";

/// The names seen so far, and whether each hides what lies below it.
///
/// A file hides like a whiteout does. An opaque whiteout is a whiteout of a file `.wh..opq` here, as in LinuxKit: what
/// lower layers put into its directory stays.
#[derive(Debug, Default)]
struct Seen(BTreeMap<Box<[u8]>, bool>);

impl Seen {
    /// Tell whether a member shows, and remember it.
    fn shows(&mut self, path: &[u8], kind: Kind) -> bool {
        let (folder, name) = path::split(path);
        let hidden = name.strip_prefix(WHITEOUT);
        // A directory of such a name is no whiteout's target, but it does not show either.
        let meant = match (hidden, kind) {
            (Some(hidden), kind) if kind != Kind::Directory => path::join(folder, hidden),
            _ => path.to_vec(),
        };
        if self.0.contains_key(meant.as_slice()) || self.lies_in_hidden(&meant) {
            return false;
        }
        self.0.insert(meant.into(), hidden.is_some() || kind != Kind::Directory);
        hidden.is_none()
    }

    fn lies_in_hidden(&self, path: &[u8]) -> bool {
        let mut folder = path::split(path).0;
        loop {
            if self.0.get(folder) == Some(&true) {
                return true;
            }
            if folder.is_empty() {
                return false;
            }
            folder = path::split(folder).0;
        }
    }
}

/// Hand out every member of an image that shows, with its data, its path clean; the root itself has an empty path.
///
/// # Errors
///
/// - [`RootfsError::Layer`], [`RootfsError::Path`], [`RootfsError::Store`]; whatever `each` says.
pub(super) fn flatten<E: From<RootfsError>>(
    store: &Store,
    image: &Image,
    limits: Limits,
    mut each: impl FnMut(Member, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut seen = Seen::default();
    for layer in image.layers.iter().rev() {
        let unreadable = |cause| RootfsError::Layer { image: image.reference.clone(), layer: layer.digest, cause };
        let refused = |cause| RootfsError::Path { image: image.reference.clone(), layer: layer.digest, cause };
        let mut reader = Reader::new(layer::open(store, &image.reference, layer)?, limits);
        while let Some(member) = reader.next_member().map_err(unreadable)? {
            let path = path::clean(&member.path).map_err(refused)?;
            if member.kind == Kind::HardLink {
                stays(&member.link).map_err(refused)?;
            }
            if seen.shows(&path, member.kind) {
                each(Member { path, ..member }, &mut reader)?;
            }
        }
    }
    Ok(())
}

/// Check that the target of a hard link does not leave the image's root.
fn stays(target: &[u8]) -> Result<(), PathError> {
    path::clean(target).map(drop)
}
