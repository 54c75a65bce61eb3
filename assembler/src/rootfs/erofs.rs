//! A tree to a file system that is mounted where it lies: files in the order in which their bytes come out of the layers, each
//! layer decompressed once, none of it kept anywhere else.

use std::collections::BTreeMap;
use std::fs::File;

use super::RootfsError;
use super::pack::{Contents, Open};
use super::tree::{Content, Inode, Tree};
use crate::format::erofs::write::{Image, Options, Writer};
use crate::format::tree::{self, Attributes, Entry};

/// Write a whole tree into an empty file.
///
/// In: `name`, for errors; `uuid` and `label`, the file system's own. Equal trees give equal bytes.
pub(crate) fn write(
    (name, label, uuid): (&str, &str, [u8; 16]),
    tree: &Tree,
    file: &File,
    open: &Open<'_>,
) -> Result<(), RootfsError> {
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| RootfsError::Image { what: name.to_owned(), cause };
    let time = usual_time(tree);
    let sorted = tree::Tree::from_entries(entries(tree), 0).map_err(|cause| failed(cause.into()))?;
    let options = Options { uuid, volume: Options::volume(label), time };
    let image = Image::new(&sorted, options).map_err(|cause| failed(cause.into()))?;
    let mut writer = Writer::new(&image, file);
    let mut contents = Contents::new(open);
    for (layer, offset, index) in places(tree, &sorted) {
        contents.seek(layer, offset)?;
        writer.file(index, &mut contents).map_err(|cause| failed(cause.into()))?;
    }
    writer.finish().map_err(|cause| failed(cause.into()))?;
    Ok(())
}

/// List the files that have bytes, in the order in which these come: layer, offset in it, and the node.
fn places(tree: &Tree, sorted: &tree::Tree) -> Vec<(u16, u64, usize)> {
    // Both are sorted by the same paths.
    let nodes = tree.iter().zip(sorted.nodes()).enumerate();
    let mut places: Vec<_> = nodes
        .filter_map(|(index, ((_, _, inode), node))| match node.content {
            tree::Content::File { offset, size } if size > 0 => Some((inode.layer, offset, index)),
            _ => None,
        })
        .collect();
    places.sort_unstable();
    places
}

/// List the tree's names as entries, those of one file after its first.
fn entries(tree: &Tree) -> impl Iterator<Item = Entry> {
    let mut first_names: BTreeMap<u32, &[u8]> = BTreeMap::new();
    tree.iter().map(move |(path, number, inode)| {
        let content = match (first_names.get(&number), &inode.content) {
            (Some(first), _) if !inode.is_directory() => tree::Content::HardLink(first.to_vec()),
            (_, Content::Data { offset, size }) => tree::Content::File { offset: *offset, size: *size },
            (_, Content::Target(target)) => tree::Content::Symlink(target.to_vec()),
            (_, Content::Device(major, minor)) => tree::Content::Device(*major, *minor),
            (_, Content::None) if inode.is_directory() => tree::Content::Directory,
            (_, Content::None) => tree::Content::Fifo,
        };
        first_names.entry(number).or_insert(path);
        Entry { path: path.to_vec(), attributes: attributes(inode), content }
    })
}

fn attributes(inode: &Inode) -> Attributes {
    let Inode { mode, uid, gid, mtime, .. } = *inode;
    let xattrs = inode.xattrs.as_deref().cloned().unwrap_or_default();
    Attributes { mode, uid, gid, mtime, nanoseconds: 0, xattrs }
}

/// Find the time that most files have, the earliest of several, for their inodes are shorter; not before 1970.
fn usual_time(tree: &Tree) -> u64 {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for time in tree.iter().filter_map(|(_, _, inode)| u64::try_from(inode.mtime).ok()) {
        *counts.entry(time).or_default() += 1;
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(0, |(time, _)| time)
}
