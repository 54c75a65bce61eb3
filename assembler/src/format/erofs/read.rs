//! An image to values: what the tests hold against what was to be written. Bounded: what an image says of lengths takes no more
//! memory than there are bytes, or one of the limits here.

use std::collections::BTreeSet;
use std::io::Read;
use std::mem::size_of;

use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::ErofsError;
use super::layout::{
    BLOCK, BLOCK_BITS, COMPAT_CHECKSUM, CompactInode, DataLayout, Dirent, EXTENDED, ExtendedInode, INCOMPAT_PADDING,
    MAGIC, PREFIXES, SLOT, SUPER_OFFSET, SuperBlock, XATTR_ALIGN, XattrEntry, XattrHeader, device_numbers, file_type,
    xattr_size,
};
use crate::format::crc32c::crc32c;
use crate::format::tree::{self, Attributes, Contents, NAME_MAX, PATH_MAX, Xattrs, push};

/// Most names that are listed.
const NAMES_MAX: usize = 4 << 20;

/// An image being read.
#[expect(missing_debug_implementations, reason = "contents need not be shown")]
pub struct Reader<'i> {
    image: &'i dyn Contents,
    /// The superblock.
    pub super_block: SuperBlock,
}

/// One inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// Its slot.
    pub nid: u64,
    /// Offset in bytes from the image's start.
    pub offset: u64,
    /// Whether it takes 64 bytes.
    pub extended: bool,
    /// Where its data lies.
    pub layout: DataLayout,
    /// Number of names.
    pub nlink: u32,
    /// Bytes of data.
    pub size: u64,
    /// First block of data.
    pub block: u32,
    /// Numbers of a device; zero for everything else.
    pub device: (u32, u32),
    /// What else it is.
    pub attributes: Attributes,
    /// Bytes from the inode's start to its tail.
    head: u64,
}

impl Inode {
    /// Tell whether it is of a kind, such as [`tree::DIRECTORY`].
    #[must_use]
    pub fn is(&self, kind: u32) -> bool {
        self.attributes.mode & tree::TYPE == kind
    }
}

impl<'i> Reader<'i> {
    /// Read the superblock.
    ///
    /// # Errors
    ///
    /// - [`ErofsError::Damaged`]: it is none, its checksum is wrong, or it needs features other than those we write.
    /// - [`ErofsError::Io`].
    pub fn new(image: &'i dyn Contents) -> Result<Self, ErofsError> {
        let damaged = |what| ErofsError::Damaged { offset: SUPER_OFFSET, what };
        let mut rest = bytes(image, SUPER_OFFSET, BLOCK - SUPER_OFFSET)?;
        let (super_block, _) =
            SuperBlock::read_from_prefix(&rest).map_err(|_| damaged("the image ends before its superblock"))?;
        if super_block.magic != MAGIC {
            return Err(damaged("no superblock starts with these bytes"));
        }
        if super_block.block_bits != BLOCK_BITS {
            return Err(damaged("its blocks are not of 4 KiB"));
        }
        if super_block.feature_incompat.get() & !INCOMPAT_PADDING != 0 {
            return Err(damaged("it needs features that are not known"));
        }
        if super_block.feature_compat.get() & COMPAT_CHECKSUM != 0 {
            let blank = SuperBlock { checksum: 0.into(), ..super_block };
            if let Some(slot) = rest.get_mut(..size_of::<SuperBlock>()) {
                slot.copy_from_slice(blank.as_bytes());
            }
            if super_block.checksum != crc32c(&rest) {
                return Err(damaged("the checksum is wrong"));
            }
        }
        Ok(Self { image, super_block })
    }

    /// Read the inode in slot `nid`, with its attributes.
    ///
    /// # Errors
    ///
    /// - [`ErofsError::Damaged`], [`ErofsError::Io`].
    pub fn inode(&self, nid: u64) -> Result<Inode, ErofsError> {
        let start = u64::from(self.super_block.meta_block.get()) * BLOCK;
        let offset = nid.checked_mul(SLOT).and_then(|slots| start.checked_add(slots)).unwrap_or(u64::MAX);
        let damaged = |what| ErofsError::Damaged { offset, what };
        let format: zerocopy::little_endian::U16 = self.read(offset)?;
        let extended = format.get() & EXTENDED != 0;
        let layout = DataLayout::from_format(format.get()).ok_or(damaged("its data is compressed or in chunks"))?;
        let mut attributes = Attributes::default();
        let (size, block, nlink, count, head);
        if extended {
            let inode: ExtendedInode = self.read(offset)?;
            (attributes.uid, attributes.gid) = (inode.uid.get(), inode.gid.get());
            attributes.mode = u32::from(inode.mode.get());
            attributes.mtime = inode.mtime.get().cast_signed();
            attributes.nanoseconds = inode.nanoseconds.get();
            (size, block, nlink, count) =
                (inode.size.get(), inode.block.get(), inode.nlink.get(), inode.xattr_count.get());
            head = size_of::<ExtendedInode>();
        } else {
            let inode: CompactInode = self.read(offset)?;
            (attributes.uid, attributes.gid) = (u32::from(inode.uid.get()), u32::from(inode.gid.get()));
            attributes.mode = u32::from(inode.mode.get());
            attributes.mtime = self.super_block.time.get().cast_signed();
            attributes.nanoseconds = self.super_block.nanoseconds.get();
            size = u64::from(inode.size.get());
            (block, nlink, count) = (inode.block.get(), u32::from(inode.nlink.get()), inode.xattr_count.get());
            head = size_of::<CompactInode>();
        }
        if file_type(attributes.mode) == 0 {
            return Err(damaged("it is of no kind"));
        }
        let head = head as u64;
        attributes.xattrs = self.xattrs(offset.saturating_add(head), xattr_size(count))?;
        let is_device = matches!(attributes.mode & tree::TYPE, tree::CHAR | tree::BLOCK);
        let (device, block) = if is_device { (device_numbers(block), 0) } else { ((0, 0), block) };
        let head = head.saturating_add(xattr_size(count));
        Ok(Inode { nid, offset, extended, layout, nlink, size, block, device, attributes, head })
    }

    /// Read an inode's data whole: a file's bytes, a link's target, a directory's blocks.
    ///
    /// # Errors
    ///
    /// - [`ErofsError::Damaged`]: the image ends before, or a tail leaves its block.
    /// - [`ErofsError::Io`].
    pub fn data(&self, inode: &Inode) -> Result<Vec<u8>, ErofsError> {
        let tail = if inode.layout == DataLayout::Inline { inode.size % BLOCK } else { 0 };
        let full = inode.size.saturating_sub(tail);
        let mut data = self.exactly(u64::from(inode.block) * BLOCK, full)?;
        let at = inode.offset.saturating_add(inode.head);
        if tail > 0 && at % BLOCK + tail > BLOCK {
            return Err(ErofsError::Damaged { offset: at, what: "a tail leaves its block" });
        }
        data.extend(self.exactly(at, tail)?);
        Ok(data)
    }

    /// List the names in a directory and the slots of their inodes, `.` and `..` included.
    ///
    /// # Errors
    ///
    /// - [`ErofsError::Damaged`]: also if the names are not sorted, for the kernel would not find them.
    /// - [`ErofsError::Io`].
    pub fn names(&self, inode: &Inode) -> Result<Vec<(Vec<u8>, Dirent)>, ErofsError> {
        let damaged = |what| ErofsError::Damaged { offset: inode.offset, what };
        let data = self.data(inode)?;
        let mut names: Vec<(Vec<u8>, Dirent)> = Vec::new();
        for block in data.chunks(4096) {
            let (first, _) = Dirent::read_from_prefix(block).map_err(|_| damaged("a directory's block is cut off"))?;
            let heads = usize::from(first.name_offset.get());
            let heads = block.get(..heads).ok_or(damaged("a name starts behind its block"))?;
            if heads.is_empty() || heads.len() % size_of::<Dirent>() != 0 {
                return Err(damaged("a directory's first name starts amid its entries"));
            }
            let mut entries = heads
                .chunks_exact(size_of::<Dirent>())
                .filter_map(|head| Dirent::read_from_bytes(head).ok())
                .peekable();
            while let Some(entry) = entries.next() {
                let start = usize::from(entry.name_offset.get());
                let end = entries.peek().map_or(block.len(), |next| usize::from(next.name_offset.get()));
                let name = block.get(start..end).ok_or(damaged("names overlap or leave their block"))?;
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                if name.is_empty() || name.len() > NAME_MAX || name.contains(&b'/') {
                    return Err(damaged("a name is empty, too long or holds a slash"));
                }
                if names.last().is_some_and(|(before, _)| before.as_slice() >= name) {
                    return Err(damaged("names are not sorted"));
                }
                names.push((name.to_vec(), entry));
            }
        }
        Ok(names)
    }

    /// List every name of the image, sorted by path, with its inode. Names of one file have inodes of the same slot.
    ///
    /// # Errors
    ///
    /// - [`ErofsError::Damaged`]: also if a directory is its own descendant or has two names.
    /// - [`ErofsError::Io`].
    pub fn walk(&self) -> Result<Vec<(Vec<u8>, Inode)>, ErofsError> {
        let root = self.inode(u64::from(self.super_block.root.get()))?;
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        let mut ahead = vec![(Vec::new(), root)];
        while let Some((path, inode)) = ahead.pop() {
            let damaged = |what| ErofsError::Damaged { offset: inode.offset, what };
            if inode.is(tree::DIRECTORY) {
                if !seen.insert(inode.nid) {
                    return Err(damaged("a directory has two names"));
                }
                for (name, entry) in self.names(&inode)? {
                    if matches!(name.as_slice(), b"." | b"..") {
                        continue;
                    }
                    let mut path = path.clone();
                    push(&mut path, &name);
                    if path.len() > PATH_MAX || found.len() + ahead.len() > NAMES_MAX {
                        return Err(damaged("a path is too long, or there are too many"));
                    }
                    let child = self.inode(entry.nid.get())?;
                    if file_type(child.attributes.mode) != entry.file_type {
                        return Err(damaged("a directory and an inode differ in their type"));
                    }
                    ahead.push((path, child));
                }
            }
            found.push((path, inode));
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }

    /// Read attributes: those that are shared and those that are the inode's own.
    fn xattrs(&self, offset: u64, size: u64) -> Result<Xattrs, ErofsError> {
        let mut xattrs = Xattrs::new();
        if size == 0 {
            return Ok(xattrs);
        }
        let damaged = || ErofsError::Damaged { offset, what: "attributes leave their room" };
        let area = self.exactly(offset, size)?;
        let (header, rest) = XattrHeader::read_from_prefix(&area).map_err(|_| damaged())?;
        let ids = usize::from(header.shared) * size_of::<u32>();
        let (ids, mut own) = rest.split_at_checked(ids).ok_or_else(damaged)?;
        let shared = u64::from(self.super_block.xattr_block.get()) * BLOCK;
        for id in ids.chunks_exact(4) {
            let id = id.iter().rev().fold(0_u64, |id, byte| id << 8 | u64::from(*byte));
            let at = shared.saturating_add(id * XATTR_ALIGN as u64);
            let most = size_of::<XattrEntry>() as u64 + u64::from(u8::MAX) + u64::from(u16::MAX);
            let (xattr, _) = xattr(&bytes(self.image, at, most)?).ok_or_else(damaged)?;
            xattrs.push(xattr);
        }
        // What is left of the room may be zeros.
        while own.iter().any(|byte| *byte != 0) {
            let (xattr, used) = xattr(own).ok_or_else(damaged)?;
            xattrs.push(xattr);
            own = own.get(used.next_multiple_of(XATTR_ALIGN)..).unwrap_or_default();
        }
        xattrs.sort();
        Ok(xattrs)
    }

    fn read<T: FromBytes + IntoBytes + FromZeros>(&self, offset: u64) -> Result<T, ErofsError> {
        let bytes = self.exactly(offset, size_of::<T>() as u64)?;
        T::read_from_bytes(&bytes).map_err(|_| ErofsError::Damaged { offset, what: "the image ends too early" })
    }

    fn exactly(&self, offset: u64, size: u64) -> Result<Vec<u8>, ErofsError> {
        let bytes = bytes(self.image, offset, size)?;
        if bytes.len() as u64 != size {
            return Err(ErofsError::Damaged { offset, what: "the image ends too early" });
        }
        Ok(bytes)
    }
}

/// Name and value.
type Xattr = (Vec<u8>, Vec<u8>);

/// Take one attribute from the front; tell how many bytes it took.
fn xattr(bytes: &[u8]) -> Option<(Xattr, usize)> {
    let (entry, rest) = XattrEntry::read_from_prefix(bytes).ok()?;
    let (name, rest) = rest.split_at_checked(usize::from(entry.name_len))?;
    let value = rest.get(..usize::from(entry.value_len.get()))?;
    let (_, prefix) = PREFIXES.iter().find(|(number, _)| *number == entry.prefix)?;
    let used = size_of::<XattrEntry>() + name.len() + value.len();
    Some((([prefix, name].concat(), value.to_vec()), used))
}

/// Read up to `size` bytes; no more memory is taken than there are bytes.
fn bytes(image: &dyn Contents, offset: u64, size: u64) -> Result<Vec<u8>, ErofsError> {
    let mut bytes = Vec::new();
    image.reader(offset, size)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
