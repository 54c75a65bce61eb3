//! Places and files to an image, in one pass: files come in any order and go where the last one ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::mem::size_of;
use std::os::unix::fs::FileExt;

use zerocopy::IntoBytes;

use super::ErofsError;
use super::encode::{directory, narrow, push_inode, xattrs};
use super::layout::{BLOCK, BLOCK_BITS, COMPAT_CHECKSUM, COMPAT_MTIME, MAGIC, SLOT, SUPER_OFFSET, SuperBlock};
pub use super::place::{Image, Options};
use crate::digest::{Digest, Hashing};
use crate::format::crc32c::crc32c;
use crate::format::sparse::{Sparse, SparseError};
use crate::format::tree::{Content, Contents, shown};

/// Bytes of files that are written at once.
const DATA: usize = 1 << 20;

/// Bytes of inodes and directories that wait for their neighbours, so that they are written together.
const WAITING: usize = 4 << 20;

/// Where an image goes. It is empty at first, and what was never written reads as zeros.
pub trait Target {
    /// Write bytes at a place.
    ///
    /// # Errors
    ///
    /// - Those of the file.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Make it end at `size`, whatever has been written behind.
    ///
    /// # Errors
    ///
    /// - Those of the file.
    fn end(&mut self, size: u64) -> io::Result<()>;
}

impl Target for &File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn end(&mut self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }
}

impl Target for &mut Vec<u8> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = start.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        self.resize(self.len().max(end), 0);
        if let Some(slot) = self.get_mut(start..end) {
            slot.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn end(&mut self, size: u64) -> io::Result<()> {
        self.resize(usize::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?, 0);
        Ok(())
    }
}

impl Image<'_> {
    /// Write the whole image; files come in the order of the tree. Gives its length in bytes, a multiple of 4096.
    ///
    /// # Errors
    ///
    /// - As [`Writer::file`].
    pub fn write(&self, contents: &dyn Contents, target: impl Target) -> Result<u64, ErofsError> {
        let mut writer = Writer::new(self, target);
        for (index, node) in self.tree.nodes().iter().enumerate() {
            if let Content::File { offset, size } = node.content {
                let mut reader = contents.reader(offset, size).map_err(|cause| self.unread(index, cause))?;
                writer.file(index, &mut reader)?;
            }
        }
        writer.finish()
    }

    /// Make an image whose files' full blocks stay where they are: only what is less than a block is read. Equal data is not
    /// looked for.
    ///
    /// Out: the image, and where in it the data of each file starts that has any in blocks.
    ///
    /// # Errors
    ///
    /// - [`ErofsError::Content`]: the end of a file could not be read.
    pub fn sparse(&self, contents: &Sparse) -> Result<(Sparse, BTreeMap<Vec<u8>, u64>), ErofsError> {
        let mut head = Head(Vec::new());
        let mut writer = Writer::new(self, &mut head);
        let mut places = BTreeMap::new();
        let mut parts = Vec::new();
        for (index, node) in self.tree.nodes().iter().enumerate() {
            let Content::File { offset, .. } = node.content else { continue };
            let inode = &self.inodes[index];
            let mut tail = vec![0; narrow(inode.tail())];
            let at = offset.saturating_add(inode.full());
            contents.read_at(at, &mut tail).map_err(|cause| self.unread(index, cause))?;
            let start = writer.next;
            writer.next += inode.blocks();
            writer.inode(index, start, &tail)?;
            if inode.full() > 0 {
                places.insert(node.path.clone(), start * BLOCK);
                parts.push((start * BLOCK, contents.slice(offset, inode.full())));
            }
        }
        let size = writer.finish()?;
        let mut image = Sparse::new(size);
        let misplaced = |error: SparseError| io::Error::other(error);
        image.put_bytes(0, head.0).map_err(misplaced)?;
        for (start, part) in parts {
            image.put(start, &part).map_err(misplaced)?;
        }
        Ok((image, places))
    }

    /// Name the file whose bytes could not be had.
    fn unread(&self, index: usize, cause: io::Error) -> ErofsError {
        ErofsError::Content { path: shown(&self.tree.nodes()[index].path), size: self.inodes[index].size, cause }
    }

    fn super_block(&self, blocks: u64, checksum: u32) -> SuperBlock {
        // The root is placed first, so within the first two blocks.
        let root = self.inodes.first().map_or(0, |root| u16::try_from(root.nid()).unwrap_or_default());
        SuperBlock {
            magic: MAGIC.into(),
            checksum: checksum.into(),
            feature_compat: (COMPAT_CHECKSUM | COMPAT_MTIME).into(),
            block_bits: BLOCK_BITS,
            extra_slots: 0,
            root: root.into(),
            inodes: self.count.into(),
            time: self.options.time.into(),
            nanoseconds: 0.into(),
            blocks: narrow::<u32>(blocks).into(),
            meta_block: 0.into(),
            xattr_block: 0.into(),
            uuid: self.options.uuid,
            volume: self.options.volume,
            feature_incompat: 0.into(),
            reserved: [0; 44],
        }
    }
}

/// All of an image but the blocks of its files.
struct Head(Vec<u8>);

impl Target for &mut Head {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (&mut self.0).write_at(offset, bytes)
    }

    fn end(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }
}

/// An image being written.
#[derive(Debug)]
pub struct Writer<'i, T> {
    image: &'i Image<'i>,
    target: T,
    /// Which inodes are written.
    done: Vec<bool>,
    /// First block that is free.
    next: u64,
    /// Bytes of files on their way, and where the first of them goes.
    data: Box<[u8]>,
    filled: usize,
    data_at: u64,
    /// Inodes and directories on their way, by their offsets.
    waiting: BTreeMap<u64, Vec<u8>>,
    waiting_len: usize,
    /// The first block from the superblock on, whose checksum covers inodes too.
    first: Vec<u8>,
    /// Lengths of files that several have: only those are hashed.
    repeated: BTreeSet<u64>,
    /// Blocks that are there, by their content.
    seen: BTreeMap<(u64, Digest), u64>,
}

impl<'i, T: Target> Writer<'i, T> {
    /// Start an image.
    #[must_use]
    pub fn new(image: &'i Image<'i>, target: T) -> Self {
        let (mut once, mut repeated) = (BTreeSet::new(), BTreeSet::new());
        for (node, inode) in image.tree.nodes().iter().zip(&image.inodes) {
            if matches!(node.content, Content::File { .. }) && inode.full() > 0 && !once.insert(inode.size) {
                repeated.insert(inode.size);
            }
        }
        Self {
            image,
            target,
            done: vec![false; image.inodes.len()],
            next: image.data,
            data: Box::default(),
            filled: 0,
            data_at: image.data * BLOCK,
            waiting: BTreeMap::new(),
            waiting_len: 0,
            first: vec![0; narrow(BLOCK - SUPER_OFFSET)],
            repeated,
            seen: BTreeMap::new(),
        }
    }

    /// Write the file that is node `index` of the tree, each once. `reader` has all of its bytes; no more are read.
    ///
    /// A file whose blocks are those of an earlier one gets that one's. Equal calls in the same order give equal images.
    ///
    /// # Errors
    ///
    /// - [`ErofsError::Content`]: its bytes could not be read, or are too few; what was written is no image.
    /// - [`ErofsError::Io`]: the target refused bytes.
    pub fn file(&mut self, index: usize, reader: &mut dyn Read) -> Result<(), ErofsError> {
        let image = self.image;
        let Some(inode) = image.inodes.get(index) else { return Ok(()) };
        let mut block = self.next;
        if inode.full() > 0 {
            self.next += inode.blocks();
            if self.repeated.contains(&inode.size) {
                let mut hash = Hashing::new(io::sink());
                self.blocks(index, reader, |bytes| hash.write_all(bytes))?;
                let (_, digest, len) = hash.finish();
                let there = *self.seen.entry((len, digest)).or_insert(block);
                if there != block {
                    self.back(block);
                    block = there;
                }
            } else {
                self.blocks(index, reader, |_| Ok(()))?;
            }
        }
        let mut tail = vec![0; narrow(inode.tail())];
        reader.read_exact(&mut tail).map_err(|cause| image.unread(index, cause))?;
        self.inode(index, block, &tail)
    }

    /// Write all that is not a file, and the superblock. Gives the image's length in bytes.
    ///
    /// # Errors
    ///
    /// - [`ErofsError::Content`]: a file was never written.
    /// - [`ErofsError::Io`]: the target refused bytes.
    pub fn finish(mut self) -> Result<u64, ErofsError> {
        let image = self.image;
        self.pass_on()?;
        for (index, node) in image.tree.nodes().iter().enumerate() {
            let inode = &image.inodes[index];
            let bytes = match &node.content {
                Content::HardLink(_) => continue,
                _ if self.done.get(index).copied().unwrap_or_default() => continue,
                Content::File { size, .. } if *size > 0 => {
                    return Err(image.unread(index, io::ErrorKind::UnexpectedEof.into()));
                }
                Content::Directory => directory(image.tree, &image.children, index, |node| image.inodes[node].nid()),
                Content::Symlink(target) => target.clone(),
                _ => Vec::new(),
            };
            let (full, tail) = bytes.split_at_checked(narrow(inode.full())).unwrap_or_default();
            self.inode(index, inode.block.into(), tail)?;
            if !full.is_empty() {
                self.put(u64::from(inode.block) * BLOCK, full.to_vec())?;
            }
        }
        self.put_waiting()?;
        let mut first = std::mem::take(&mut self.first);
        for sum in [0, 1] {
            let checksum = if sum == 0 { 0 } else { crc32c(&first) };
            if let Some(slot) = first.get_mut(..size_of::<SuperBlock>()) {
                slot.copy_from_slice(image.super_block(self.next, checksum).as_bytes());
            }
        }
        self.target.write_at(SUPER_OFFSET, &first)?;
        let size = self.next * BLOCK;
        self.target.end(size)?;
        Ok(size)
    }

    /// Pass on the blocks of a file, the last one filled up with zeros, and show them to `each`.
    fn blocks(
        &mut self,
        index: usize,
        reader: &mut dyn Read,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), ErofsError> {
        let image = self.image;
        let full = image.inodes[index].full();
        let mut left = full;
        while left > 0 {
            let free = self.free(left)?;
            let read = match reader.read(free) {
                Ok(0) => return Err(image.unread(index, io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(image.unread(index, error)),
            };
            each(free.get(..read).unwrap_or_default())?;
            self.filled += read;
            left -= read as u64;
        }
        let mut pad = full.wrapping_neg() % BLOCK;
        while pad > 0 {
            let free = self.free(pad)?;
            free.fill(0);
            pad -= free.len() as u64;
            let filled = free.len();
            self.filled += filled;
        }
        Ok(())
    }

    /// Give room for at most `most` bytes of files.
    fn free(&mut self, most: u64) -> Result<&mut [u8], ErofsError> {
        if self.data.is_empty() {
            self.data = vec![0; DATA].into();
        }
        if self.filled == self.data.len() {
            self.pass_on()?;
        }
        let end = usize::try_from(most).map_or(DATA, |most| self.filled.saturating_add(most)).min(self.data.len());
        Ok(self.data.get_mut(self.filled..end).unwrap_or_default())
    }

    /// Write the bytes of files that are on their way.
    fn pass_on(&mut self) -> Result<(), ErofsError> {
        let bytes = self.data.get(..self.filled).unwrap_or_default();
        if !bytes.is_empty() {
            self.target.write_at(self.data_at, bytes)?;
        }
        self.data_at += self.filled as u64;
        self.filled = 0;
        Ok(())
    }

    /// Take back all from a block on: the next file is written over it.
    fn back(&mut self, block: u64) {
        self.next = block;
        let at = block * BLOCK;
        match at.checked_sub(self.data_at) {
            Some(kept) => self.filled = narrow(kept),
            None => (self.data_at, self.filled) = (at, 0),
        }
    }

    /// Write an inode, its attributes, and the part of its data that stands behind it.
    fn inode(&mut self, index: usize, block: u64, tail: &[u8]) -> Result<(), ErofsError> {
        let node = &self.image.tree.nodes()[index];
        let inode = self.image.inodes[index];
        let block = if inode.full() > 0 { narrow(block) } else { 0 };
        let mut bytes = Vec::new();
        push_inode(node, &super::place::Inode { block, ..inode }, &mut bytes);
        bytes.extend_from_slice(&xattrs(node)?);
        bytes.extend_from_slice(tail);
        if let Some(done) = self.done.get_mut(index) {
            *done = true;
        }
        self.put(inode.offset, bytes)
    }

    /// Keep bytes at a place until there are many.
    fn put(&mut self, offset: u64, bytes: Vec<u8>) -> Result<(), ErofsError> {
        if let Some(at) = offset.checked_sub(SUPER_OFFSET).filter(|_| offset < BLOCK) {
            // What starts in the first block ends in it.
            if let Some(slot) = self.first.get_mut(narrow(at)..).and_then(|rest| rest.get_mut(..bytes.len())) {
                slot.copy_from_slice(&bytes);
            }
            return Ok(());
        }
        self.waiting_len += bytes.len();
        self.waiting.insert(offset, bytes);
        if self.waiting_len < WAITING { Ok(()) } else { self.put_waiting() }
    }

    /// Write what waits, neighbours together.
    fn put_waiting(&mut self) -> Result<(), ErofsError> {
        let (mut start, mut run) = (0, Vec::new());
        for (offset, bytes) in std::mem::take(&mut self.waiting) {
            let end = start + run.len() as u64;
            // What is less than a slot is never used.
            match offset.checked_sub(end).filter(|gap| *gap < SLOT && run.len() < DATA) {
                Some(gap) => run.resize(run.len() + narrow::<usize>(gap), 0),
                None => {
                    self.target.write_at(start, &run)?;
                    run.clear();
                    start = offset;
                }
            }
            run.extend_from_slice(&bytes);
        }
        self.waiting_len = 0;
        Ok(self.target.write_at(start, &run)?)
    }
}
