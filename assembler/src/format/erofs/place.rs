//! What stands where: a tree to places, without a byte of any file.

use std::mem::size_of;

use super::ErofsError;
use super::encode::{directory, is_extended, xattrs};
use super::layout::{BLOCK, CompactInode, ExtendedInode, SLOT, SUPER_OFFSET, SuperBlock};
use crate::format::tree::{Children, Content, Tree};

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

impl Options {
    /// Put a name into its field; what is behind 16 bytes is cut off.
    #[must_use]
    pub fn volume(name: &str) -> [u8; 16] {
        let mut field = [0; 16];
        field.iter_mut().zip(name.bytes()).for_each(|(slot, byte)| *slot = byte);
        field
    }
}

/// An image whose inodes have their places and whose bytes are not yet written: all but the blocks of files follow from names,
/// sizes and attributes.
#[derive(Debug)]
pub struct Image<'t> {
    pub(super) tree: &'t Tree,
    pub(super) children: Children,
    pub(super) options: Options,
    /// Of every node, whatever it is; a hard link's is not used.
    pub(super) inodes: Vec<Inode>,
    /// How many of them there are without hard links.
    pub(super) count: u64,
    /// First block behind inodes and directories.
    pub(super) data: u64,
    blocks: u64,
}

/// What is decided of one inode.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Inode {
    /// Offset in bytes from the image's start.
    pub(super) offset: u64,
    /// Bytes of data, those of directories included.
    pub(super) size: u64,
    /// Bytes of attributes.
    pub(super) xattrs: u64,
    /// First block of data; of files not known yet.
    pub(super) block: u32,
    pub(super) nlink: u32,
    pub(super) ino: u32,
    pub(super) extended: bool,
    pub(super) inline: bool,
}

impl Inode {
    fn head(&self) -> u64 {
        let inode = if self.extended { size_of::<ExtendedInode>() } else { size_of::<CompactInode>() };
        inode as u64 + self.xattrs
    }

    /// Count the bytes that stand behind the inode.
    pub(super) fn tail(&self) -> u64 {
        if self.inline { self.size % BLOCK } else { 0 }
    }

    /// Count the bytes that stand in blocks.
    pub(super) fn full(&self) -> u64 {
        self.size - self.tail()
    }

    /// Count the blocks of data.
    pub(super) fn blocks(&self) -> u64 {
        self.full().div_ceil(BLOCK)
    }

    pub(super) fn nid(&self) -> u64 {
        self.offset / SLOT
    }
}

impl<'t> Image<'t> {
    /// Give every inode and every directory of a tree its place.
    ///
    /// Equal trees and options give equal places.
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
        }
        let count = u64::from(ino);
        let mut image = Self { tree, children, options, inodes, count, data: room.blocks, blocks: 0 };
        image.place_directories()?;
        Ok(image)
    }

    /// Give the most bytes that the image takes, a multiple of 4096; fewer if files have equal data.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.blocks * BLOCK
    }

    /// Give directories their blocks, before all files: a walk over names stays within a small part of the image.
    fn place_directories(&mut self) -> Result<(), ErofsError> {
        let mut files = 0_u64;
        for (node, inode) in self.tree.nodes().iter().zip(&mut self.inodes) {
            if matches!(node.content, Content::File { .. }) {
                files = files.saturating_add(inode.blocks());
            } else if inode.blocks() > 0 {
                inode.block = u32::try_from(self.data).map_err(|_| ErofsError::TooLarge { blocks: self.data })?;
                self.data += inode.blocks();
            }
        }
        // Every later number of a block is below this one.
        let blocks = self.data.saturating_add(files);
        self.blocks = u32::try_from(blocks).map_err(|_| ErofsError::TooLarge { blocks })?.into();
        Ok(())
    }
}

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
