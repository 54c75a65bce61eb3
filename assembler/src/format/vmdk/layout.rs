//! What stands where. All integers are little-endian; places are in sectors.

use std::mem::{offset_of, size_of};

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First four bytes of a file.
pub const MAGIC: [u8; 4] = *b"KDMV";
/// Version of a sparse file.
pub const VERSION_SPARSE: u32 = 1;
/// Version of a packed file. QEMU opens it for reading only.
pub const VERSION_STREAM: u32 = 3;
/// Bytes of a sector.
pub const SECTOR: u64 = 512;
/// Sectors of a grain.
pub const GRAIN_SECTORS: u64 = 128;
/// Bytes of a grain.
pub const GRAIN: u64 = GRAIN_SECTORS * SECTOR;
/// Entries of a grain table.
pub const ENTRIES: u64 = 512;
/// The same, as the length of one in memory.
pub const TABLE: usize = 512;
/// Sectors of a grain table.
pub const TABLE_SECTORS: u64 = ENTRIES * 4 / SECTOR;
/// Where the descriptor starts.
pub const DESCRIPTOR_AT: u64 = 1;
/// Sectors kept for the descriptor, as VMware does.
pub const DESCRIPTOR_SECTORS: u64 = 20;
/// Longest disk, in bytes: VMware's are at most 62 TiB.
pub const LARGEST: u64 = 62 << 40;

/// Flag: the four bytes from [`Header::line_ends`] on tell whether the file was changed as text.
pub const FLAG_LINE_ENDS: u32 = 1;
/// Flag: directory and tables are there twice.
pub const FLAG_REDUNDANT: u32 = 1 << 1;
/// Flag: grains are packed.
pub const FLAG_PACKED: u32 = 1 << 16;
/// Flag: markers stand before grains and tables.
pub const FLAG_MARKERS: u32 = 1 << 17;
/// What [`FLAG_LINE_ENDS`] looks at.
pub const LINE_ENDS: [u8; 4] = *b"\n \r\n";
/// Place of the directory that says: see the footer.
pub const AT_END: u64 = u64::MAX;
/// Grains are zlib streams (RFC 1950).
pub const DEFLATE: u16 = 1;

/// Header, 512 bytes at the start; the footer is a second one, with the directory's place.
///
/// Source: VMware, "Virtual Disk Format 1.1", "Hosted Sparse Extents", `SparseExtentHeader`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// 0x00: [`MAGIC`].
    pub magic: [u8; 4],
    /// 0x04: [`VERSION_SPARSE`] or [`VERSION_STREAM`].
    pub version: U32,
    /// 0x08: flags.
    pub flags: U32,
    /// 0x0c: sectors of the disk.
    pub capacity: U64,
    /// 0x14: [`GRAIN_SECTORS`].
    pub grain: U64,
    /// 0x1c: [`DESCRIPTOR_AT`].
    pub descriptor_at: U64,
    /// 0x24: [`DESCRIPTOR_SECTORS`].
    pub descriptor_sectors: U64,
    /// 0x2c: [`ENTRIES`].
    pub entries: U32,
    /// 0x30: where the first copy of the directory starts, if there are two.
    pub redundant_at: U64,
    /// 0x38: where the directory starts, or [`AT_END`].
    pub directory_at: U64,
    /// 0x40: sectors before the first grain.
    pub overhead: U64,
    /// 0x48: not zero while the disk is in use.
    pub unclean: u8,
    /// 0x49: [`LINE_ENDS`].
    pub line_ends: [u8; 4],
    /// 0x4d: 0 for none, or [`DEFLATE`].
    pub compression: U16,
    /// 0x4f: zero.
    pub reserved: [u8; 433],
}
const _: () = assert!(size_of::<Header>() == 512);
const _: () = assert!(offset_of!(Header, capacity) == 0x0c);
const _: () = assert!(offset_of!(Header, directory_at) == 0x38);
const _: () = assert!(offset_of!(Header, compression) == 0x4d);

impl Header {
    /// Fill in what all files have alike, for a disk of so many bytes.
    #[must_use]
    pub fn new(version: u32, flags: u32, size: u64) -> Self {
        Self {
            magic: MAGIC,
            version: version.into(),
            flags: flags.into(),
            capacity: (size / SECTOR).into(),
            grain: GRAIN_SECTORS.into(),
            descriptor_at: DESCRIPTOR_AT.into(),
            descriptor_sectors: DESCRIPTOR_SECTORS.into(),
            entries: U32::new(512),
            redundant_at: 0.into(),
            directory_at: 0.into(),
            overhead: 0.into(),
            unclean: 0,
            line_ends: LINE_ENDS,
            compression: 0.into(),
            reserved: [0; 433],
        }
    }
}

/// What stands before a table, the directory or the footer, and at the end: 512 bytes.
///
/// Source: VMware, "Virtual Disk Format 1.1", "Stream-Optimized Compressed Sparse Extents", `Marker`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Marker {
    /// 0x00: sectors of what follows.
    pub sectors: U64,
    /// 0x08: zero, which tells it from a grain's.
    pub size: U32,
    /// 0x0c: [`END_OF_STREAM`], [`GRAIN_TABLE`], [`GRAIN_DIRECTORY`] or [`FOOTER`].
    pub kind: U32,
    /// 0x10: zero.
    pub reserved: [u8; 496],
}
const _: () = assert!(size_of::<Marker>() == 512);
const _: () = assert!(offset_of!(Marker, kind) == 0x0c);

/// Nothing follows.
pub const END_OF_STREAM: u32 = 0;
/// A grain table follows.
pub const GRAIN_TABLE: u32 = 1;
/// The grain directory follows.
pub const GRAIN_DIRECTORY: u32 = 2;
/// The footer follows.
pub const FOOTER: u32 = 3;

/// What stands before a packed grain, 12 bytes; its bytes follow at once, up to a multiple of a sector.
///
/// Source: VMware, "Virtual Disk Format 1.1", "Stream-Optimized Compressed Sparse Extents", "Grain Marker".
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct GrainMarker {
    /// 0x00: first sector of the grain on the disk.
    pub lba: U64,
    /// 0x08: bytes of the packed grain.
    pub size: U32,
}
const _: () = assert!(size_of::<GrainMarker>() == 12);

/// Count the grain tables of a disk of so many bytes.
#[must_use]
pub fn tables_of(size: u64) -> u64 {
    size.div_ceil(GRAIN * ENTRIES)
}

/// Count the sectors of a directory of so many tables.
#[must_use]
pub fn directory_sectors(tables: u64) -> u64 {
    (tables * 4).div_ceil(SECTOR)
}

/// Write a table or a directory.
#[must_use]
pub fn bytes(table: &[u32]) -> Vec<u8> {
    table.iter().flat_map(|entry| entry.to_le_bytes()).collect()
}
