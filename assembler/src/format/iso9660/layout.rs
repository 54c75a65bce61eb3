//! What stands where. Numbers are little-endian, big-endian, or both, one after the other.

use std::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, big_endian, little_endian};

/// Bytes of a sector.
pub const SECTOR: u64 = 2048;
/// Sectors before the first volume descriptor.
pub const SYSTEM_SECTORS: u64 = 16;
/// What every volume descriptor says behind its first byte.
pub const STANDARD: &[u8; 5] = b"CD001";
/// Type of the descriptor that leads to what firmware starts.
pub const BOOT: u8 = 0;
/// Type of the primary volume descriptor.
pub const PRIMARY: u8 = 1;
/// Type of Joliet's.
pub const SUPPLEMENTARY: u8 = 2;
/// Type of the one that ends the list.
pub const TERMINATOR: u8 = 255;
/// Escape sequence that announces names in UCS-2, level 3.
///
/// Source: Joliet Specification, "SVD Escape Sequences field".
pub const JOLIET: &[u8; 3] = b"%/E";

/// Name of a directory's own record, and of its parent's.
pub const SELF: &[u8] = &[0];
/// See [`SELF`].
pub const PARENT: &[u8] = &[1];
/// Bit of a record's flags: a directory.
pub const DIRECTORY: u8 = 2;
/// Bit of a record's flags: the file goes on in the next record.
pub const MULTI_EXTENT: u8 = 0x80;
/// Most bytes that one record says of a file: whole sectors, below 4 GiB.
pub const SECTION_MAX: u64 = (1 << 32) - SECTOR;

/// A number of 16 bits in both byte orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Both16 {
    /// 0x00.
    pub little: little_endian::U16,
    /// 0x02.
    pub big: big_endian::U16,
}

impl From<u16> for Both16 {
    fn from(value: u16) -> Self {
        Self { little: value.into(), big: value.into() }
    }
}

/// A number of 32 bits in both byte orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Both32 {
    /// 0x00.
    pub little: little_endian::U32,
    /// 0x04.
    pub big: big_endian::U32,
}

impl From<u32> for Both32 {
    fn from(value: u32) -> Self {
        Self { little: value.into(), big: value.into() }
    }
}

/// A primary or supplementary volume descriptor, one sector.
///
/// Source: ECMA-119, 8.4 and 8.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct VolumeDescriptor {
    /// 0x000: [`PRIMARY`], [`SUPPLEMENTARY`] or [`TERMINATOR`].
    pub kind: u8,
    /// 0x001: [`STANDARD`].
    pub standard: [u8; 5],
    /// 0x006: 1.
    pub version: u8,
    /// 0x007: zero.
    pub flags: u8,
    /// 0x008: name of the system that the first sixteen sectors are for.
    pub system: [u8; 32],
    /// 0x028: name of the volume.
    pub volume: [u8; 32],
    /// 0x048: zero.
    pub unused: [u8; 8],
    /// 0x050: sectors of the volume.
    pub sectors: Both32,
    /// 0x058: [`JOLIET`] or zero.
    pub escapes: [u8; 32],
    /// 0x078: discs of the set, 1.
    pub set_size: Both16,
    /// 0x07c: which of them this is, 1.
    pub sequence: Both16,
    /// 0x080: [`SECTOR`].
    pub block_size: Both16,
    /// 0x084: bytes of a path table.
    pub path_table_size: Both32,
    /// 0x08c: sector of the little-endian path table, and of a second one; none.
    pub path_table_little: [little_endian::U32; 2],
    /// 0x094: sector of the big-endian path table, and of a second one; none.
    pub path_table_big: [big_endian::U32; 2],
    /// 0x09c: record of the root directory.
    pub root: Record,
    /// 0x0bd: its name, [`SELF`].
    pub root_name: u8,
    /// 0x0be: name of the set of volumes.
    pub set: [u8; 128],
    /// 0x13e: who published it.
    pub publisher: [u8; 128],
    /// 0x1be: who prepared what is in it.
    pub preparer: [u8; 128],
    /// 0x23e: name of the program that wrote it.
    pub application: [u8; 128],
    /// 0x2be: names of files with legal texts.
    pub files: [u8; 111],
    /// 0x32d: times of creation, last change, expiry and first use, as [`super::date::long`] gives them.
    pub times: [[u8; 17]; 4],
    /// 0x371: 1.
    pub structure: u8,
    /// 0x372: for applications; zero.
    pub rest: [u8; 1166],
}
const _: () = assert!(size_of::<VolumeDescriptor>() == 2048);
const _: () = assert!(offset_of!(VolumeDescriptor, root) == 0x9c);
const _: () = assert!(offset_of!(VolumeDescriptor, application) == 0x23e);
const _: () = assert!(offset_of!(VolumeDescriptor, times) == 0x32d);

/// One record of a directory, 33 bytes; the name follows, a zero if that makes the length even, and what Rock Ridge says.
///
/// Source: ECMA-119, 9.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Record {
    /// 0x00: bytes of the record, even; 0 where the next one starts in the next sector.
    pub length: u8,
    /// 0x01: sectors of extended attributes, 0.
    pub attributes: u8,
    /// 0x02: first sector of the data.
    pub extent: Both32,
    /// 0x0a: bytes of the data.
    pub size: Both32,
    /// 0x12: time of last change, as [`super::date::short`] gives it.
    pub date: [u8; 7],
    /// 0x19: [`DIRECTORY`] and others.
    pub flags: u8,
    /// 0x1a: interleaving, which nobody does.
    pub interleave: [u8; 2],
    /// 0x1c: 1.
    pub sequence: Both16,
    /// 0x20: bytes of the name.
    pub name_len: u8,
}
const _: () = assert!(size_of::<Record>() == 33);
const _: () = assert!(offset_of!(Record, date) == 0x12);

/// Most bytes of a record: its length is one byte and even.
pub const RECORD_MAX: usize = 254;

/// Head of one entry that Rock Ridge puts behind a name; its data follows.
///
/// Source: SUSP 1.12, 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Entry {
    /// 0x00: two letters.
    pub signature: [u8; 2],
    /// 0x02: bytes of the entry, these four included.
    pub length: u8,
    /// 0x03: 1.
    pub version: u8,
}
const _: () = assert!(size_of::<Entry>() == 4);

/// Data of `PX`: attributes of a file.
///
/// Source: RRIP 1.12, 4.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Posix {
    /// 0x00: type and permission bits, as in `st_mode`.
    pub mode: Both32,
    /// 0x08: number of names.
    pub nlink: Both32,
    /// 0x10: owner.
    pub uid: Both32,
    /// 0x18: group.
    pub gid: Both32,
    /// 0x20: number that names of one file share; older writers leave it out.
    pub serial: Both32,
}
const _: () = assert!(size_of::<Posix>() == 40);

/// Data of `CE`: where the rest of the entries is.
///
/// Source: SUSP 1.12, 5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Continuation {
    /// 0x00: sector.
    pub sector: Both32,
    /// 0x08: byte in it.
    pub offset: Both32,
    /// 0x10: how many bytes, all in this sector.
    pub length: Both32,
}
const _: () = assert!(size_of::<Continuation>() == 24);

/// The descriptor of El Torito, one sector, always number 17.
///
/// Source: El Torito 1.0, figure 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BootRecord {
    /// 0x000: [`BOOT`].
    pub kind: u8,
    /// 0x001: [`STANDARD`].
    pub standard: [u8; 5],
    /// 0x006: 1.
    pub version: u8,
    /// 0x007: [`EL_TORITO`].
    pub system: [u8; 32],
    /// 0x027: zero.
    pub unused: [u8; 32],
    /// 0x047: sector of the boot catalog.
    pub catalog: little_endian::U32,
    /// 0x04b: zero.
    pub rest: [u8; 1973],
}
const _: () = assert!(size_of::<BootRecord>() == 2048);
const _: () = assert!(offset_of!(BootRecord, catalog) == 0x47);

/// What a boot record's system is called.
pub const EL_TORITO: &[u8; 32] = b"EL TORITO SPECIFICATION\0\0\0\0\0\0\0\0\0";
/// Platform of BIOS.
pub const X86: u8 = 0;
/// Platform of UEFI, of whatever processor.
///
/// Source: UEFI 2.10, 13.3.2.1.
pub const EFI: u8 = 0xef;

/// First entry of a boot catalog.
///
/// Source: El Torito 1.0, figure 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Validation {
    /// 0x00: 1.
    pub header: u8,
    /// 0x01: [`X86`] or [`EFI`]: whose the next entry is.
    pub platform: u8,
    /// 0x02: zero.
    pub unused: [u8; 2],
    /// 0x04: who made it; zero.
    pub maker: [u8; 24],
    /// 0x1c: makes the sum of the entry's 16 numbers of 16 bits zero.
    pub checksum: little_endian::U16,
    /// 0x1e: [`KEY`].
    pub key: [u8; 2],
}
const _: () = assert!(size_of::<Validation>() == 32);

/// What a validation entry ends with.
pub const KEY: [u8; 2] = [0x55, 0xaa];

/// An image that firmware starts.
///
/// Source: El Torito 1.0, figures 3 and 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BootImage {
    /// 0x00: [`BOOTABLE`].
    pub bootable: u8,
    /// 0x01: which disk is emulated; 0 for none.
    pub media: u8,
    /// 0x02: segment that BIOS loads it to; 0 for 0x7c0.
    pub segment: little_endian::U16,
    /// 0x04: type of the partition, which only a hard disk has; zero.
    pub system: u8,
    /// 0x05: zero.
    pub unused: u8,
    /// 0x06: how much is loaded, in units of 512 bytes.
    pub count: little_endian::U16,
    /// 0x08: its first sector.
    pub sector: little_endian::U32,
    /// 0x0c: zero.
    pub rest: [u8; 20],
}
const _: () = assert!(size_of::<BootImage>() == 32);

/// First byte of an image that is to be started.
pub const BOOTABLE: u8 = 0x88;

/// Heads images of another platform.
///
/// Source: El Torito 1.0, figure 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SectionHeader {
    /// 0x00: [`MORE`] or [`LAST`].
    pub header: u8,
    /// 0x01: [`X86`] or [`EFI`].
    pub platform: u8,
    /// 0x02: how many images follow.
    pub count: little_endian::U16,
    /// 0x04: a name for these; zero.
    pub name: [u8; 28],
}
const _: () = assert!(size_of::<SectionHeader>() == 32);

/// First byte of a section that another one follows.
pub const MORE: u8 = 0x90;
/// First byte of the last section.
pub const LAST: u8 = 0x91;
