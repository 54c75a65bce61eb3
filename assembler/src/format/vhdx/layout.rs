//! What stands where. All integers are little-endian.

use std::mem::{offset_of, size_of};

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::format::crc32c::crc32c;

/// What regions, the log and blocks start at multiples of, in bytes; also the log's and the metadata's length.
pub const MIB: u64 = 1 << 20;
/// The same as fields of 32 bits have it.
pub const MIB_LEN: u32 = 1 << 20;
/// Bytes that each part of the first MiB may take.
pub const PART: u64 = 64 << 10;
/// Where the headers start, in bytes.
pub const HEADERS: [u64; 2] = [PART, 2 * PART];
/// Where the region tables start, in bytes.
pub const REGIONS: [u64; 2] = [3 * PART, 4 * PART];
/// Where the log starts, in bytes.
pub const LOG: u64 = MIB;
/// Where the metadata starts, in bytes.
pub const METADATA: u64 = 2 * MIB;
/// Where the BAT starts, in bytes.
pub const BAT: u64 = 3 * MIB;
/// Where items start, in bytes from the metadata's start.
pub const ITEMS: u32 = 64 << 10;
/// The longest disk, in bytes.
pub const MAX: u64 = 64 << 40;
/// How many blocks of 1 MiB a disk may have before its blocks grow.
pub const BLOCKS: u64 = 1 << 20;
/// Bytes of a logical sector.
pub const SECTOR: u32 = 512;
/// Bytes of a physical sector, for guests that ask.
pub const PHYSICAL: u32 = 4096;

/// First bytes of the file.
pub const SIGNATURE: [u8; 8] = *b"vhdxfile";
/// First bytes of a header.
pub const HEADER_SIGNATURE: [u8; 4] = *b"head";
/// First bytes of a region table.
pub const REGION_SIGNATURE: [u8; 4] = *b"regi";
/// First bytes of the metadata.
pub const METADATA_SIGNATURE: [u8; 8] = *b"metadata";
/// Version of a header.
pub const VERSION: u16 = 1;
/// Region that a reader must know.
pub const REQUIRED: u32 = 1;
/// Item that a reader must know.
pub const FLAGS_REQUIRED: u32 = 4;
/// Item that belongs to the disk, not to the file.
pub const FLAGS_DISK: u32 = 2;

/// The region of the BAT.
pub const BAT_REGION: [u8; 16] = guid(0x2dc2_7766_f623_4200_9d64_115e_9bfd_4a08);
/// The region of the metadata.
pub const METADATA_REGION: [u8; 16] = guid(0x8b7c_a206_4790_4b9a_b8fe_575f_050f_886e);
/// The item of block size and parent, 8 bytes.
pub const PARAMETERS: [u8; 16] = guid(0xcaa1_6737_fa36_4d43_b3b6_33f0_aa44_e76b);
/// The item of the disk's length in bytes, 8 bytes.
pub const DISK_SIZE: [u8; 16] = guid(0x2fa5_4224_cd1b_4876_b211_5dbe_d83b_f4b8);
/// The item of the disk's identity, 16 bytes; guests see it as the disk's serial (SCSI page 0x83).
pub const DISK_ID: [u8; 16] = guid(0xbeca_12ab_b2e6_4523_93ef_c309_e000_c746);
/// The item of the logical sector's bytes, 4 bytes.
pub const SECTOR_SIZE: [u8; 16] = guid(0x8141_bf1d_a96f_4709_ba47_f233_a8fa_ab5f);
/// The item of the physical sector's bytes, 4 bytes.
pub const PHYSICAL_SIZE: [u8; 16] = guid(0xcda3_48c7_445d_4471_9cc9_e988_5251_c556);

/// State of a block: it reads as zeros.
pub const ZERO: u64 = 2;
/// State of a block: it is in the file, where the other bits of its entry say.
pub const PRESENT: u64 = 6;
/// Bits of an entry that are its state.
pub const STATE: u64 = 7;

/// Turn a UUID into the bytes that Microsoft's formats store: its first three numbers are little-endian.
#[must_use]
pub const fn guid(uuid: u128) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = uuid.to_be_bytes();
    let [i, j, k, l, m, n, o, p] = rest;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}

/// Sum up a header or table: CRC-32C.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    !crc32c(bytes)
}

/// Who wrote the file, 520 bytes at its start.
///
/// Source: \[MS-VHDX\] 2.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct FileType {
    /// 0x00: [`SIGNATURE`].
    pub signature: [u8; 8],
    /// 0x08: name of the program, UTF-16, padded with NUL.
    pub creator: [U16; 256],
}
const _: () = assert!(size_of::<FileType>() == 520);

/// Header, 4096 bytes at each of [`HEADERS`]; the valid one with the higher number counts.
///
/// Source: \[MS-VHDX\] 2.2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// 0x00: [`HEADER_SIGNATURE`].
    pub signature: [u8; 4],
    /// 0x04: [`checksum`] with this field zero.
    pub checksum: U32,
    /// 0x08: counts the headers that were written.
    pub sequence: U64,
    /// 0x10: changes whenever the file is opened to be written.
    pub file_write: [u8; 16],
    /// 0x20: changes when a guest's data does.
    pub data_write: [u8; 16],
    /// 0x30: which entries of the log are to be replayed; zeros for none.
    pub log: [u8; 16],
    /// 0x40: version of the log; zero.
    pub log_version: U16,
    /// 0x42: [`VERSION`].
    pub version: U16,
    /// 0x44: bytes of the log.
    pub log_len: U32,
    /// 0x48: where the log starts, in bytes.
    pub log_offset: U64,
    /// 0x50: zeros.
    pub reserved: [[u8; 16]; 251],
}
const _: () = assert!(size_of::<Header>() == 4096);
const _: () = assert!(offset_of!(Header, log_offset) == 0x48);

/// Head of a region table, 16 bytes at each of [`REGIONS`]; entries follow, the checksum reaches over 64 KiB.
///
/// Source: \[MS-VHDX\] 2.2.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RegionTable {
    /// 0x00: [`REGION_SIGNATURE`].
    pub signature: [u8; 4],
    /// 0x04: [`checksum`] with this field zero.
    pub checksum: U32,
    /// 0x08: how many entries follow.
    pub entries: U32,
    /// 0x0c: zero.
    pub reserved: U32,
}
const _: () = assert!(size_of::<RegionTable>() == 16);

/// One region, 32 bytes.
///
/// Source: \[MS-VHDX\] 2.2.3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Region {
    /// 0x00: [`BAT_REGION`] or [`METADATA_REGION`].
    pub id: [u8; 16],
    /// 0x10: where it starts, in bytes, a multiple of 1 MiB.
    pub offset: U64,
    /// 0x18: its bytes, a multiple of 1 MiB.
    pub len: U32,
    /// 0x1c: [`REQUIRED`].
    pub required: U32,
}
const _: () = assert!(size_of::<Region>() == 32);

/// Head of the metadata, 32 bytes; entries follow.
///
/// Source: \[MS-VHDX\] 2.6.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct MetadataTable {
    /// 0x00: [`METADATA_SIGNATURE`].
    pub signature: [u8; 8],
    /// 0x08: zero.
    pub reserved: U16,
    /// 0x0a: how many entries follow.
    pub entries: U16,
    /// 0x0c: zeros.
    pub reserved2: [u8; 20],
}
const _: () = assert!(size_of::<MetadataTable>() == 32);

/// One item of the metadata, 32 bytes.
///
/// Source: \[MS-VHDX\] 2.6.1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Item {
    /// 0x00: which one.
    pub id: [u8; 16],
    /// 0x10: where it starts, in bytes from the metadata's start.
    pub offset: U32,
    /// 0x14: its bytes.
    pub len: U32,
    /// 0x18: [`FLAGS_DISK`], [`FLAGS_REQUIRED`].
    pub flags: U32,
    /// 0x1c: zero.
    pub reserved: U32,
}
const _: () = assert!(size_of::<Item>() == 32);

/// The items' values, 40 bytes at [`ITEMS`], in the order of the entries.
///
/// Source: \[MS-VHDX\] 2.6.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Items {
    /// 0x00: bytes of a block.
    pub block: U32,
    /// 0x04: bit 0 fixed, bit 1 there is a parent: zero.
    pub flags: U32,
    /// 0x08: bytes of the disk.
    pub size: U64,
    /// 0x10: identity of the disk.
    pub id: [u8; 16],
    /// 0x20: bytes of a logical sector.
    pub sector: U32,
    /// 0x24: bytes of a physical sector.
    pub physical: U32,
}
const _: () = assert!(size_of::<Items>() == 40);
const _: () = assert!(offset_of!(Items, sector) == 0x20);

/// Give the bytes of a block for a disk of so many bytes: 1 MiB, or what keeps the BAT within a million blocks.
#[must_use]
pub fn block_len(size: u64) -> u64 {
    size.div_ceil(BLOCKS).next_power_of_two().max(MIB)
}

/// Count the blocks that share a bitmap, were there a parent: behind so many entries of the BAT stands one of a bitmap.
#[must_use]
pub fn chunk(block: u64) -> u64 {
    (u64::from(SECTOR) << 23) / block.max(1)
}

/// Give the place of a block's entry in the BAT.
#[must_use]
pub fn bat_index(number: u64, chunk: u64) -> u64 {
    number + number / chunk.max(1)
}
