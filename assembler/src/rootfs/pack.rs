//! A tree to an archive: directories first, then files in the order in which their bytes come out of the layers.

use std::io::{self, Read, Write};

use super::RootfsError;
use super::ahead::Ahead;
use super::path;
use super::segment::Packer;
use super::tree::{Content, Inode, Tree};
use crate::format::cpio::write::Attributes;
use crate::format::tar::TarError;

/// Where the bytes of a tree's files are: gives each layer's uncompressed stream by its number.
pub(crate) type Open<'a> = dyn Fn(u16) -> Result<Box<dyn Read + Send>, RootfsError> + 'a;

/// Write a whole tree below `prefix`, the root itself included.
///
/// Each layer that still shows a file is decompressed once, in order, and dropped after its last visible byte.
pub(crate) fn tree<W: Write>(
    packer: &mut Packer<W>,
    tree: &Tree,
    prefix: &[u8],
    open: &Open<'_>,
) -> Result<(), RootfsError> {
    let links = tree.links();
    let single = |number: u32| links.get(number as usize).is_none_or(|count| *count < 2);
    let mut later = Vec::new();
    for (path, number, inode) in tree.iter() {
        if path.is_empty() && prefix.is_empty() {
            // The host's own root has no name in an archive.
            continue;
        }
        let (layer, offset) = match inode.content {
            Content::Data { offset, size } if size > 0 => (inode.layer, offset),
            _ if single(number) || inode.is_directory() => {
                entry(packer, &[&path::join(prefix, path)], inode, &mut io::empty())?;
                continue;
            }
            // A name of several, without data: written once every directory is there, so that no name lacks its own.
            _ => (0, 0),
        };
        later.push((layer, offset, number, path));
    }
    later.sort_unstable();
    let mut contents = Contents::new(open);
    for names in later.chunk_by(|one, other| one.2 == other.2) {
        let Some((layer, offset, number, _)) = names.first() else { continue };
        let Some(inode) = tree.inode(*number) else { continue };
        let paths: Vec<Vec<u8>> = names.iter().map(|(.., path)| path::join(prefix, path)).collect();
        let paths: Vec<&[u8]> = paths.iter().map(Vec::as_slice).collect();
        if matches!(inode.content, Content::Data { size, .. } if size > 0) {
            contents.seek(*layer, *offset)?;
            entry(packer, &paths, inode, &mut contents)?;
        } else {
            entry(packer, &paths, inode, &mut io::empty())?;
        }
    }
    Ok(())
}

fn entry<W: Write>(
    packer: &mut Packer<W>,
    paths: &[&[u8]],
    inode: &Inode,
    data: &mut dyn Read,
) -> Result<(), RootfsError> {
    let attributes = attributes(inode);
    match &inode.content {
        Content::Data { size, .. } => packer.append_linked(paths, attributes, *size, data),
        // The target stands with each name: the kernel makes links of regular files only.
        Content::Target(target) => paths.iter().try_for_each(|path| packer.append(path, attributes, target)),
        Content::Device(major, minor) => {
            packer.append_linked(paths, Attributes { rdev: (*major, *minor), ..attributes }, 0, data)
        }
        Content::None => packer.append_linked(paths, attributes, 0, data),
    }
}

/// Give an inode's attributes as an archive holds them: times before 1970 become 1970, after 2106 become 2106.
pub(crate) fn attributes(inode: &Inode) -> Attributes {
    let mtime = u32::try_from(inode.mtime.max(0)).unwrap_or(u32::MAX);
    Attributes { mode: inode.mode, uid: inode.uid, gid: inode.gid, mtime, rdev: (0, 0) }
}

/// The layers' streams, one open at a time.
pub(super) struct Contents<'a> {
    open: &'a Open<'a>,
    current: Option<(u16, u64, Ahead)>,
}

impl<'a> Contents<'a> {
    /// Open nothing yet.
    pub(super) fn new(open: &'a Open<'a>) -> Self {
        Self { open, current: None }
    }

    /// Go forward to `offset` in `layer`. Asked in order, each layer is opened once.
    pub(super) fn seek(&mut self, layer: u16, offset: u64) -> Result<(), RootfsError> {
        if !self.current.as_ref().is_some_and(|(number, at, _)| *number == layer && *at <= offset) {
            self.current = Some((layer, 0, Ahead::new((self.open)(layer)?)));
        }
        let gap = self.current.as_ref().map_or(0, |(_, at, _)| offset - at);
        let reread = |cause: io::Error| RootfsError::Reread(cause.into());
        if io::copy(&mut self.by_ref().take(gap), &mut io::sink()).map_err(reread)? != gap {
            return Err(RootfsError::Reread(TarError::Truncated { offset }));
        }
        Ok(())
    }
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((_, at, stream)) = &mut self.current else { return Ok(0) };
        let read = stream.read(buffer)?;
        *at += read as u64;
        Ok(read)
    }
}
