//! What stands where. All integers are little-endian.

use std::mem::{offset_of, size_of};

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::format::tree;

/// Bytes of a block.
pub const BLOCK: u64 = 4096;
/// The same as a power of two.
pub const BLOCK_BITS: u8 = 12;
/// Where the superblock starts, in bytes.
pub const SUPER_OFFSET: u64 = 1024;
/// First four bytes of a superblock.
pub const MAGIC: u32 = 0xe0f5_e1e2;
/// Bytes of a slot; an inode's number is its offset in slots.
pub const SLOT: u64 = 32;

/// Compatible feature: the superblock has a checksum.
pub const COMPAT_CHECKSUM: u32 = 1;
/// Compatible feature: times are those of last change, not of creation.
pub const COMPAT_MTIME: u32 = 2;
/// Incompatible feature that says nothing about uncompressed images: LZ4 data is padded in front.
pub const INCOMPAT_PADDING: u32 = 1;

/// Superblock, 128 bytes at [`SUPER_OFFSET`].
///
/// Source: Linux, `fs/erofs/erofs_fs.h`, `struct erofs_super_block`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SuperBlock {
    /// 0x00: [`MAGIC`].
    pub magic: U32,
    /// 0x04: [`crc32c`](crate::format::crc32c::crc32c) of the rest of the first block, from the superblock on, with this field zero.
    pub checksum: U32,
    /// 0x08: features that a reader may not know.
    pub feature_compat: U32,
    /// 0x0c: [`BLOCK_BITS`].
    pub block_bits: u8,
    /// 0x0d: how many 16-byte slots follow the superblock; none.
    pub extra_slots: u8,
    /// 0x0e: slot of the root.
    pub root: U16,
    /// 0x10: how many inodes there are.
    pub inodes: U64,
    /// 0x18: time of compact inodes, seconds since 1970.
    pub time: U64,
    /// 0x20: nanoseconds to add to it.
    pub nanoseconds: U32,
    /// 0x24: blocks of the image.
    pub blocks: U32,
    /// 0x28: block that slot 0 starts at.
    pub meta_block: U32,
    /// 0x2c: block that shared attributes are counted from.
    pub xattr_block: U32,
    /// 0x30: identity of the image.
    pub uuid: [u8; 16],
    /// 0x40: its name, padded with NUL.
    pub volume: [u8; 16],
    /// 0x50: features that a reader must know.
    pub feature_incompat: U32,
    /// 0x54: compression, extra devices, prefixes of attribute names, packed inode: all zero.
    pub reserved: [u8; 44],
}
const _: () = assert!(size_of::<SuperBlock>() == 128);
const _: () = assert!(offset_of!(SuperBlock, meta_block) == 0x28);
const _: () = assert!(offset_of!(SuperBlock, feature_incompat) == 0x50);

/// An inode of 32 bytes, changed when the image was made.
///
/// Source: Linux, `fs/erofs/erofs_fs.h`, `struct erofs_inode_compact`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct CompactInode {
    /// 0x00: bit 0 [`EXTENDED`], the next three a [`DataLayout`].
    pub format: U16,
    /// 0x02: see [`xattr_size`].
    pub xattr_count: U16,
    /// 0x04: type and permission bits, as in `st_mode`.
    pub mode: U16,
    /// 0x06: number of names.
    pub nlink: U16,
    /// 0x08: bytes of data.
    pub size: U32,
    /// 0x0c: zero.
    pub reserved: U32,
    /// 0x10: first block of data, or numbers of a device as [`device`] gives them.
    pub block: U32,
    /// 0x14: number of the inode for `stat` on machines of 32 bits.
    pub ino: U32,
    /// 0x18: owner.
    pub uid: U16,
    /// 0x1a: group.
    pub gid: U16,
    /// 0x1c: zero.
    pub reserved2: U32,
}
const _: () = assert!(size_of::<CompactInode>() == 32);
const _: () = assert!(offset_of!(CompactInode, block) == 0x10);

/// An inode of 64 bytes.
///
/// Source: Linux, `fs/erofs/erofs_fs.h`, `struct erofs_inode_extended`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ExtendedInode {
    /// 0x00: bit 0 [`EXTENDED`], the next three a [`DataLayout`].
    pub format: U16,
    /// 0x02: see [`xattr_size`].
    pub xattr_count: U16,
    /// 0x04: type and permission bits, as in `st_mode`.
    pub mode: U16,
    /// 0x06: zero.
    pub reserved: U16,
    /// 0x08: bytes of data.
    pub size: U64,
    /// 0x10: first block of data, or numbers of a device as [`device`] gives them.
    pub block: U32,
    /// 0x14: number of the inode for `stat` on machines of 32 bits.
    pub ino: U32,
    /// 0x18: owner.
    pub uid: U32,
    /// 0x1c: group.
    pub gid: U32,
    /// 0x20: time of last change, seconds since 1970, two's complement.
    pub mtime: U64,
    /// 0x28: nanoseconds to add to it.
    pub nanoseconds: U32,
    /// 0x2c: number of names.
    pub nlink: U32,
    /// 0x30: zero.
    pub reserved2: [u8; 16],
}
const _: () = assert!(size_of::<ExtendedInode>() == 64);
const _: () = assert!(offset_of!(ExtendedInode, mtime) == 0x20);

/// Bit of an inode's format: it has 64 bytes.
pub const EXTENDED: u16 = 1;

/// Where an inode's data lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataLayout {
    /// 0: all of it in blocks that follow each other.
    Plain,
    /// 2: as before, but what is less than a block stands behind the inode, in one block with its own end.
    Inline,
}

impl DataLayout {
    /// Read it from an inode's format; `None` for compressed and chunked data.
    #[must_use]
    pub fn from_format(format: u16) -> Option<Self> {
        match format >> 1 {
            0 => Some(Self::Plain),
            2 => Some(Self::Inline),
            _ => None,
        }
    }

    /// Put it into an inode's format.
    #[must_use]
    pub fn format(self, extended: bool) -> u16 {
        let layout: u16 = if self == Self::Inline { 2 } else { 0 };
        layout << 1 | if extended { EXTENDED } else { 0 }
    }
}

/// Head of an inode's attributes, 12 bytes; numbers of shared ones follow, then its own.
///
/// Source: Linux, `fs/erofs/erofs_fs.h`, `struct erofs_xattr_ibody_header`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct XattrHeader {
    /// 0x00: a filter of names; zero, it is a feature we do not announce.
    pub filter: U32,
    /// 0x04: how many numbers of shared attributes follow.
    pub shared: u8,
    /// 0x05: zero.
    pub reserved: [u8; 7],
}
const _: () = assert!(size_of::<XattrHeader>() == 12);

/// Head of one attribute, 4 bytes; its name without the prefix and its value follow, then zeros up to a multiple of 4.
///
/// Source: Linux, `fs/erofs/erofs_fs.h`, `struct erofs_xattr_entry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct XattrEntry {
    /// 0x00: bytes of the name that stand here.
    pub name_len: u8,
    /// 0x01: which of [`PREFIXES`] stands before it.
    pub prefix: u8,
    /// 0x02: bytes of the value.
    pub value_len: U16,
}
const _: () = assert!(size_of::<XattrEntry>() == 4);

/// Attributes start, and end, at multiples of this many bytes.
pub const XATTR_ALIGN: usize = 4;

/// What names of attributes start with, and its number. Whole names come before their own beginnings.
pub const PREFIXES: [(u8, &[u8]); 5] = [
    (1, b"user."),
    (2, b"system.posix_acl_access"),
    (3, b"system.posix_acl_default"),
    (4, b"trusted."),
    (6, b"security."),
];

/// Count the bytes of attributes from an inode's field: none for 0, else a header and so many words but one.
#[must_use]
pub fn xattr_size(count: u16) -> u64 {
    match count {
        0 => 0,
        count => size_of::<XattrHeader>() as u64 + u64::from(count - 1) * XATTR_ALIGN as u64,
    }
}

/// One name in a block of a directory, 12 bytes. Names follow the last of them, in the same order.
///
/// Source: Linux, `fs/erofs/erofs_fs.h`, `struct erofs_dirent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Dirent {
    /// 0x00: the inode's slot.
    pub nid: U64,
    /// 0x08: where the name starts in this block; the first one's tells how many there are.
    pub name_offset: U16,
    /// 0x0a: see [`file_type`].
    pub file_type: u8,
    /// 0x0b: zero.
    pub reserved: u8,
}
const _: () = assert!(size_of::<Dirent>() == 12);

/// Give a directory's number for the type in a mode; 0 for none.
#[must_use]
pub fn file_type(mode: u32) -> u8 {
    match mode & tree::TYPE {
        tree::REGULAR => 1,
        tree::DIRECTORY => 2,
        tree::CHAR => 3,
        tree::BLOCK => 4,
        tree::FIFO => 5,
        tree::SOCKET => 6,
        tree::SYMLINK => 7,
        _ => 0,
    }
}

/// Put the numbers of a device into 32 bits: 12 of the major number, 20 of the minor; `None` if they do not fit.
///
/// Source: Linux, `include/linux/kdev_t.h`, `new_encode_dev`.
#[must_use]
pub fn device(major: u32, minor: u32) -> Option<u32> {
    (major < 1 << 12 && minor < 1 << 20).then_some(minor & 0xff | major << 8 | (minor & !0xff) << 12)
}

/// Take the numbers of a device out of 32 bits.
#[must_use]
pub fn device_numbers(device: u32) -> (u32, u32) {
    ((device & 0xf_ff00) >> 8, device & 0xff | (device >> 12) & 0xf_ff00)
}
