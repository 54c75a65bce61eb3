//! What stands where. All integers are big-endian.

use std::mem::{offset_of, size_of};

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a sector.
pub const SECTOR: u64 = 512;
/// What the disk's length is a multiple of, in bytes: Azure's rule.
pub const ALIGN: u64 = 1 << 20;
/// Bytes of a dynamic disk's block, without its bitmap; the specification's default.
pub const BLOCK: u64 = BLOCK_LEN as u64;
/// The same as a header has it.
pub const BLOCK_LEN: u32 = 2 << 20;
/// Bytes of a block's bitmap: a bit for each sector, the first one the highest.
pub const BITMAP: u64 = BLOCK / SECTOR / 8;
/// What data in the file is aligned to, so that whole pages of it can be shared with other files; bitmaps stand before.
pub const DATA_ALIGN: u64 = 4096;
/// The longest disk, in bytes.
pub const MAX: u64 = 2040 << 30;
/// Where a dynamic disk's header starts, in bytes.
pub const HEADER: u64 = SECTOR;
/// Where a dynamic disk's table starts, in bytes.
pub const TABLE: u64 = HEADER + size_of::<Header>() as u64;
/// A block that is not in the file.
pub const ABSENT: u32 = u32::MAX;
/// No offset.
pub const NONE: u64 = u64::MAX;

/// First bytes of a footer.
pub const COOKIE: [u8; 8] = *b"conectix";
/// First bytes of a header.
pub const HEADER_COOKIE: [u8; 8] = *b"cxsparse";
/// Version of both: 1.0.
pub const VERSION: u32 = 0x0001_0000;
/// Bit that is always set.
pub const FEATURES: u32 = 2;
/// Who made it: Windows. QEMU and others take the length of a disk of an unknown maker from its geometry, which cuts the end off.
pub const CREATOR: [u8; 4] = *b"win ";
/// Version of that: 6.2, Windows Server 2012.
pub const CREATOR_VERSION: u32 = 0x0006_0002;
/// Kind of host it was made on: Windows.
pub const CREATOR_HOST: [u8; 4] = *b"Wi2k";
/// Type of disk: all of it is in the file.
pub const FIXED: u32 = 2;
/// Type of disk: what is there is in the file.
pub const DYNAMIC: u32 = 3;
/// 2000-01-01 in seconds since 1970.
pub const EPOCH: u32 = 946_684_800;

/// Footer, 512 bytes at the file's end, and for dynamic disks at its start as well.
///
/// Source: VHD 1.0, "Hard Disk Footer Format".
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Footer {
    /// 0x00: [`COOKIE`].
    pub cookie: [u8; 8],
    /// 0x08: [`FEATURES`].
    pub features: U32,
    /// 0x0c: [`VERSION`].
    pub version: U32,
    /// 0x10: where the header starts, in bytes; [`NONE`] for fixed disks.
    pub header: U64,
    /// 0x18: when it was made, seconds since 2000.
    pub time: U32,
    /// 0x1c: [`CREATOR`].
    pub creator: [u8; 4],
    /// 0x20: [`CREATOR_VERSION`].
    pub creator_version: U32,
    /// 0x24: [`CREATOR_HOST`].
    pub creator_host: [u8; 4],
    /// 0x28: length of the disk when it was made, in bytes.
    pub original_size: U64,
    /// 0x30: length of the disk, in bytes.
    pub size: U64,
    /// 0x38: cylinders for guests that ask; see [`geometry`].
    pub cylinders: U16,
    /// 0x3a: heads.
    pub heads: u8,
    /// 0x3b: sectors of a track.
    pub sectors: u8,
    /// 0x3c: [`FIXED`] or [`DYNAMIC`].
    pub kind: U32,
    /// 0x40: [`checksum`] with this field zero.
    pub checksum: U32,
    /// 0x44: identity of the disk, a UUID.
    pub id: [u8; 16],
    /// 0x54: one if a guest's memory was saved with it; zero.
    pub saved: u8,
    /// 0x55: zeros.
    pub reserved: [u8; 427],
}
const _: () = assert!(size_of::<Footer>() == 512);
const _: () = assert!(offset_of!(Footer, size) == 0x30);
const _: () = assert!(offset_of!(Footer, id) == 0x44);

/// Header of a dynamic disk, 1024 bytes at [`HEADER`].
///
/// Source: VHD 1.0, "Dynamic Disk Header Format".
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// 0x00: [`HEADER_COOKIE`].
    pub cookie: [u8; 8],
    /// 0x08: [`NONE`].
    pub next: U64,
    /// 0x10: where the table starts, in bytes.
    pub table: U64,
    /// 0x18: [`VERSION`].
    pub version: U32,
    /// 0x1c: entries of the table, one for each block of the disk.
    pub entries: U32,
    /// 0x20: [`BLOCK`].
    pub block: U32,
    /// 0x24: [`checksum`] with this field zero.
    pub checksum: U32,
    /// 0x28: names and places of the disk this one builds on; zeros, there is none.
    pub parent: [u8; 984],
}
const _: () = assert!(size_of::<Header>() == 1024);
const _: () = assert!(offset_of!(Header, parent) == 0x28);

/// Sum up a footer or header: the complement of the sum of its bytes.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)))
}

/// Give cylinders, heads and sectors of a track for a disk of so many sectors; they cover it but for a part of a cylinder, and
/// no more than 127 GiB of it.
///
/// # Source
///
/// VHD 1.0, "Appendix: CHS Calculation".
#[must_use]
pub fn geometry(sectors: u64) -> (u16, u8, u8) {
    const CYLINDERS: u64 = 65_535;
    let sectors = sectors.min(CYLINDERS * 16 * 255);
    let (heads, track) = if sectors >= CYLINDERS * 16 * 63 {
        (16, 255)
    } else {
        let heads = (sectors / 17).div_ceil(1024).max(4);
        let fits = |heads: u64, track: u64| heads <= 16 && sectors / track < heads * 1024;
        if fits(heads, 17) {
            (heads, 17)
        } else if fits(16, 31) {
            (16, 31)
        } else {
            (16, 63)
        }
    };
    let small = |value: u64| u8::try_from(value).unwrap_or(u8::MAX);
    (u16::try_from(sectors / track / heads).unwrap_or(u16::MAX), small(heads), small(track))
}
