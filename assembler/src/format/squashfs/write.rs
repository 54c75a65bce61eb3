//! A tree to an image.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use backhand::compression::Compressor;
use backhand::{FilesystemCompressor, FilesystemWriter, NodeHeader};

use super::SquashfsError;
use crate::format::erofs::layout::device;
use crate::format::tree::{BLOCK, Content, Contents, Node, TYPE, Tree, shown};

/// Bytes of a block of data.
const BLOCK_SIZE: u32 = 128 << 10;
/// Most bytes of a link's target: the crate panics at more.
const TARGET_MAX: usize = 255;
/// Most owners and groups.
const OWNERS_MAX: usize = 65_535;

/// What an image has not of its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Files whose extended attributes were left out.
    pub xattrs: usize,
    /// Names that became files of their own.
    pub links: usize,
}

/// Write a tree as an image, made at `time`, seconds since 1970.
///
/// Equal trees give equal images. Times outside of the years 1970 to 2106 become the first or last second of them; nanoseconds are cut off.
///
/// # Errors
///
/// - [`SquashfsError::Device`], [`SquashfsError::Target`], [`SquashfsError::Owners`].
/// - [`SquashfsError::Content`]: a file's bytes could not be read, or are too few.
/// - [`SquashfsError::Backhand`]: `out` refused bytes, or the crate the tree. What was written is no image.
pub fn write(tree: &Tree, contents: &dyn Contents, time: u32, out: impl Write + Seek) -> Result<Lost, SquashfsError> {
    let owners =
        tree.nodes().iter().flat_map(|node| [node.attributes.uid, node.attributes.gid]).collect::<BTreeSet<_>>();
    if owners.len() > OWNERS_MAX {
        return Err(SquashfsError::Owners { count: owners.len() });
    }
    let failed = Mutex::new(None);
    let mut writer = FilesystemWriter::default();
    writer.set_block_size(BLOCK_SIZE);
    writer.set_compressor(FilesystemCompressor::new(Compressor::Gzip, None)?);
    writer.set_no_duplicate_files(false);
    writer.set_time(time);
    let mut lost = Lost::default();
    for (index, node) in tree.nodes().iter().enumerate() {
        let owner = tree.data(index);
        lost.links += usize::from(owner != index);
        let Some(file) = tree.nodes().get(owner) else { continue };
        lost.xattrs += usize::from(owner == index && !file.attributes.xattrs.is_empty());
        push(&mut writer, node, file, (index, contents), &failed)?;
    }
    let written = writer.write(out);
    drop(writer);
    match (written, failed.into_inner().unwrap_or_else(PoisonError::into_inner)) {
        (_, Some((index, cause))) => Err(content_error(tree, index, cause)),
        (written, None) => Ok(written.map(|_| lost)?),
    }
}

/// The first file whose bytes could not be read: its node, and why.
type Failed = Mutex<Option<(usize, io::Error)>>;

fn push<'c>(
    writer: &mut FilesystemWriter<'_, '_, 'c>,
    node: &Node,
    file: &Node,
    (index, contents): (usize, &'c dyn Contents),
    failed: &'c Failed,
) -> Result<(), SquashfsError> {
    let attributes = &file.attributes;
    // Twelve bits.
    let permissions = u16::try_from(attributes.mode & !TYPE).unwrap_or_default();
    let mtime = u32::try_from(attributes.mtime.max(0)).unwrap_or(u32::MAX);
    let head = NodeHeader::new(permissions, attributes.uid, attributes.gid, mtime);
    if node.path.is_empty() {
        writer.set_root_mode(permissions);
        writer.set_root_uid(attributes.uid);
        writer.set_root_gid(attributes.gid);
        return Ok(());
    }
    let path = Path::new(OsStr::from_bytes(&node.path));
    match &file.content {
        Content::Directory => writer.push_dir(path, head)?,
        Content::File { offset, size } => {
            let bytes = Bytes { contents, place: (*offset, *size), index, failed, reader: None };
            writer.push_file(bytes, path, head)?;
        }
        Content::Symlink(target) if target.len() > TARGET_MAX => {
            return Err(SquashfsError::Target { path: shown(&node.path) });
        }
        Content::Symlink(target) => writer.push_symlink(OsStr::from_bytes(target), path, head)?,
        Content::Device(major, minor) => {
            let number = device(*major, *minor).ok_or_else(|| SquashfsError::Device { path: shown(&node.path) })?;
            if attributes.mode & TYPE == BLOCK {
                writer.push_block_device(number, path, head)?;
            } else {
                writer.push_char_device(number, path, head)?;
            }
        }
        Content::Fifo => writer.push_fifo(path, head)?,
        Content::Socket => writer.push_socket(path, head)?,
        Content::HardLink(_) => {}
    }
    Ok(())
}

fn content_error(tree: &Tree, index: usize, cause: io::Error) -> SquashfsError {
    let path = tree.nodes().get(index).map(|node| shown(&node.path)).unwrap_or_default();
    let size = match tree.nodes().get(tree.data(index)).map(|node| &node.content) {
        Some(Content::File { size, .. }) => *size,
        _ => 0,
    };
    SquashfsError::Content { path, size, cause }
}

/// A file's bytes, asked for when the crate comes to them; it keeps the reader of every file until its end.
struct Bytes<'c> {
    contents: &'c dyn Contents,
    /// Where they start, and how many are left.
    place: (u64, u64),
    index: usize,
    failed: &'c Failed,
    reader: Option<Box<dyn Read + 'c>>,
}

impl Bytes<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (offset, left) = self.place;
        if left == 0 || buffer.is_empty() {
            self.reader = None;
            return Ok(0);
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => self.reader.insert(self.contents.reader(offset, left)?),
        };
        let read = reader.read(buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.place.1 = left.saturating_sub(read as u64);
        Ok(read)
    }
}

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(|cause| {
            let kind = cause.kind();
            if kind != io::ErrorKind::Interrupted {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert((self.index, cause));
            }
            kind.into()
        })
    }
}
