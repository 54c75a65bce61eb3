//! What stands where. All integers are little-endian.

use std::mem::{offset_of, size_of};

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a sector.
pub const SECTOR: u32 = 512;
/// Bytes of a block, and what the first one starts at a multiple of.
pub const BLOCK: u64 = BLOCK_LEN as u64;
/// The same as the header has it.
pub const BLOCK_LEN: u32 = 1 << 20;
/// Where the map of blocks starts, in bytes.
pub const MAP: u32 = 512;
/// The longest disk, in bytes: its map has 64 MiB.
pub const MAX: u64 = 16 << 40;
/// A block that is not in the file.
pub const ABSENT: u32 = u32::MAX;
/// The most a map may hold: from here on numbers have a meaning of their own (not there, zeros).
pub const SPECIAL: u32 = u32::MAX - 1;

/// First bytes of a file, for people; padded with NUL.
pub const TEXT: &[u8] = b"<<< Oracle VM VirtualBox Disk Image >>>\n";
/// What programs know it by.
pub const SIGNATURE: u32 = 0xbeda_107f;
/// Version 1.1.
pub const VERSION: u32 = 0x0001_0001;
/// Bytes of the header that the version has, counted from its own field of length on.
pub const HEADER_LEN: u32 = 400;
/// Type of image: blocks are in the file once they were written.
pub const DYNAMIC: u32 = 1;

/// Header, 512 bytes at the file's start.
///
/// Source: VirtualBox, `VDICore.h`, `VDIPREHEADER` and `VDIHEADER1PLUS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// 0x00: [`TEXT`].
    pub text: [u8; 64],
    /// 0x40: [`SIGNATURE`].
    pub signature: U32,
    /// 0x44: [`VERSION`].
    pub version: U32,
    /// 0x48: [`HEADER_LEN`].
    pub len: U32,
    /// 0x4c: [`DYNAMIC`].
    pub kind: U32,
    /// 0x50: zero.
    pub flags: U32,
    /// 0x54: a comment, padded with NUL.
    pub comment: [[u8; 16]; 16],
    /// 0x154: where the map starts, in bytes.
    pub map: U32,
    /// 0x158: where the first block starts, in bytes.
    pub data: U32,
    /// 0x15c: cylinders, heads, sectors that were once used; zeros.
    pub old_geometry: [U32; 3],
    /// 0x168: bytes of a sector.
    pub sector: U32,
    /// 0x16c: zero.
    pub reserved: U32,
    /// 0x170: bytes of the disk.
    pub size: U64,
    /// 0x178: bytes of a block.
    pub block: U32,
    /// 0x17c: bytes before each block that are not of it; none.
    pub extra: U32,
    /// 0x180: how many blocks the disk has.
    pub blocks: U32,
    /// 0x184: how many of them are in the file.
    pub allocated: U32,
    /// 0x188: identity of the image.
    pub id: [u8; 16],
    /// 0x198: changes when the image does.
    pub modified: [u8; 16],
    /// 0x1a8: identity of the image this one builds on; zeros, there is none.
    pub parent: [u8; 16],
    /// 0x1b8: state of that image; zeros.
    pub parent_modified: [u8; 16],
    /// 0x1c8: cylinders, heads, sectors for guests that ask; zeros, VirtualBox finds them when it attaches the disk.
    pub geometry: [U32; 3],
    /// 0x1d4: bytes of a sector; VirtualBox refuses all but 512 here.
    pub geometry_sector: U32,
    /// 0x1d8: zeros.
    pub padding: [u8; 40],
}
const _: () = assert!(size_of::<Header>() == 512);
const _: () = assert!(offset_of!(Header, map) == 0x154);
const _: () = assert!(offset_of!(Header, size) == 0x170);
const _: () = assert!(offset_of!(Header, geometry) == 0x1c8);
