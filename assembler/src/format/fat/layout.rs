//! What stands where. All integers are little-endian.

use std::mem::{offset_of, size_of};

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a sector.
pub const SECTOR: u64 = 512;
/// What the last two bytes of a boot sector say.
pub const SIGNATURE: [u8; 2] = [0x55, 0xaa];
/// A disk that cannot be taken out of its drive.
pub const MEDIA: u8 = 0xf8;
/// Sector of FAT32's FSInfo.
pub const FSINFO: u16 = 1;
/// Sector of FAT32's copy of the boot sector; that of FSInfo follows.
pub const BACKUP: u16 = 6;
/// What [`Extension::signature`] says if the three fields behind it are filled.
pub const EXTENDED: u8 = 0x29;

/// Bit of [`Entry::attributes`]: the volume's name, and no file.
pub const LABEL: u8 = 0x08;
/// Bit of [`Entry::attributes`]: a directory.
pub const DIRECTORY: u8 = 0x10;
/// Bit of [`Entry::attributes`]: to be copied by the next backup, as every new file is.
pub const ARCHIVE: u8 = 0x20;
/// [`LongEntry::attributes`].
pub const LONG: u8 = 0x0f;
/// Bit of [`LongEntry::order`]: the first on disk, which holds the end of the name.
pub const LAST_LONG: u8 = 0x40;
/// Bytes of a directory's entry.
pub const ENTRY: u64 = 32;

/// Head of the boot sector, 36 bytes, of all three kinds.
///
/// Source: FAT 1.03, "Boot Sector and BPB".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BootSector {
    /// 0x00: a jump behind the fields.
    pub jump: [u8; 3],
    /// 0x03: name of the system that formatted.
    pub system: [u8; 8],
    /// 0x0b: bytes of a sector, [`SECTOR`].
    pub sector: U16,
    /// 0x0d: sectors of a cluster, a power of two.
    pub cluster: u8,
    /// 0x0e: sectors before the first table.
    pub reserved: U16,
    /// 0x10: number of tables.
    pub tables: u8,
    /// 0x11: entries of the root directory; 0 on FAT32.
    pub root_entries: U16,
    /// 0x13: sectors of the volume, if fewer than 65536 and not FAT32; else 0.
    pub sectors16: U16,
    /// 0x15: [`MEDIA`].
    pub media: u8,
    /// 0x16: sectors of a table; 0 on FAT32.
    pub table16: U16,
    /// 0x18: sectors of a track, for BIOSes without LBA.
    pub track: U16,
    /// 0x1a: heads, for the same.
    pub heads: U16,
    /// 0x1c: sectors of the disk before the volume.
    pub hidden: U32,
    /// 0x20: sectors of the volume, if not in `sectors16`.
    pub sectors32: U32,
}
const _: () = assert!(size_of::<BootSector>() == 0x24);
const _: () = assert!(offset_of!(BootSector, hidden) == 0x1c);

/// What FAT32 has behind [`BootSector`], 28 bytes.
///
/// Source: FAT 1.03, "FAT32 Structure Starting at Offset 36".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Fat32 {
    /// 0x24: sectors of a table.
    pub table: U32,
    /// 0x28: which tables are kept; 0, all.
    pub flags: U16,
    /// 0x2a: 0.
    pub version: U16,
    /// 0x2c: first cluster of the root directory.
    pub root: U32,
    /// 0x30: [`FSINFO`].
    pub info: U16,
    /// 0x32: [`BACKUP`].
    pub backup: U16,
    /// 0x34: zero.
    pub reserved: [u8; 12],
}
const _: () = assert!(size_of::<Fat32>() == 28);

/// What all kinds have next, at 0x24 or, on FAT32, at 0x40; 26 bytes.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Extension {
    /// 0x00: number the BIOS gives the disk.
    pub drive: u8,
    /// 0x01: zero: unmounted cleanly.
    pub flags: u8,
    /// 0x02: [`EXTENDED`].
    pub signature: u8,
    /// 0x03: serial number of the volume.
    pub serial: U32,
    /// 0x07: name of the volume, filled with spaces.
    pub label: [u8; 11],
    /// 0x12: the kind, for people.
    pub kind: [u8; 8],
}
const _: () = assert!(size_of::<Extension>() == 26);

/// FAT32's count of free clusters, one sector.
///
/// Source: FAT 1.03, "FAT32 FSInfo Sector Structure and Backup Boot Sector".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct FsInfo {
    /// 0x000: `RRaA`.
    pub lead: [u8; 4],
    /// 0x004: zero.
    pub reserved: [u8; 480],
    /// 0x1e4: `rrAa`.
    pub structure: [u8; 4],
    /// 0x1e8: free clusters.
    pub free: U32,
    /// 0x1ec: cluster to start looking for free ones.
    pub next: U32,
    /// 0x1f0: zero.
    pub reserved2: [u8; 12],
    /// 0x1fc: two zeros and [`SIGNATURE`].
    pub trail: [u8; 4],
}
const _: () = assert!(size_of::<FsInfo>() == 512);
const _: () = assert!(offset_of!(FsInfo, free) == 0x1e8);

/// One name of a directory, 32 bytes.
///
/// Source: FAT 1.03, "FAT Directory Structure".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Entry {
    /// 0x00: eight and three characters, each filled with spaces.
    pub name: [u8; 11],
    /// 0x0b: [`DIRECTORY`] and others.
    pub attributes: u8,
    /// 0x0c: zero.
    pub reserved: u8,
    /// 0x0d: hundredths of a second to be added to `created`, 0 to 199.
    pub created_hundredths: u8,
    /// 0x0e: time and date of creation.
    pub created: [U16; 2],
    /// 0x12: date of last access.
    pub accessed: U16,
    /// 0x14: upper half of the first cluster.
    pub cluster_high: U16,
    /// 0x16: time and date of last change.
    pub changed: [U16; 2],
    /// 0x1a: lower half of the first cluster; 0 of an empty file.
    pub cluster_low: U16,
    /// 0x1c: bytes of the file; 0 of a directory.
    pub size: U32,
}
const _: () = assert!(size_of::<Entry>() == 32);
const _: () = assert!(offset_of!(Entry, cluster_high) == 0x14);

/// Thirteen UTF-16 units of a long name, 32 bytes; the last of them first, and the [`Entry`] behind them.
///
/// Source: FAT 1.03, "FAT Long Directory Entries".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct LongEntry {
    /// 0x00: number from 1 on, and [`LAST_LONG`].
    pub order: u8,
    /// 0x01: units 1 to 5.
    pub first: [U16; 5],
    /// 0x0b: [`LONG`].
    pub attributes: u8,
    /// 0x0c: zero.
    pub kind: u8,
    /// 0x0d: sum of the short name.
    pub sum: u8,
    /// 0x0e: units 6 to 11.
    pub second: [U16; 6],
    /// 0x1a: zero.
    pub cluster: U16,
    /// 0x1c: units 12 and 13.
    pub third: [U16; 2],
}
const _: () = assert!(size_of::<LongEntry>() == 32);
const _: () = assert!(offset_of!(LongEntry, second) == 0x0e);
