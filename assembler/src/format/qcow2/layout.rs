//! What stands where. All integers are big-endian.

use std::mem::{offset_of, size_of};

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First four bytes of a file.
pub const MAGIC: [u8; 4] = *b"QFI\xfb";
/// The only version written and read.
pub const VERSION: u32 = 3;
/// Bytes of a cluster, of the disk and of the file.
pub const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// The same as a power of two.
pub const CLUSTER_BITS: u32 = 16;
/// Entries of an L2 table, which fills a cluster; also of a cluster of the L1 table and of the refcount table.
pub const ENTRIES: u64 = CLUSTER / 8;
/// Counts of a refcount block, which fills a cluster.
pub const COUNTS: u64 = CLUSTER / 2;
/// A count has two bytes.
pub const REFCOUNT_ORDER: u32 = 4;
/// Longest disk, in bytes: QEMU refuses an L1 table of more than 32 MiB.
pub const LARGEST: u64 = (32 << 20) / 8 * ENTRIES * CLUSTER;

/// Incompatible feature: packed clusters are not deflated, see [`Header::compression`].
pub const COMPRESSION_TYPE: u64 = 1 << 3;
/// Packed clusters are deflated, with a window of 4 KiB and without a header.
pub const DEFLATE: u8 = 0;
/// Packed clusters are zstd frames.
pub const ZSTD: u8 = 1;

/// Header, 112 bytes at the start; extensions follow.
///
/// Source: QEMU, `docs/interop/qcow2.rst`, "Header" and "Additional fields".
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// 0x00: [`MAGIC`].
    pub magic: [u8; 4],
    /// 0x04: [`VERSION`].
    pub version: U32,
    /// 0x08: where the name of a backing file stands; none.
    pub backing_offset: U64,
    /// 0x10: its length.
    pub backing_len: U32,
    /// 0x14: [`CLUSTER_BITS`].
    pub cluster_bits: U32,
    /// 0x18: bytes of the disk.
    pub size: U64,
    /// 0x20: encryption; none.
    pub crypt: U32,
    /// 0x24: entries of the L1 table.
    pub l1_entries: U32,
    /// 0x28: where it starts, in bytes.
    pub l1_offset: U64,
    /// 0x30: where the refcount table starts, in bytes.
    pub refcounts_offset: U64,
    /// 0x38: clusters of the refcount table.
    pub refcounts_clusters: U32,
    /// 0x3c: snapshots; none.
    pub snapshots: U32,
    /// 0x40: where their table starts.
    pub snapshots_offset: U64,
    /// 0x48: features that a reader must know: none, or [`COMPRESSION_TYPE`].
    pub incompatible: U64,
    /// 0x50: features that a reader may not know.
    pub compatible: U64,
    /// 0x58: features that a writer who does not know them takes out.
    pub autoclear: U64,
    /// 0x60: [`REFCOUNT_ORDER`].
    pub refcount_order: U32,
    /// 0x64: bytes of this header.
    pub header_len: U32,
    /// 0x68: [`DEFLATE`] or [`ZSTD`].
    pub compression: u8,
    /// 0x69: zero.
    pub reserved: [u8; 7],
}
/// Bytes of a [`Header`].
pub const HEADER_LEN: u32 = 112;
const _: () = assert!(size_of::<Header>() == HEADER_LEN as usize);
const _: () = assert!(offset_of!(Header, size) == 0x18);
const _: () = assert!(offset_of!(Header, incompatible) == 0x48);
const _: () = assert!(offset_of!(Header, compression) == 0x68);

/// Head of an extension of the header, 8 bytes; its data follows, padded to a multiple of 8. One of zeros ends the list.
///
/// Source: QEMU, `docs/interop/qcow2.rst`, "Header extensions".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Extension {
    /// 0x00: what it is: [`FEATURE_NAMES`], or 0 for the end.
    pub kind: U32,
    /// 0x04: bytes of its data.
    pub len: U32,
}
const _: () = assert!(size_of::<Extension>() == 8);

/// The extension that names features, for readers too old to know them.
pub const FEATURE_NAMES: u32 = 0x6803_f857;

/// A feature's name, 48 bytes.
///
/// Source: QEMU, `docs/interop/qcow2.rst`, "Feature name table".
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct FeatureName {
    /// 0x00: which field of the header: 0 for [`Header::incompatible`].
    pub field: u8,
    /// 0x01: which bit of it.
    pub bit: u8,
    /// 0x02: its name, padded with NUL.
    pub name: [u8; 46],
}
/// Bytes of a [`FeatureName`].
pub const FEATURE_NAME_LEN: u32 = 48;
const _: () = assert!(size_of::<FeatureName>() == FEATURE_NAME_LEN as usize);

/// Bit of an entry of L1 or L2: exactly one refers to this cluster. Not set for packed ones.
pub const COPIED: u64 = 1 << 63;
/// Bit of an entry of L2: the cluster is packed.
const PACKED: u64 = 1 << 62;
/// Bit of an entry of L2: the cluster is zeros, whatever place it has.
const ZERO: u64 = 1;
/// Bits of an entry that say a multiple of 512 bytes.
pub const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// How many low bits of a packed cluster's entry say its place; above them is its length.
const PACKED_BITS: u32 = 62 - (CLUSTER_BITS - 8);
/// Unit of a packed cluster's length.
const SECTOR: u64 = 512;

/// What an entry of L2 says.
///
/// Source: QEMU, `docs/interop/qcow2.rst`, "L2 table entry", "Standard Cluster Descriptor", "Compressed Clusters Descriptor".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The cluster is zeros.
    Nothing,
    /// The cluster stands in the file as it is.
    Plain {
        /// Where, in bytes, a multiple of [`CLUSTER`].
        offset: u64,
    },
    /// The cluster stands in the file packed.
    Packed {
        /// Where, in bytes.
        offset: u64,
        /// In how many bytes at most: an entry says at which sector of 512 bytes it ends.
        len: u64,
    },
}

impl Entry {
    /// Read it from its bits.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        if bits & PACKED != 0 {
            let offset = bits & ((1 << PACKED_BITS) - 1);
            let sectors = ((bits & !(PACKED | COPIED)) >> PACKED_BITS) + 1;
            return Self::Packed { offset, len: sectors * SECTOR - offset % SECTOR };
        }
        match bits & OFFSET {
            0 => Self::Nothing,
            _ if bits & ZERO != 0 => Self::Nothing,
            offset => Self::Plain { offset },
        }
    }

    /// Give its bits.
    #[must_use]
    pub fn bits(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Plain { offset } => COPIED | offset,
            Self::Packed { offset, len } => {
                let more = (offset % SECTOR + len).div_ceil(SECTOR).saturating_sub(1);
                PACKED | more << PACKED_BITS | offset
            }
        }
    }
}
