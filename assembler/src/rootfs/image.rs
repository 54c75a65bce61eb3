//! One image of the host: its tree, and its segment below `/images`.

use std::collections::BTreeMap;
use std::io::Write;

use hullkit_init::contract::{IMAGES, XATTRS_FILE, Xattrs};

use super::RootfsError;
use super::layer::{self, Index};
use super::segment::{Key, Packer, Segment, relative};
use super::tree::{Content, Inode, Tree};
use super::{RootKind, erofs, pack, segment};
use crate::digest::Digest;
use crate::format::cpio::layout;
use crate::format::cpio::write::Attributes;
use crate::format::tar::read::Limits;
use crate::plan::{Image, Plan};
use crate::store::Store;

/// Directories that a container needs to mount over.
const DIRECTORIES: [&[u8]; 3] = [b"dev", b"proc", b"sys"];

/// Files that a container needs to mount over.
const FILES: [&[u8]; 3] = [b"etc/hostname", b"etc/hosts", b"etc/resolv.conf"];

fn key(digest: &Digest) -> Key {
    Key::new("image", [("image", digest.to_string())])
}

fn erofs_key(digest: &Digest) -> Key {
    Key::erofs("image", [("image", digest.to_string())])
}

/// Tell whether an image's segment is in the store.
pub(crate) fn is_packed(store: &Store, digest: &Digest, root: RootKind) -> bool {
    let key = match root {
        RootKind::Ram => key(digest),
        RootKind::Disk | RootKind::Web => erofs_key(digest),
    };
    key.path(store).is_file()
}

/// Find or pack an image.
pub(crate) fn segment(store: &Store, digest: &Digest, image: &Image, limits: Limits) -> Result<Segment, RootfsError> {
    segment::segment(store, &image.reference, &key(digest), |packer| {
        let mut tree = tree(store, image, limits)?;
        add_mountpoints(&mut tree);
        let folder = format!("{}/{}", relative(IMAGES), digest.short());
        packer.directory(relative(IMAGES))?;
        packer.directory(&folder)?;
        // Before the files, so that who reads the archive in one pass can give each file its attributes.
        write_xattrs(packer, &tree, &folder, image)?;
        pack::tree(packer, &tree, relative(&Plan::image_root(digest)).as_bytes(), &|number| open(store, image, number))
    })
}

/// Find or make an image's file system, whose root is the image's own.
pub(crate) fn erofs(store: &Store, digest: &Digest, image: &Image, limits: Limits) -> Result<Segment, RootfsError> {
    segment::erofs(store, &image.reference, &erofs_key(digest), |file, uuid| {
        let mut tree = tree(store, image, limits)?;
        add_mountpoints(&mut tree);
        erofs::write((&image.reference, &digest.short(), uuid), &tree, file, &|number| open(store, image, number))
    })
}

/// Lay an image's layers over one another.
pub(crate) fn tree(store: &Store, image: &Image, limits: Limits) -> Result<Tree, RootfsError> {
    let mut tree = Tree::default();
    for (number, layer) in image.layers.iter().enumerate() {
        let index: Index = layer::index(store, &image.reference, layer, limits)?;
        let number = u16::try_from(number).map_err(|_| RootfsError::Plan(format!("layer {number}")))?;
        let refuse = |cause| RootfsError::Path { image: image.reference.clone(), layer: layer.digest, cause };
        tree.apply(number, || index.members(), refuse)?;
    }
    Ok(tree)
}

/// Give the uncompressed stream of an image's layer by its number.
pub(crate) fn open(store: &Store, image: &Image, number: u16) -> Result<Box<dyn std::io::Read + Send>, RootfsError> {
    let layer = image.layers.get(usize::from(number)).ok_or_else(|| RootfsError::Plan(format!("layer {number}")))?;
    layer::open(store, &image.reference, layer)
}

/// Put empty files and directories where a container's mounts go, so that the root itself can stay read-only.
fn add_mountpoints(tree: &mut Tree) {
    let made = |mode, content| Inode { mode, uid: 0, gid: 0, mtime: 0, layer: 0, content, xattrs: None };
    for path in DIRECTORIES {
        if !tree.get(path).is_some_and(Inode::is_directory) {
            tree.put(path, made(layout::DIRECTORY | 0o755, Content::None));
        }
    }
    // An `etc` that is a link leads to where the image wants it; nothing is put in its place.
    if tree.get(b"etc").is_some_and(|etc| !etc.is_directory()) {
        return;
    }
    for path in FILES {
        if !tree.get(path).is_some_and(|inode| segment::is_file(inode.mode)) {
            tree.put(path, made(layout::REGULAR | 0o644, Content::Data { offset: 0, size: 0 }));
        }
    }
}

/// Write the list of extended attributes that the archive cannot carry, if there are any.
fn write_xattrs<W: Write>(packer: &mut Packer<W>, tree: &Tree, folder: &str, image: &Image) -> Result<(), RootfsError> {
    let mut all = Xattrs::new();
    for (path, _, inode) in tree.iter() {
        let Some(xattrs) = &inode.xattrs else { continue };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
        let named = xattrs.iter().map(|(name, value)| Ok((text(name)?, value.clone())));
        let entry = named.collect::<Result<BTreeMap<_, _>, std::string::FromUtf8Error>>();
        let (Ok(path), Ok(entry)) = (text(path), entry) else {
            let what = "has extended attributes and a name that is not UTF-8";
            return Err(RootfsError::Unnameable {
                image: image.reference.clone(),
                path: String::from_utf8_lossy(path).into_owned(),
                what,
            });
        };
        all.insert(path, entry);
    }
    if all.is_empty() {
        return Ok(());
    }
    // Strings and bytes only: there is nothing in it that JSON cannot say.
    let json = serde_json::to_vec(&all).unwrap_or_default();
    packer.append(format!("{folder}/{XATTRS_FILE}").as_bytes(), Attributes::file(0), &json)
}
