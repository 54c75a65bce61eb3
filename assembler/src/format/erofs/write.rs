//! A tree to an image.

use std::io::{self, Write};
use std::mem::size_of;

use zerocopy::IntoBytes;

use super::ErofsError;
use super::layout::{
    BLOCK, BLOCK_BITS, COMPAT_CHECKSUM, COMPAT_MTIME, CompactInode, DataLayout, Dirent, ExtendedInode, MAGIC, PREFIXES,
    SLOT, SUPER_OFFSET, SuperBlock, XATTR_ALIGN, XattrEntry, XattrHeader, crc32c, device, file_type,
};
use crate::format::tree::{self, Children, Content, Contents, CopyError, Node, Tree, shown};

/// How many blocks of inodes are kept open, to fill what is left of them with what fits.
const OPEN: usize = 32;

/// What an image is called and when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Identity; whoever wants equal images to be equal derives it from what is inside.
    pub uuid: [u8; 16],
    /// Name, at most 16 bytes, padded with NUL.
    pub volume: [u8; 16],
    /// Time of the image, seconds since 1970, not before. Files changed then take 32 bytes less.
    pub time: u64,
}

/// An image whose places are known and whose bytes are not yet written.
#[derive(Debug)]
pub struct Image<'t> {
    tree: &'t Tree,
    children: Children,
    options: Options,
    /// Of every node, whatever it is; a hard link's is not used.
    inodes: Vec<Inode>,
    /// Nodes with an inode, in the order of their places.
    order: Vec<usize>,
    meta_blocks: u64,
    blocks: u32,
}

/// What is decided of one inode.
#[derive(Debug, Clone, Copy, Default)]
struct Inode {
    /// Offset in bytes from the image's start.
    offset: u64,
    /// Bytes of data, those of directories included.
    size: u64,
    /// Bytes of attributes.
    xattrs: u64,
    /// First block of data.
    block: u32,
    nlink: u32,
    ino: u32,
    extended: bool,
    inline: bool,
}

impl Inode {
    fn head(&self) -> u64 {
        let inode = if self.extended { size_of::<ExtendedInode>() } else { size_of::<CompactInode>() };
        inode as u64 + self.xattrs
    }

    /// Count the bytes that stand behind the inode.
    fn tail(&self) -> u64 {
        if self.inline { self.size % BLOCK } else { 0 }
    }

    /// Count the blocks of data.
    fn blocks(&self) -> u64 {
        if self.inline { self.size / BLOCK } else { self.size.div_ceil(BLOCK) }
    }

    fn nid(&self) -> u64 {
        self.offset / SLOT
    }
}

impl<'t> Image<'t> {
    /// Give everything in a tree its place.
    ///
    /// Equal trees and options give equal images.
    ///
    /// # Errors
    ///
    /// - [`ErofsError::TooLarge`].
    /// - [`ErofsError::Xattr`]: a name or value that does not fit, or numbers of a device that do not.
    pub fn new(tree: &'t Tree, options: Options) -> Result<Self, ErofsError> {
        let children = tree.children();
        let links = tree.links();
        let mut room = Room::new();
        let mut inodes = vec![Inode::default(); tree.nodes().len()];
        let mut order = Vec::new();
        let mut ino = 0;
        for (index, node) in tree.nodes().iter().enumerate() {
            if matches!(node.content, Content::HardLink(_)) {
                continue;
            }
            ino += 1;
            let size = match &node.content {
                Content::Directory => directory(tree, &children, index, |_| 0).len() as u64,
                Content::File { size, .. } => *size,
                Content::Symlink(target) => target.len() as u64,
                _ => 0,
            };
            let nlink = links[index];
            let mut inode = Inode { size, nlink, ino, xattrs: xattrs(node)?.len() as u64, ..Inode::default() };
            inode.extended = is_extended(node, &inode, options.time);
            inode.inline = size % BLOCK != 0 && inode.head() + size % BLOCK <= BLOCK;
            inode.offset = room.take(inode.head() + inode.tail());
            inodes[index] = inode;
            order.push(index);
        }
        order.sort_unstable_by_key(|index: &usize| inodes[*index].offset);
        let mut image = Self { tree, children, options, inodes, order, meta_blocks: room.blocks, blocks: 0 };
        image.place_data()?;
        Ok(image)
    }

    /// Give the length of the image in bytes, a multiple of 4096.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64::from(self.blocks) * BLOCK
    }

    /// Write the image from front to back.
    ///
    /// # Errors
    ///
    /// - [`ErofsError::Content`]: a file's bytes could not be read, or are too few; what was written is no image.
    /// - [`ErofsError::Io`]: `out` refused bytes.
    pub fn write(&self, contents: &dyn Contents, out: &mut dyn Write) -> Result<(), ErofsError> {
        // The checksum covers the inodes in the first block too.
        let later = self.order.partition_point(|index| self.inodes[*index].offset < BLOCK);
        let (first, rest) = self.order.split_at(later);
        let mut start = vec![0; usize::try_from(SUPER_OFFSET).unwrap_or_default()];
        start.extend_from_slice(self.super_block(0).as_bytes());
        let end = self.write_inodes(first, contents, start.len() as u64, &mut start)?;
        pad(end, &mut start)?;
        let sum = crc32c(start.get(SUPER).unwrap_or_default());
        if let Some(slot) = start.get_mut(SUPER).and_then(|block| block.get_mut(..size_of::<SuperBlock>())) {
            slot.copy_from_slice(self.super_block(sum).as_bytes());
        }
        out.write_all(&start)?;
        let end = self.write_inodes(rest, contents, BLOCK, out)?;
        pad(end, out)?;
        self.write_data(contents, out)
    }

    /// Give directories their blocks, then files: a walk over names stays within a small part of the image.
    fn place_data(&mut self) -> Result<(), ErofsError> {
        let mut next = self.meta_blocks;
        for directories in [true, false] {
            for (index, inode) in self.inodes.iter_mut().enumerate() {
                if (self.tree.nodes()[index].content == Content::Directory) == directories && inode.blocks() > 0 {
                    inode.block = u32::try_from(next).map_err(|_| ErofsError::TooLarge { blocks: next })?;
                    next = next.saturating_add(inode.blocks());
                }
            }
        }
        self.blocks = u32::try_from(next).map_err(|_| ErofsError::TooLarge { blocks: next })?;
        Ok(())
    }

    fn super_block(&self, checksum: u32) -> SuperBlock {
        // The root is placed first, so within the first two blocks.
        let root = self.inodes.first().map_or(0, |root| u16::try_from(root.nid()).unwrap_or_default());
        SuperBlock {
            magic: MAGIC.into(),
            checksum: checksum.into(),
            feature_compat: (COMPAT_CHECKSUM | COMPAT_MTIME).into(),
            block_bits: BLOCK_BITS,
            extra_slots: 0,
            root: root.into(),
            inodes: (self.order.len() as u64).into(),
            time: self.options.time.into(),
            nanoseconds: 0.into(),
            blocks: self.blocks.into(),
            meta_block: 0.into(),
            xattr_block: 0.into(),
            uuid: self.options.uuid,
            volume: self.options.volume,
            feature_incompat: 0.into(),
            reserved: [0; 44],
        }
    }

    /// Write inodes that follow each other, from byte `at` on; tell where the last one ends.
    fn write_inodes(
        &self,
        order: &[usize],
        contents: &dyn Contents,
        mut at: u64,
        out: &mut dyn Write,
    ) -> Result<u64, ErofsError> {
        let mut bytes = Vec::new();
        for index in order {
            let inode = &self.inodes[*index];
            let node = &self.tree.nodes()[*index];
            bytes.clear();
            bytes.resize(usize::try_from(inode.offset.saturating_sub(at)).unwrap_or_default(), 0);
            self.push_inode(node, inode, &mut bytes);
            bytes.extend_from_slice(&xattrs(node)?);
            self.push_tail(*index, contents, &mut bytes)?;
            out.write_all(&bytes)?;
            at += bytes.len() as u64;
        }
        Ok(at)
    }

    fn push_inode(&self, node: &Node, inode: &Inode, out: &mut Vec<u8>) {
        let layout = if inode.inline { DataLayout::Inline } else { DataLayout::Plain };
        let format = layout.format(inode.extended).into();
        // Checked when places were given: xattrs, devices and, for compact inodes, all that is narrow there.
        let xattr_count = match inode.xattrs {
            0 => 0,
            size => 1 + narrow::<u16>((size - size_of::<XattrHeader>() as u64) / XATTR_ALIGN as u64),
        };
        let block = match node.content {
            Content::Device(major, minor) => device(major, minor).unwrap_or_default(),
            _ => inode.block,
        };
        let attributes = &node.attributes;
        let mode = narrow::<u16>(u64::from(attributes.mode)).into();
        if inode.extended {
            let inode = ExtendedInode {
                format,
                xattr_count: xattr_count.into(),
                mode,
                reserved: 0.into(),
                size: inode.size.into(),
                block: block.into(),
                ino: inode.ino.into(),
                uid: attributes.uid.into(),
                gid: attributes.gid.into(),
                mtime: attributes.mtime.cast_unsigned().into(),
                nanoseconds: attributes.nanoseconds.into(),
                nlink: inode.nlink.into(),
                reserved2: [0; 16],
            };
            out.extend_from_slice(inode.as_bytes());
        } else {
            let inode = CompactInode {
                format,
                xattr_count: xattr_count.into(),
                mode,
                nlink: narrow::<u16>(u64::from(inode.nlink)).into(),
                size: narrow::<u32>(inode.size).into(),
                reserved: 0.into(),
                block: block.into(),
                ino: inode.ino.into(),
                uid: narrow::<u16>(u64::from(attributes.uid)).into(),
                gid: narrow::<u16>(u64::from(attributes.gid)).into(),
                reserved2: 0.into(),
            };
            out.extend_from_slice(inode.as_bytes());
        }
    }

    /// Append the part of the data that stands behind the inode.
    fn push_tail(&self, index: usize, contents: &dyn Contents, out: &mut Vec<u8>) -> Result<(), ErofsError> {
        let inode = &self.inodes[index];
        let full = inode.size - inode.tail();
        if inode.tail() == 0 {
            return Ok(());
        }
        match &self.tree.nodes()[index].content {
            Content::Directory => {
                let bytes = self.directory(index);
                out.extend_from_slice(
                    usize::try_from(full).ok().and_then(|full| bytes.get(full..)).unwrap_or_default(),
                );
            }
            Content::Symlink(target) => out.extend_from_slice(target),
            Content::File { offset, .. } => {
                tree::copy(contents, offset.saturating_add(full), inode.tail(), out)
                    .map_err(|error| self.copy_error(index, error))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn write_data(&self, contents: &dyn Contents, out: &mut dyn Write) -> Result<(), ErofsError> {
        let of_kind = |directories: bool| {
            let nodes = self.tree.nodes().iter().enumerate();
            nodes.filter(move |(_, node)| (node.content == Content::Directory) == directories)
        };
        for (index, node) in of_kind(true).chain(of_kind(false)) {
            let inode = &self.inodes[index];
            let size = (inode.blocks() * BLOCK).min(inode.size);
            if size == 0 {
                continue;
            }
            match &node.content {
                Content::Directory => {
                    let bytes = self.directory(index);
                    out.write_all(usize::try_from(size).ok().and_then(|size| bytes.get(..size)).unwrap_or_default())?;
                }
                Content::Symlink(target) => out.write_all(target)?,
                Content::File { offset, .. } => {
                    tree::copy(contents, *offset, size, out).map_err(|error| self.copy_error(index, error))?;
                }
                _ => {}
            }
            pad(size, out)?;
        }
        Ok(())
    }

    fn directory(&self, index: usize) -> Vec<u8> {
        directory(self.tree, &self.children, index, |node| self.inodes[node].nid())
    }

    fn copy_error(&self, index: usize, error: CopyError) -> ErofsError {
        let (path, size) = (shown(&self.tree.nodes()[index].path), self.inodes[index].size);
        match error {
            CopyError::Read(cause) => ErofsError::Content { path, size, cause },
            CopyError::Write(cause) => ErofsError::Io(cause),
        }
    }
}

/// The superblock's part of the first block.
const SUPER: std::ops::RangeFrom<usize> = 1024..;

/// Blocks of inodes, and what is still free in some of them.
struct Room {
    /// Number of a block and bytes used in it.
    open: Vec<(u64, u64)>,
    blocks: u64,
}

impl Room {
    fn new() -> Self {
        Self { open: vec![(0, SUPER_OFFSET + size_of::<SuperBlock>() as u64)], blocks: 1 }
    }

    /// Take `size` bytes, within one block if they fit into one; give their offset. The fullest block that has room is taken.
    fn take(&mut self, size: u64) -> u64 {
        let fits = |(_, used): &(u64, u64)| used + size <= BLOCK;
        let best = self.open.iter().enumerate().filter(|(_, block)| fits(block)).max_by_key(|(_, block)| block.1);
        if let Some((at, (block, used))) = best.map(|(at, block)| (at, *block)) {
            self.open[at].1 = (used + size).next_multiple_of(SLOT);
            return block * BLOCK + used;
        }
        let offset = self.blocks * BLOCK;
        self.blocks += size.div_ceil(BLOCK);
        let used = size % BLOCK;
        if used > 0 {
            self.open.push((self.blocks - 1, used.next_multiple_of(SLOT)));
        }
        if self.open.len() > OPEN
            && let Some((fullest, _)) = self.open.iter().enumerate().max_by_key(|(_, block)| block.1)
        {
            self.open.swap_remove(fullest);
        }
        offset
    }
}

/// Tell whether 32 bytes are too few for an inode.
fn is_extended(node: &Node, inode: &Inode, time: u64) -> bool {
    let attributes = &node.attributes;
    let narrow = [attributes.uid, attributes.gid, inode.nlink].iter().all(|value| u16::try_from(*value).is_ok());
    let same = u64::try_from(attributes.mtime) == Ok(time) && attributes.nanoseconds == 0;
    !(narrow && same && u32::try_from(inode.size).is_ok())
}

/// Narrow a number that is known to fit.
fn narrow<T: TryFrom<u64> + Default>(value: u64) -> T {
    T::try_from(value).unwrap_or_default()
}

/// Give the bytes of a directory: blocks, each with its entries and then their names, all sorted; the last one is cut off behind them.
fn directory(tree: &Tree, children: &Children, index: usize, nid: impl Fn(usize) -> u64) -> Vec<u8> {
    let mut names: Vec<(&[u8], usize)> = vec![(b".", index), (b"..", children.parent(index))];
    names.extend(children.of(index).iter().map(|child| (tree.nodes()[*child].name(), tree.data(*child))));
    // The kernel searches by halves: `!` and `-` come before `.`.
    names.sort_unstable();
    let mut bytes = Vec::new();
    let mut left = names.as_slice();
    while !left.is_empty() {
        let mut used = 0;
        let count = left.iter().take_while(|(name, _)| {
            used += size_of::<Dirent>() + name.len();
            used as u64 <= BLOCK
        });
        // A name has at most 255 bytes, so that several fit.
        let (block, rest) = left.split_at(count.count().max(1));
        bytes.resize(bytes.len().next_multiple_of(narrow(BLOCK)), 0);
        let mut name_offset = block.len() * size_of::<Dirent>();
        for (name, node) in block {
            let dirent = Dirent {
                nid: nid(*node).into(),
                name_offset: narrow::<u16>(name_offset as u64).into(),
                file_type: file_type(tree.nodes()[*node].attributes.mode),
                reserved: 0,
            };
            bytes.extend_from_slice(dirent.as_bytes());
            name_offset += name.len();
        }
        for (name, _) in block {
            bytes.extend_from_slice(name);
        }
        left = rest;
    }
    bytes
}

/// Give the bytes of a file's attributes, and check what else has too little room in an image.
fn xattrs(node: &Node) -> Result<Vec<u8>, ErofsError> {
    let refuse = |name: &[u8], what| ErofsError::Xattr { path: shown(&node.path), name: shown(name), what };
    if let Content::Device(major, minor) = node.content
        && device(major, minor).is_none()
    {
        return Err(refuse(b"rdev", "numbers of a device end at 4095 and 1048575"));
    }
    let mut bytes = Vec::new();
    if node.attributes.xattrs.is_empty() {
        return Ok(bytes);
    }
    bytes.extend_from_slice(XattrHeader::default().as_bytes());
    for (name, value) in &node.attributes.xattrs {
        let found = PREFIXES.iter().find_map(|(prefix, start)| {
            let rest = name.strip_prefix(*start)?;
            // Those of access lists are whole names; others need something behind the dot.
            (rest.is_empty() != start.ends_with(b".")).then_some((*prefix, rest))
        });
        let Some((prefix, rest)) = found else {
            return Err(refuse(name, "EROFS has no number for the start of this name"));
        };
        let name_len = u8::try_from(rest.len()).map_err(|_| refuse(name, "its name is longer than 255 bytes"))?;
        let value_len = u16::try_from(value.len()).map_err(|_| refuse(name, "its value is longer than 65535 bytes"))?;
        bytes.extend_from_slice(XattrEntry { name_len, prefix, value_len: value_len.into() }.as_bytes());
        bytes.extend_from_slice(rest);
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(XATTR_ALIGN), 0);
        if bytes.len() / XATTR_ALIGN > usize::from(u16::MAX) {
            return Err(refuse(name, "attributes of one file end at 256 KiB"));
        }
    }
    Ok(bytes)
}

/// Write zeros from byte `end` up to the next block.
fn pad(end: u64, out: &mut dyn Write) -> io::Result<()> {
    let zeros = [0; 4096];
    out.write_all(zeros.get(..narrow::<usize>(end.wrapping_neg() % BLOCK)).unwrap_or_default())
}
