//! One image's root file system as a tar, for other tools: the layers laid over one another by OCI's rules.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::pack::Contents;
use super::tree::{Content, Inode};
use super::{RootfsError, image};
use crate::format::cpio::layout;
use crate::format::tar::read::Limits;
use crate::format::tar::write::Writer;
use crate::format::tar::{Kind, Member, TarError};
use crate::plan::Image;
use crate::store::Store;

/// Why an image was not written out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The image's layers do not make a file system.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// The archive could not be written.
    #[error("could not write the image's files into the archive")]
    Tar(#[source] TarError),
}

/// Write an image's files as one tar: sorted by path, parents first, hard links behind the name that has the bytes.
///
/// In: `image`, all of whose layers are in the store. Equal images give equal bytes.
///
/// # Errors
///
/// - [`ExportError`]: a layer is damaged or missing; `out` refused bytes, and what it has is no archive.
///
/// # Source
///
/// OCI image-spec 1.1, `layer.md`, "Applying Changesets". LinuxKit's export differs: it does not know opaque whiteouts,
/// drops `etc/hostname` and `Dockerfile`, and puts files of its own over `etc/hosts` and `etc/resolv.conf`.
pub fn export(store: &Store, image: &Image, limits: Limits, out: impl Write) -> Result<(), ExportError> {
    let tree = image::tree(store, image, limits)?;
    let mut tar = Writer::new(out);
    let mut first_names: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut files = Vec::new();
    for (path, number, inode) in tree.iter() {
        if path.is_empty() {
            continue;
        }
        let mut member = member(path, inode);
        match (first_names.get(&number), &inode.content) {
            (Some(first), _) if !inode.is_directory() => {
                (member.kind, member.size, member.link) = (Kind::HardLink, 0, first.clone());
                files.push(((u16::MAX, u64::MAX), member));
            }
            (_, Content::Data { offset, size }) if *size > 0 => {
                first_names.insert(number, path.to_vec());
                files.push(((inode.layer, *offset), member));
            }
            _ => {
                first_names.insert(number, path.to_vec());
                tar.append(&member, &mut io::empty()).map_err(ExportError::Tar)?;
            }
        }
    }
    // As the bytes come out of the layers, each of which is decompressed once; links, which need them, last.
    files.sort_by_key(|(place, _)| *place);
    let open = |number| image::open(store, image, number);
    let mut bytes = Contents::new(&open);
    for ((layer, offset), member) in files {
        if member.kind == Kind::HardLink {
            tar.append(&member, &mut io::empty()).map_err(ExportError::Tar)?;
        } else {
            bytes.seek(layer, offset)?;
            tar.append(&member, &mut bytes).map_err(ExportError::Tar)?;
        }
    }
    tar.finish().and_then(|mut out| Ok(out.flush()?)).map_err(ExportError::Tar)
}

/// Describe an inode under one of its names.
fn member(path: &[u8], inode: &Inode) -> Member {
    let (kind, size, link, device) = match &inode.content {
        Content::Data { size, .. } => (Kind::File, *size, Vec::new(), (0, 0)),
        Content::Target(target) => (Kind::Symlink, 0, target.to_vec(), (0, 0)),
        Content::Device(major, minor) => {
            let kind = if inode.mode & layout::TYPE == layout::BLOCK { Kind::Block } else { Kind::Char };
            (kind, 0, Vec::new(), (*major, *minor))
        }
        Content::None if inode.is_directory() => (Kind::Directory, 0, Vec::new(), (0, 0)),
        Content::None => (Kind::Fifo, 0, Vec::new(), (0, 0)),
    };
    Member {
        path: path.to_vec(),
        kind,
        mode: inode.mode & 0o7777,
        uid: inode.uid,
        gid: inode.gid,
        mtime: inode.mtime,
        size,
        link,
        device,
        xattrs: inode.xattrs.as_deref().cloned().unwrap_or_default(),
        ..Member::default()
    }
}
