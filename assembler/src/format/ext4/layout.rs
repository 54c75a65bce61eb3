//! What stands where. All integers are little-endian, but for those of the journal, which are big-endian.

use std::mem::{offset_of, size_of};

use zerocopy::big_endian;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a block.
pub const BLOCK: u32 = 4096;
/// The same as a power of two, counted from 1024.
pub const BLOCK_BITS: u32 = 2;
/// Blocks of a group, and of the file system: as many as a block has bits.
pub const BLOCKS: u32 = BLOCK * 8;
/// Bytes of the file system.
pub const SIZE: u64 = BLOCKS as u64 * BLOCK as u64;
/// Inodes of a group.
pub const INODES: u32 = 8192;
/// Bytes of an inode.
pub const INODE_LEN: u16 = 256;
/// Blocks that hold the inodes of a group.
pub const INODE_BLOCKS: u32 = INODES * INODE_LEN as u32 / BLOCK;
/// Bytes of a group's descriptor.
pub const DESCRIPTOR_LEN: u16 = 64;
/// Groups whose bitmaps and inodes may lie together, as a power of two.
pub const FLEX_BITS: u8 = 4;
/// Blocks that wait to become descriptors: the most that there may be, a quarter of a block's bytes.
pub const SPARE: u16 = 1024;

/// Block of the descriptors.
pub const DESCRIPTORS: u32 = 1;
/// First block that waits to become one of descriptors.
pub const SPARE_START: u32 = DESCRIPTORS + 1;
/// Bitmap of blocks.
pub const BLOCK_BITMAP: u32 = SPARE_START + SPARE as u32;
/// Bitmap of inodes.
pub const INODE_BITMAP: u32 = BLOCK_BITMAP + 1;
/// First block of inodes.
pub const INODE_TABLE: u32 = INODE_BITMAP + 1;
/// The root's block.
pub const ROOT: u32 = INODE_TABLE + INODE_BLOCKS;
/// First block of lost+found.
pub const LOST_FOUND: u32 = ROOT + 1;
/// How many it has: e2fsck fills it without asking for more.
pub const LOST_FOUND_BLOCKS: u16 = 4;
/// Block that lists those of the resize inode.
pub const RESIZE: u32 = LOST_FOUND + LOST_FOUND_BLOCKS as u32;
/// First block of the journal.
pub const JOURNAL: u32 = RESIZE + 1;
/// How many it has: 32 MiB.
pub const JOURNAL_BLOCKS: u16 = 8192;
/// First free block; all behind are free too.
pub const FREE: u32 = JOURNAL + JOURNAL_BLOCKS as u32;
const _: () = assert!(BLOCK_BITMAP == 1026 && ROOT == 1540 && JOURNAL == 1546 && FREE == 9738);

/// The root's inode.
pub const ROOT_INODE: u32 = 2;
/// Inode that holds blocks for descriptors.
pub const RESIZE_INODE: u32 = 7;
/// The journal's inode.
pub const JOURNAL_INODE: u32 = 8;
/// Inode of lost+found: the first that is not reserved, and the last in use.
pub const LOST_FOUND_INODE: u32 = 11;

/// Where the superblock starts, in bytes.
pub const SUPER_OFFSET: usize = 1024;
/// What a superblock is known by.
pub const MAGIC: u16 = 0xef53;
/// State: unmounted, without errors.
pub const CLEAN: u16 = 1;
/// What to do on errors: go on.
pub const CONTINUE: u16 = 1;
/// Count of mounts that asks for no check.
pub const NO_CHECK: u16 = u16::MAX;
/// Revision in which inodes have a size and features a name.
pub const DYNAMIC: u32 = 1;
/// How names are hashed: MD4, halved.
pub const HALF_MD4: u8 = 1;
/// Flag of the superblock: names are hashed as signed bytes.
pub const SIGNED_HASH: u32 = 1;
/// What the superblock has a copy of: the journal's inode.
pub const BACKUP_INODE: u8 = 1;
/// How things are summed up: CRC-32C.
pub const CRC32C: u8 = 1;
/// Options of a mount that are not given: `user_xattr`, `acl`.
pub const MOUNT_OPTIONS: u32 = 0x4 | 0x8;
/// Features that a writer may not know: `has_journal`, `ext_attr`, `resize_inode`, `dir_index`.
pub const COMPAT: u32 = 0x4 | 0x8 | 0x10 | 0x20;
/// Features that a reader must know: `filetype`, `extent`, `64bit`, `flex_bg`.
pub const INCOMPAT: u32 = 0x2 | 0x40 | 0x80 | 0x200;
/// Features that a writer must know: `sparse_super`, `large_file`, `huge_file`, `dir_nlink`, `extra_isize`, `metadata_csum`.
pub const RO_COMPAT: u32 = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x400;

/// Superblock, 1024 bytes at [`SUPER_OFFSET`].
///
/// Source: Linux, `Documentation/filesystems/ext4/super.rst`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SuperBlock {
    /// 0x00: how many inodes there are.
    pub inodes: U32,
    /// 0x04: how many blocks.
    pub blocks: U32,
    /// 0x08: blocks that are kept for root; none.
    pub kept_blocks: U32,
    /// 0x0c: free blocks.
    pub free_blocks: U32,
    /// 0x10: free inodes.
    pub free_inodes: U32,
    /// 0x14: block of the superblock; zero.
    pub first_block: U32,
    /// 0x18: [`BLOCK_BITS`].
    pub block_bits: U32,
    /// 0x1c: the same.
    pub cluster_bits: U32,
    /// 0x20: [`BLOCKS`].
    pub blocks_per_group: U32,
    /// 0x24: the same.
    pub clusters_per_group: U32,
    /// 0x28: [`INODES`].
    pub inodes_per_group: U32,
    /// 0x2c: time of the last mount, seconds since 1970; none.
    pub mount_time: U32,
    /// 0x30: time of the last write.
    pub write_time: U32,
    /// 0x34: mounts since the last check.
    pub mounts: U16,
    /// 0x36: [`NO_CHECK`].
    pub max_mounts: U16,
    /// 0x38: [`MAGIC`].
    pub magic: U16,
    /// 0x3a: [`CLEAN`].
    pub state: U16,
    /// 0x3c: [`CONTINUE`].
    pub errors: U16,
    /// 0x3e: zero.
    pub minor_revision: U16,
    /// 0x40: time of the last check.
    pub check_time: U32,
    /// 0x44: seconds between checks; zero, there are none.
    pub check_interval: U32,
    /// 0x48: who made it; zero for Linux.
    pub creator: U32,
    /// 0x4c: [`DYNAMIC`].
    pub revision: U32,
    /// 0x50: user and group that blocks are kept for.
    pub kept_for: [U16; 2],
    /// 0x54: first inode that is not reserved.
    pub first_inode: U32,
    /// 0x58: bytes of an inode.
    pub inode_size: U16,
    /// 0x5a: group that this superblock stands in.
    pub group: U16,
    /// 0x5c: [`COMPAT`].
    pub compat: U32,
    /// 0x60: [`INCOMPAT`].
    pub incompat: U32,
    /// 0x64: [`RO_COMPAT`].
    pub ro_compat: U32,
    /// 0x68: identity of the file system.
    pub uuid: [u8; 16],
    /// 0x78: its name, padded with NUL.
    pub label: [u8; 16],
    /// 0x88: where it was last mounted; what is left of other file systems behind it; zeros.
    pub last_mounted: [U32; 17],
    /// 0xcc: blocks to take ahead of need; zero.
    pub ahead: [u8; 2],
    /// 0xce: [`SPARE`].
    pub spare: U16,
    /// 0xd0: identity of a journal that is elsewhere; zeros.
    pub journal_uuid: [u8; 16],
    /// 0xe0: [`JOURNAL_INODE`].
    pub journal_inode: U32,
    /// 0xe4: device of a journal that is elsewhere; zero.
    pub journal_device: U32,
    /// 0xe8: first inode that was unlinked while open; none.
    pub orphan: U32,
    /// 0xec: what hashes of names start with.
    pub hash_seed: [u8; 16],
    /// 0xfc: [`HALF_MD4`].
    pub hash: u8,
    /// 0xfd: [`BACKUP_INODE`].
    pub backup_kind: u8,
    /// 0xfe: bytes of a descriptor.
    pub descriptor_size: U16,
    /// 0x100: [`MOUNT_OPTIONS`].
    pub mount_options: U32,
    /// 0x104: first block of descriptors with META_BG; zero.
    pub first_meta: U32,
    /// 0x108: time of making.
    pub made: U32,
    /// 0x10c: copy of parts of the journal's inode.
    pub backup: JournalBackup,
    /// 0x150: upper halves of the three counts of blocks; zeros.
    pub blocks_high: [U32; 3],
    /// 0x15c: bytes beyond the first 128 that all inodes have.
    pub min_extra: U16,
    /// 0x15e: bytes beyond the first 128 that new inodes get.
    pub want_extra: U16,
    /// 0x160: [`SIGNED_HASH`].
    pub flags: U32,
    /// 0x164: RAID, several mounts; zeros.
    pub raid: [U32; 4],
    /// 0x174: [`FLEX_BITS`].
    pub flex_bits: u8,
    /// 0x175: [`CRC32C`].
    pub sum_kind: u8,
    /// 0x176: zero.
    pub reserved: U16,
    /// 0x178: KiB ever written; zero.
    pub written: U64,
    /// 0x180: snapshots, errors, options of a mount, quota; zeros.
    pub unused: [[U64; 5]; 5],
    /// 0x248: blocks that can never be a file's.
    pub overhead: U32,
    /// 0x24c: features that are not there; zeros.
    pub unused2: [[U32; 12]; 9],
    /// 0x3fc: [`crc32c`] of all before it.
    ///
    /// [`crc32c`]: crate::format::crc32c::crc32c
    pub sum: U32,
}
const _: () = assert!(size_of::<SuperBlock>() == 1024);
const _: () = assert!(offset_of!(SuperBlock, uuid) == 0x68);
const _: () = assert!(offset_of!(SuperBlock, spare) == 0xce);
const _: () = assert!(offset_of!(SuperBlock, backup) == 0x10c);
const _: () = assert!(offset_of!(SuperBlock, flex_bits) == 0x174);
const _: () = assert!(offset_of!(SuperBlock, overhead) == 0x248);
const _: () = assert!(offset_of!(SuperBlock, sum) == 0x3fc);

/// What of the journal's inode stands in the superblock too, 68 bytes.
///
/// Source: Linux, `Documentation/filesystems/ext4/super.rst`, `s_jnl_blocks`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct JournalBackup {
    /// 0x00: where its data lies.
    pub map: [U32; 15],
    /// 0x3c: upper half of its size.
    pub size_high: U32,
    /// 0x40: lower half of its size in bytes.
    pub size: U32,
}
const _: () = assert!(size_of::<JournalBackup>() == 68);

/// Flag of a group: what of its inodes is not used is zeros on the disk.
pub const INODES_ZEROED: u16 = 4;

/// Descriptor of a group, 64 bytes.
///
/// Source: Linux, `Documentation/filesystems/ext4/group_descr.rst`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Descriptor {
    /// 0x00: block of the bitmap of blocks.
    pub block_bitmap: U32,
    /// 0x04: block of the bitmap of inodes.
    pub inode_bitmap: U32,
    /// 0x08: first block of inodes.
    pub inode_table: U32,
    /// 0x0c: free blocks.
    pub free_blocks: U16,
    /// 0x0e: free inodes.
    pub free_inodes: U16,
    /// 0x10: directories.
    pub directories: U16,
    /// 0x12: [`INODES_ZEROED`].
    pub flags: U16,
    /// 0x14: snapshots; zero.
    pub exclude_bitmap: U32,
    /// 0x18: lower half of the sum of the bitmap of blocks.
    pub block_bitmap_sum: U16,
    /// 0x1a: lower half of the sum of the bitmap of inodes.
    pub inode_bitmap_sum: U16,
    /// 0x1c: inodes at the table's end that were never used.
    pub unused_inodes: U16,
    /// 0x1e: lower half of the sum of the group's number and this descriptor, with this field zero.
    pub sum: U16,
    /// 0x20: upper halves of three blocks, three counts, unused inodes and snapshots; zeros.
    pub high: [U32; 6],
    /// 0x38: upper half of the sum of the bitmap of blocks.
    pub block_bitmap_sum_high: U16,
    /// 0x3a: upper half of the sum of the bitmap of inodes.
    pub inode_bitmap_sum_high: U16,
    /// 0x3c: zero.
    pub reserved: U32,
}
const _: () = assert!(size_of::<Descriptor>() == DESCRIPTOR_LEN as usize);
const _: () = assert!(offset_of!(Descriptor, block_bitmap_sum_high) == 0x38);

/// Mode of a directory, without permissions.
pub const DIRECTORY: u16 = 0o040_000;
/// Mode of a regular file, without permissions.
pub const REGULAR: u16 = 0o100_000;
/// Flag of an inode: extents say where its data lies.
pub const EXTENTS: u32 = 0x8_0000;
/// Bytes beyond the first 128 that have a meaning: up to 0xa0.
pub const EXTRA: u16 = 32;
/// Units in which blocks of an inode are counted, in bytes.
pub const SECTOR: u32 = 512;

/// Inode, 256 bytes.
///
/// Source: Linux, `Documentation/filesystems/ext4/inodes.rst`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Inode {
    /// 0x00: type and permission bits, as in `st_mode`.
    pub mode: U16,
    /// 0x02: owner; root.
    pub uid: U16,
    /// 0x04: lower half of the size in bytes.
    pub size: U32,
    /// 0x08: time of last access, seconds since 1970, two's complement.
    pub accessed: U32,
    /// 0x0c: time of last change of the inode.
    pub changed: U32,
    /// 0x10: time of last change of the data.
    pub modified: U32,
    /// 0x14: time of deletion; none.
    pub deleted: U32,
    /// 0x18: group; root's.
    pub gid: U16,
    /// 0x1a: number of names.
    pub links: U16,
    /// 0x1c: blocks that it holds, in units of [`SECTOR`].
    pub sectors: U32,
    /// 0x20: [`EXTENTS`] or zero.
    pub flags: U32,
    /// 0x24: lower half of the version; zero.
    pub version: U32,
    /// 0x28: where its data lies: [`ExtentRoot`] or [`BlockMap`].
    pub map: [U32; 15],
    /// 0x64: zero.
    pub generation: U32,
    /// 0x68: block of attributes; none.
    pub attributes: U32,
    /// 0x6c: upper half of the size.
    pub size_high: U32,
    /// 0x70: upper halves of blocks, attributes, owner and group; zeros.
    pub high: [U32; 3],
    /// 0x7c: lower half of the sum of the inode's number, its generation and itself, with both halves of the sum zero.
    pub sum: U16,
    /// 0x7e: zero.
    pub reserved: U16,
    /// 0x80: [`EXTRA`].
    pub extra: U16,
    /// 0x82: upper half of the sum.
    pub sum_high: U16,
    /// 0x84: nanoseconds of the last change of the inode in 30 bits, and below two more of its seconds.
    pub changed_extra: U32,
    /// 0x88: the same of the last change of the data.
    pub modified_extra: U32,
    /// 0x8c: the same of the last access.
    pub accessed_extra: U32,
    /// 0x90: time of making.
    pub made: U32,
    /// 0x94: the same of it.
    pub made_extra: U32,
    /// 0x98: upper half of the version, project; zeros.
    pub unused: [U32; 2],
    /// 0xa0: attributes; none.
    pub inline: [[u8; 32]; 3],
}
const _: () = assert!(size_of::<Inode>() == INODE_LEN as usize);
const _: () = assert!(offset_of!(Inode, map) == 0x28);
const _: () = assert!(offset_of!(Inode, sum) == 0x7c);
const _: () = assert!(offset_of!(Inode, made) == 0x90);
const _: () = assert!(offset_of!(Inode, inline) == 128 + EXTRA as usize);

/// First bytes of a tree of extents.
pub const EXTENT_MAGIC: u16 = 0xf30a;

/// Root of a tree of extents in an inode, with one extent, 60 bytes.
///
/// Source: Linux, `Documentation/filesystems/ext4/ifork.rst`, "Extent Tree".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ExtentRoot {
    /// 0x00: [`EXTENT_MAGIC`].
    pub magic: U16,
    /// 0x02: how many extents there are; one.
    pub count: U16,
    /// 0x04: how many fit; four.
    pub max: U16,
    /// 0x06: how many levels are below; none.
    pub depth: U16,
    /// 0x08: zero.
    pub generation: U32,
    /// 0x0c: first block of the file in it.
    pub block: U32,
    /// 0x10: how many blocks.
    pub len: U16,
    /// 0x12: upper part of the next.
    pub start_high: U16,
    /// 0x14: first block of the file system.
    pub start: U32,
    /// 0x18: room for three more; zeros.
    pub rest: [U32; 9],
}
const _: () = assert!(size_of::<ExtentRoot>() == 60);

/// Numbers of blocks in an inode, 60 bytes.
///
/// Source: Linux, `Documentation/filesystems/ext4/blockmap.rst`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BlockMap {
    /// 0x00: blocks of data.
    pub direct: [U32; 12],
    /// 0x30: a block that lists such.
    pub indirect: U32,
    /// 0x34: a block that lists blocks of that kind.
    pub doubly: U32,
    /// 0x38: a block that lists blocks of that kind.
    pub triply: U32,
}
const _: () = assert!(size_of::<BlockMap>() == 60);

/// Type of a directory's entry: a directory.
pub const ENTRY_DIRECTORY: u8 = 2;
/// Type of the entry that is a block's tail.
pub const ENTRY_TAIL: u8 = 0xde;

/// Head of an entry in a directory, 8 bytes; the name follows.
///
/// Source: Linux, `Documentation/filesystems/ext4/directory.rst`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Entry {
    /// 0x00: the inode; zero for no file.
    pub inode: U32,
    /// 0x04: bytes up to the next entry.
    pub len: U16,
    /// 0x06: bytes of the name.
    pub name_len: u8,
    /// 0x07: [`ENTRY_DIRECTORY`], [`ENTRY_TAIL`], or zero for no file.
    pub kind: u8,
}
const _: () = assert!(size_of::<Entry>() == 8);

/// Last bytes of a directory's block, 12: an entry without a file, and the block's sum where its name would be.
///
/// Source: Linux, `Documentation/filesystems/ext4/directory.rst`, `struct ext4_dir_entry_tail`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Tail {
    /// 0x00: looks like an entry of 12 bytes.
    pub entry: Entry,
    /// 0x08: sum of the inode's number, its generation and all before the tail.
    pub sum: U32,
}
const _: () = assert!(size_of::<Tail>() == TAIL_LEN as usize);

/// Bytes of a tail.
pub const TAIL_LEN: u16 = 12;
/// Bytes of a directory's block that are for entries.
pub const ENTRIES_LEN: u16 = 4084;
const _: () = assert!(ENTRIES_LEN as u32 + TAIL_LEN as u32 == BLOCK);

/// What a block of the journal is known by.
pub const JOURNAL_MAGIC: u32 = 0xc03b_3998;
/// Kind of a journal's block: a superblock with features.
pub const JOURNAL_SUPER: u32 = 4;

/// Superblock of a journal, 1024 bytes at the start of its first block. All integers are big-endian.
///
/// Source: Linux, `Documentation/filesystems/ext4/journal.rst`, "Super Block".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct JournalSuperBlock {
    /// 0x00: [`JOURNAL_MAGIC`].
    pub magic: big_endian::U32,
    /// 0x04: [`JOURNAL_SUPER`].
    pub kind: big_endian::U32,
    /// 0x08: transaction that this block is of; none.
    pub of: big_endian::U32,
    /// 0x0c: bytes of a block.
    pub block: big_endian::U32,
    /// 0x10: blocks of the journal.
    pub blocks: big_endian::U32,
    /// 0x14: first block of transactions.
    pub first: big_endian::U32,
    /// 0x18: first transaction to expect.
    pub sequence: big_endian::U32,
    /// 0x1c: block to start from; zero, nothing is to be done.
    pub start: big_endian::U32,
    /// 0x20: error; none.
    pub error: big_endian::U32,
    /// 0x24: features; none, the kernel adds those of its sums when it mounts.
    pub features: [big_endian::U32; 3],
    /// 0x30: identity of the journal; the file system's.
    pub uuid: [u8; 16],
    /// 0x40: file systems that use it; one.
    pub users: big_endian::U32,
    /// 0x44: limits, sums, other users; zeros.
    pub unused: [[big_endian::U32; 17]; 14],
    /// 0x3fc: zero.
    pub last: big_endian::U32,
}
const _: () = assert!(size_of::<JournalSuperBlock>() == 1024);
const _: () = assert!(offset_of!(JournalSuperBlock, uuid) == 0x30);
